"""What ends the wait for a wish, and with which exit code."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazarus_pit.cells import journal, provision, store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cli.waiting import FAILED, GOOD, LATE, UP, await_daemon, with_lives
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.daemon import standing
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Manifest, Member
from lazarus_pit.formats.state import Health, State


@pytest.fixture
def cell(tmp_path: Path) -> Iterator[CellPaths]:
    """A cell below a root whose daemon seems to be up."""
    pit = PitPaths(tmp_path / "missions")
    members = tuple(Member(name=name, role=Role.DEVELOPER) for name in ("ada", "ben", "cy"))
    wanted = Manifest(
        uuid=provision.new_uuid(), status=CellStatus.ACTIVE, name="pond", agents=members
    )
    made = provision.create_cell(pit.root, wanted, provision.agent_owner())
    lock = standing.take_lock(pit.lock)
    yield made
    os.close(lock)


def tell(cell: CellPaths, *events: str) -> None:
    lines = [Event(ts="2026-04-06T00:00:00Z", event=event, agent="ada") for event in events]
    journal.drain_events(cell.events, lines)


@pytest.mark.parametrize(
    ("events", "code"),
    [
        (("agent_ready",), GOOD),
        (("agent_started", "agent_ready", "agent_died"), FAILED),
        (("agent_died", "agent_started", "agent_revived"), FAILED),
        (("agent_started",), GOOD),
        ((), LATE),
    ],
)
def test_the_gravest_of_what_is_told_together_counts(
    cell: CellPaths, events: tuple[str, ...], code: int
) -> None:
    tell(cell, *events)
    assert await_daemon(cell, 0, ["ada"], UP, 0.0) == code


def test_what_follows_the_end_of_the_wait_is_not_waited_for(cell: CellPaths) -> None:
    tell(cell, "agent_ready")
    assert await_daemon(cell, 0, ["ada"], UP, 30.0) == GOOD


def test_who_lives_is_said_by_the_journal_where_the_state_is_behind(cell: CellPaths) -> None:
    behind = {name: Health(healthy=True, pid=1) for name in ("ada", "ben")}
    state = State(cell_uuid=cell.uuid, daemon_pid=1, last_poll=0.0, agent_health=behind)
    store.write_state(cell, state, durable=False)
    assert with_lives(cell) == ["ada", "ben"]
    for name, event in (("ben", "agent_died"), ("cy", "agent_started")):
        told = Event(ts="2026-04-06T00:00:00Z", event=event, agent=name)
        journal.append_events(cell.events, [told])
    assert with_lives(cell) == ["ada", "cy"]
