"""A cell that is idle freezes by itself, and wakes for whoever needs it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from integration.pit import Pit
from integration.test_checkpoint_verbs import lazarus
from integration.test_daemon_lives import sh
from lazarus_pit.cells import provision, store
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import Role
from lazarus_pit.formats.manifest import Kind, Member

BEATS_ALONE = (
    "while :; do echo '{}' > $LAZARUS_HEARTBEAT_FILE.t; "
    "mv $LAZARUS_HEARTBEAT_FILE.t $LAZARUS_HEARTBEAT_FILE; sleep 0.3; done"
)


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    yield pit
    pit.close()


def asleep(pit: Pit) -> CellPaths:
    cell = pit.cell(name="pond", idle_freeze_after=0.5)
    ada = Member(name="ada", role=Role.COORDINATOR, kind=Kind.HUMAN)
    provision.add_member(cell, ada, provision.agent_owner())
    pit.start()
    pit.spawn(cell, "worker", *sh(BEATS_ALONE))
    pit.wait_event(cell, "agent_frozen", "worker")
    return cell


def test_an_idle_cell_sleeps_through_a_restart_and_a_checkpoint_and_wakes_for_mail(
    pit: Pit,
) -> None:
    cell = asleep(pit)
    frozen = pit.wait_event(cell, "cell_frozen")
    assert frozen.data["reason"] == "idle"
    assert frozen.data["idle_for"] >= 0.5
    assert store.read_manifest(cell).status.value == "active"
    assert "frozen (idle)" in lazarus(pit, "status")
    pit.wait(
        lambda: pit.health(cell)["worker"].readings.get("desired") == "freeze", "what it has to do"
    )
    why = lazarus(pit, "why", "worker")
    assert "the cell froze by itself: it was idle for" in why
    assert "its cell was idle and has it stand still" in why
    assert "until mail for its cell arrives" in why
    pit.kill9()
    pit.start()
    pit.wait_event(cell, "agent_adopted", "worker")
    lazarus(pit, "checkpoint", "pond")
    pit.wait_event(cell, "agent_frozen", "worker", count=2)
    assert not pit.events(cell, "agent_thawed")
    mail = {"id": "mail-0001", "to": "worker", "body": "wake up"}
    (cell.outbox("ada") / "1.json").write_text(json.dumps(mail))
    assert pit.wait_event(cell, "cell_thawed").data["reason"] == "mail"
    pit.wait_event(cell, "agent_thawed", "worker")
    pit.wait_event(cell, "cell_frozen", count=2)


def test_a_person_wakes_it_also_while_no_daemon_runs(pit: Pit) -> None:
    cell = asleep(pit)
    assert "active" in lazarus(pit, "thaw", "pond")
    pit.wait_event(cell, "cell_thawed", reason="people")
    pit.wait_event(cell, "agent_frozen", "worker", count=2)
    pit.kill9()
    lazarus(pit, "thaw", "--all")
    store.update_manifest(cell, lambda old: replace(old, idle_freeze_after=None))
    pit.start()
    pit.wait_event(cell, "cell_thawed", reason="people", count=2)
    pit.wait_event(cell, "agent_thawed", "worker", count=2)
