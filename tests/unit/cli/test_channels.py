"""What people read of the ways to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazarus_pit.channels.nostr import own_key
from lazarus_pit.cli.channels import _served, channels
from lazarus_pit.cli.checks import Verdict, people
from lazarus_pit.cli.place import Place

ADA = "npub1sn0wdenkukak0d9dfczzeacvhkrgz92ak56egt7vdgzn8pv2wfqqhrjdv9"


@pytest.fixture(name="place")
def _place(tmp_path: Path) -> Place:
    config = tmp_path / "pit.toml"
    config.write_text(
        f'[nostr]\nrelays = ["ws://127.0.0.1:9"]\nrecipient_pubkey = "{ADA}"\n', encoding="utf-8"
    )
    return Place(root=tmp_path / "missions", config=config)


def test_people_learn_to_whom_they_write(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert channels(place=place) == 1  # Nobody serves it.
    said = capsys.readouterr().out
    settings = place.settings()
    npub = own_key(settings.channels.nostr, place.pit()).npub
    assert f"known there as {npub}" in said
    check = people(settings)
    assert (check.verdict, check.found) == (Verdict.OK, f"nostr as {npub}")


def test_an_address_that_is_down_is_said() -> None:
    notes = {"telling 1": "", "telling 2": "number 2 (ntfy) does not take a message"}
    found = _served("apprise", {**notes, "telling_since": "1.0"})
    assert (found.well, found.found, found.since) == (False, notes["telling 2"], 1.0)
    assert _served("apprise", {"telling 1": ""}).found == "tells"
