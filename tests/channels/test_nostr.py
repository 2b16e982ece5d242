"""Ask, answer, revive over Nostr: two relays that others wrote, and a person by another library."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channels.nostr_folk import Operator, RelayProcess
from integration.pit import ASKING, Pit
from integration.pools import FarPool
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.channels.nostr import own_key
from lazarus_pit.formats.channel_settings import Nostr as Settings

DIES_ONCE = (
    "lazarus beat; echo life >> lives; [ -e died ] || { touch died; sleep 0.2; exit 3; }; "
    "while :; do lazarus beat; sleep 0.2; done"
)
DEAD = "ws://127.0.0.1:9"


@pytest.fixture(name="relays")
def _relays(tmp_path: Path) -> Iterator[list[RelayProcess]]:
    relays = [RelayProcess(tmp_path, kind) for kind in ("nostr-relay", "built-in")]
    try:
        for relay in relays:
            relay.start()
        yield relays
    finally:
        for relay in relays:
            relay.kill()


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path, **ASKING)
    yield pit
    pit.close()


def configure(pit: Pit, operator: Operator, dm: str, *urls: str) -> str:
    """Name the channel in the configuration, and return our own name there."""
    with pit.config.open("a") as file:
        file.write(
            f'[nostr]\nrelays = {json.dumps(urls)}\nrecipient_pubkey = "{operator.npub}"\n'
            f'dm = "{dm}"\n'
        )
    argv = [sys.executable, "-m", "lazarus_pit", "channels", "--json", "--config", str(pit.config)]
    said = subprocess.run(argv, capture_output=True, check=False, timeout=60).stdout
    (channel,) = json.loads(said)
    return str(channel["known_as"])


def dying(pit: Pit, name: str = "scribe") -> CellPaths:
    cell = pit.cell(name="pond")
    pit.spawn(cell, name, "/bin/sh", "-c", DIES_ONCE)
    return cell


def lives(cell: CellPaths) -> int:
    return len((cell.workspace / "lives").read_text().splitlines())


@pytest.mark.parametrize("dm", ["nip17", "nip04"])
@pytest.mark.parametrize("answers_by", [0, 1])
def test_asked_over_all_and_answered_over_one(
    pit: Pit, relays: list[RelayProcess], dm: str, answers_by: int
) -> None:
    urls = [relay.url for relay in relays]
    with Operator(dm, *urls) as ada:
        us = configure(pit, ada, dm, *urls, DEAD)
        pit.start()
        cell = dying(pit)
        question = ada.read()
        assert "scribe is dead" in question["text"]
        assert "Mission: test" in question["text"]
        assert question["kind"] == (14 if dm == "nip17" else 4)
        assert ada.say(us, "+1", about=question["id"], only=urls[answers_by]) == ["ok"]
        pit.wait_event(cell, "approval_granted", "scribe", by=ada.npub, via="nostr")
        pit.wait_event(cell, "agent_revived", "scribe")
        ending = ada.read()
        assert ending["about"] == question["id"]
        assert f"scribe is dead: approved by {ada.npub} (nostr)" in ending["text"]
        assert ada.say(us, "skip scribe") == ["ok", "ok"]
        assert "too late, approved" in ada.read()["text"]
    assert lives(cell) == 2


def test_the_pool_asks_by_the_contract_s_own_keys(
    tmp_path: Path, relays: list[RelayProcess]
) -> None:
    url = relays[0].url
    with Operator("nip17", url) as ada:
        table = {"relay_url": url, "recipient_pubkey": ada.npub}
        with FarPool(tmp_path, nostr=table) as pool:
            pool.add("timmy", "ask")
            pool.start()
            question = ada.read()
            assert "timmy is dead" in question["text"]
            assert "a gateway outside the cells" in question["text"]
            us = own_key(Settings(), pool.pit).npub
            assert ada.say(us, "Revive Timmy") == ["ok"]
            pool.wait(lambda: "gateway_recovered" in pool.told(), "it is revived")
            assert len(pool.lives()) == 1
            (request,) = pool.requests()
            assert (request.outcome, request.by, request.via) == ("approved", ada.npub, "nostr")
            assert pool.pit.nostr_key.stat().st_mode & 0o777 == 0o600


def test_nobody_else_is_heard(pit: Pit, relays: list[RelayProcess]) -> None:
    urls = [relay.url for relay in relays]
    with Operator("nip17", *urls) as ada, Operator("nip17", *urls) as mallory:
        us = configure(pit, ada, "nip17", *urls)
        pit.start()
        cell = dying(pit)
        question = ada.read()
        assert "ok" not in mallory.say(us, "revive scribe", plain=True)  # As the relays refuse it.
        mallory.say(us, "revive scribe", **{"as": ada.npub})
        mallory.say(us, "revive scribe", about=question["id"])
        assert mallory.read()["text"] == "You may not answer here. Nothing was changed."
        assert not pit.events(cell, "approval_granted")
        ada.say(us, "Don't revive scribe")
        ada.say(us, "revive scribe2")
        assert "Nobody called scribe2" in ada.read()["text"]
        ada.say(us, "SKIP  scribe")
        pit.wait_event(cell, "agent_escalated", "scribe", reason="denied")
    assert lives(cell) == 1


def test_what_is_said_while_the_pit_and_a_relay_are_down(
    pit: Pit, relays: list[RelayProcess]
) -> None:
    keeps, forgets = relays
    with Operator("nip17", keeps.url, forgets.url) as ada:
        us = configure(pit, ada, "nip17", keeps.url, forgets.url)
        pit.start()
        cell = dying(pit)
        ada.read()
        pit.kill9()
        nsec = ada.nsec
        assert ada.say(us, "revive scribe", only=keeps.url) == ["ok"]
    for relay in relays:
        relay.kill()
    pit.start()
    keeps.start()
    pit.wait_event(cell, "agent_revived", "scribe")
    with Operator("nip17", keeps.url, nsec=nsec) as again:
        texts = [again.read()["text"] for _ in range(2)]
        assert any("scribe is dead: approved" in text for text in texts)
    assert lives(cell) == 2
