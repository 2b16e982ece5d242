"""Invited, joined, gone: as people type it, over restarts of the daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.pit import Pit
from integration.typing_it import Typist
from lazarus_pit.cells import store
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import Role

BEATS = "lazarus beat; while :; do lazarus beat; sleep 0.2; done"


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    yield pit
    pit.close()


def test_an_invitation_outlives_the_daemon_and_lets_one_agent_in(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    lazarus = Typist(pit.root)
    pit.start()
    said = lazarus("invite", "pond", "scribe", "--role", "reviewer", "--ttl", "1h")
    assert said.code == 0, said
    token = said.out.strip()
    assert f"lazarus join {token} -- PROGRAM" in said.err
    pit.wait_event(cell, "agent_invited", "scribe", role="reviewer")
    assert "is invited already" in lazarus.fails(1, "invite", "pond", "scribe")
    pit.kill9()
    pit.start()
    (one,) = lazarus("invitations", "pond", "--json").json()
    assert (one["name"], one["role"], one["state"]) == ("scribe", "reviewer", "open")
    assert "expected `lazarus join TOKEN -- PROGRAM" in lazarus.fails(2, "join", token)
    joined = lazarus("join", token, "--", "/bin/sh", "-c", BEATS)
    assert joined.code == 0, joined
    pit.wait_event(cell, "agent_ready", "scribe")
    assert pit.wait_event(cell, "agent_joined", "scribe").data["invitation"] == one["id"]
    assert "accepted before" in lazarus.fails(1, "join", token, "--", "true")
    assert "no invitation is open" in lazarus("invitations").out
    assert lazarus("kick", "scribe").code == 0
    pit.wait_event(cell, "agent_stopped", "scribe")
    assert pit.wait_event(cell, "agent_left", "scribe").data["by"]


def test_a_person_takes_a_seat_and_gives_it_up(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    lazarus = Typist(pit.root)
    token = lazarus("invite", "pond", "ada", "--role", "coordinator", "--human").out.strip()
    assert "expected a person of this cell" in lazarus.fails(
        2, "mail", "inbox", "--cell", "pond", "--as", "ada"
    )
    said = lazarus("join", token)
    assert "pond/ada has joined as coordinator" in said.out
    assert lazarus("mail", "inbox", "--cell", "pond", "--as", "ada").out == "no mail\n"
    assert lazarus("leave", "pond", "--as", "ada").code == 0
    assert store.read_manifest(cell).agents == ()
    assert "expected a person" in lazarus.fails(2, "leave", "pond", "--as", "ada")


def test_what_cannot_be_is_said(pit: Pit) -> None:
    pit.cell(name="pond")
    lazarus = Typist(pit.root)
    assert "--ttl" in lazarus.fails(2, "invite", "pond", "scribe", "--ttl", "soon")
    assert "NAME" in lazarus.fails(2, "invite", "pond", "Scribe!")
    assert "nobody was ever invited" in lazarus.fails(2, "join", "invite-x")
    given = json.loads(lazarus("invite", "pond", "scribe", "--json").out)
    assert "no invitation has this token" in lazarus.fails(2, "join", "invite-x")
    assert "means 0 invitations" in lazarus.fails(2, "invitations", "--revoke", "ffff-")
    assert lazarus("invitations", "--revoke", given["id"][:6]).code == 0
    assert "was revoked" in lazarus.fails(1, "join", given["token"], "--", "true")
    assert lazarus("invitations", "--all", "--json").json()[0]["state"] == "revoked"


LEADING = (
    "lazarus beat; {ask}; while :; do lazarus beat; lazarus mail inbox > answers; sleep 0.2; done"
)


def mails(cell: CellPaths, name: str) -> list[dict[str, Any]]:
    files = sorted(path for path in cell.inbox(name).iterdir() if path.name[0] != ".")
    return [json.loads(path.read_bytes()) for path in files]


def test_a_coordinator_behind_its_walls_leads_and_nobody_else_does(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    pit.spawn(cell, "worker", "/bin/sh", "-c", BEATS)
    ask = (
        "lazarus mail send --to pit --subject 'revive worker'; "
        "lazarus mail send --to pit --subject 'checkpoint half way'; "
        "lazarus mail send --to worker --order --subject assigned"
    )
    for name, role in (("lead", Role.COORDINATOR), ("obs", Role.OBSERVER)):
        argv = ("/bin/sh", "-c", LEADING.format(ask=ask.replace(" half way", f" by {name}")))
        pit.spawn(cell, name, *argv, role=role)
    pit.start()
    pit.wait_event(cell, "revive_requested", "worker")
    pit.wait_event(cell, "agent_started", "worker", count=2)
    note = pit.wait_event(cell, "checkpoint_taken").data["note"]
    assert note == "asked for by lead: by lead"
    told = pit.wait(lambda: len(mails(cell, "lead")) == 2 and mails(cell, "lead"), "two answers")
    assert {mail["body"].partition(" ")[0] for mail in told} == {"worker", "checkpoint"}
    refused = pit.wait(lambda: len(mails(cell, "obs")) == 3 and mails(cell, "obs"), "bounces")
    assert {mail["kind"] for mail in refused} == {"bounce"}
    assert sum("only coordinators" in mail["body"] for mail in refused) == 2
    assert [(mail["from"], mail["kind"]) for mail in mails(cell, "worker")] == [("lead", "order")]
    assert len(pit.events(cell, "revive_requested")) == 1


def test_an_agent_leaves_and_is_not_revived(pit: Pit) -> None:
    cell = pit.cell()
    ask = LEADING.format(ask="lazarus mail send --to pit --subject leave")
    pit.spawn(cell, "guest", "/bin/sh", "-c", ask)
    pit.start()
    pit.wait_event(cell, "agent_left", "guest")
    pit.wait_event(cell, "agent_stopped", "guest")
    assert store.read_manifest(cell).agents == ()
