"""Invitations: one token lets one in, once, whatever dies in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit.cells import journal, membership, provision, store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.daemon import teaming
from lazarus_pit.daemon.teaming import Guest
from lazarus_pit.errors import LazarusError, RefusedError, UsageError
from lazarus_pit.formats.manifest import Kind, Manifest, Member
from lazarus_pit.records import invitations as records
from lazarus_pit.records.database import opened_records
from lazarus_pit.records.invitations import Given

OWNER = provision.agent_owner()
SCRIBE = Guest("scribe", Role.REVIEWER, by="ada")
LAUNCH = Member(name="guest", role=Role.OBSERVER, command=("true",))


class Cut(BaseException):
    """The process was killed here."""


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> PitPaths:
    return PitPaths(tmp_path)


@pytest.fixture(name="cell")
def _cell(pit: PitPaths) -> CellPaths:
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE)
    return provision.create_cell(pit.root, wanted, OWNER)


def told(cell: CellPaths, name: str) -> list[str | None]:
    lines = journal.read_events(cell.events)
    return [line.event.agent for line in lines if line.event and line.event.event == name]


def states(pit: PitPaths) -> list[str]:
    with opened_records(pit.records) as db:
        return [one.state for one in records.everything(db)]


def test_a_token_lets_one_in_as_the_inviter_said(pit: PitPaths, cell: CellPaths) -> None:
    given = teaming.invite(pit, cell, SCRIBE)
    assert store.read_manifest(cell).agents == ()
    assert teaming.join(pit, given.token, LAUNCH, OWNER).new
    (member,) = store.read_manifest(cell).agents
    assert (member.name, member.role, member.command) == ("scribe", Role.REVIEWER, ("true",))
    assert member.joined_at
    assert member.invitation == given.invitation.id
    assert told(cell, "agent_invited") == told(cell, "agent_joined") == ["scribe"]
    with pytest.raises(RefusedError, match="accepted before"):
        teaming.join(pit, given.token, LAUNCH, OWNER)
    assert given.token not in str(pit.records.read_bytes())


def test_a_person_gets_a_seat_and_no_program(pit: PitPaths, cell: CellPaths) -> None:
    given = teaming.invite(pit, cell, Guest("ada", Role.COORDINATOR, human=True))
    with pytest.raises(UsageError, match="as a person"):
        teaming.join(pit, given.token, LAUNCH, OWNER)
    joined = teaming.join(pit, given.token, None, OWNER)
    assert joined.manifest.agents[0].kind is Kind.HUMAN
    assert cell.outbox("ada").is_dir()


def expired(pit: PitPaths, cell: CellPaths) -> Given:
    return teaming.invite(pit, cell, SCRIBE, ttl=-1.0)


def revoked(pit: PitPaths, cell: CellPaths) -> Given:
    given = teaming.invite(pit, cell, SCRIBE)
    assert teaming.close(pit, cell.uuid, "scribe", "revoked")
    return given


def ended(pit: PitPaths, cell: CellPaths) -> Given:
    given = teaming.invite(pit, cell, SCRIBE)
    provision.move_cell(cell, CellStatus.ARCHIVED)
    return given


def taken(pit: PitPaths, cell: CellPaths) -> Given:
    given = teaming.invite(pit, cell, SCRIBE)
    provision.add_member(cell, Member(name="scribe", role=Role.OBSERVER, command=("a",)), OWNER)
    return given


def kicked(pit: PitPaths, cell: CellPaths) -> Given:
    given = taken(pit, cell)
    teaming.remove(pit, cell, "scribe", by="ada")
    return given


@pytest.mark.parametrize(
    ("spoilt", "why"),
    [
        (expired, "too old"),
        (revoked, "was revoked"),
        (ended, "is archived"),
        (taken, "a member already"),
        (kicked, "was revoked"),
    ],
)
def test_a_token_that_is_worth_nothing(
    pit: PitPaths, cell: CellPaths, spoilt: Callable[[PitPaths, CellPaths], Given], why: str
) -> None:
    token = spoilt(pit, cell).token
    before = store.read_manifest(cell).agents
    with pytest.raises(LazarusError, match=why):
        teaming.join(pit, token, LAUNCH, OWNER)
    assert store.read_manifest(cell).agents == before


@pytest.mark.parametrize(
    "place", ["provision.make_member", "update_manifest", "append_events", "records.close"]
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_between_any_two_steps_one_joins_once(
    pit: PitPaths, cell: CellPaths, monkeypatch: pytest.MonkeyPatch, place: str, when: str
) -> None:
    given = teaming.invite(pit, cell, SCRIBE)
    owner, _, name = place.rpartition(".")
    holder = {"provision": provision, "records": records, "": membership}[owner]
    real = getattr(holder, name)

    def cut(*words: object, **more: object) -> None:
        if when == "after":
            real(*words, **more)
        raise Cut

    monkeypatch.setattr(holder, name, cut)
    with pytest.raises(Cut):
        teaming.join(pit, given.token, LAUNCH, OWNER)
    monkeypatch.undo()
    if states(pit) == ["open"]:  # Whoever was cut short asks again; nobody else gets in.
        teaming.join(pit, given.token, LAUNCH, OWNER)
    assert [member.name for member in store.read_manifest(cell).agents] == ["scribe"]
    assert told(cell, "agent_joined") == ["scribe"]
    assert states(pit) == ["accepted"]
    with pytest.raises(RefusedError, match="accepted before"):
        teaming.join(pit, given.token, LAUNCH, OWNER)


def test_a_request_that_is_heard_again_gives_another_token(pit: PitPaths, cell: CellPaths) -> None:
    first = teaming.invite(pit, cell, SCRIBE, asked_in="ada:mail-0001")
    again = teaming.invite(pit, cell, SCRIBE, asked_in="ada:mail-0001")
    assert first.invitation == again.invitation
    assert told(cell, "agent_invited") == ["scribe"]
    with pytest.raises(UsageError):
        teaming.invited(pit, first.token)
    assert teaming.invited(pit, again.token).name == "scribe"
    with pytest.raises(RefusedError, match="invited already"):
        teaming.invite(pit, cell, SCRIBE)


def test_nobody_is_called_as_the_daemon_is(pit: PitPaths, cell: CellPaths) -> None:
    for name in ("pit", "lazarus-pit"):
        with pytest.raises(RefusedError, match="own address"):
            teaming.invite(pit, cell, Guest(name, Role.OBSERVER))
        with pytest.raises(RefusedError, match="own address"):
            provision.add_member(cell, Member(name=name, role=Role.OBSERVER), OWNER)


def test_nobody_speaks_for_a_namesake(pit: PitPaths, cell: CellPaths) -> None:
    for _ in range(2):
        given = teaming.invite(pit, cell, SCRIBE)
        assert teaming.join(pit, given.token, LAUNCH, OWNER).new
        assert list(cell.outbox("scribe").iterdir()) == []
        (cell.outbox("scribe") / "1.json").write_text('{"to": "pit", "subject": "leave"}')
        teaming.remove(pit, cell, "scribe")
    provision.add_member(cell, Member(name="scribe", role=Role.COORDINATOR), OWNER)
    assert list(cell.outbox("scribe").iterdir()) == []


def test_who_is_kicked_while_joining_is_not_let_in(
    pit: PitPaths, cell: CellPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = teaming.invite(pit, cell, SCRIBE)
    accept = membership.accept

    def slowly(*words: Any) -> bool:
        teaming.close(pit, cell.uuid, "scribe", "revoked")
        return accept(*words)

    monkeypatch.setattr(membership, "accept", slowly)
    with pytest.raises(RefusedError, match="was revoked"):
        teaming.join(pit, given.token, LAUNCH, OWNER)
    assert store.read_manifest(cell).agents == ()
