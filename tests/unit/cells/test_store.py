"""The records of a cell: who may write what, and what survives a rewrite."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus, Desired, Role
from lazarus_pit.errors import FormatError, RefusedError, StoreError
from lazarus_pit.formats.heartbeat import Heartbeat
from lazarus_pit.formats.manifest import Manifest, Member, with_member
from lazarus_pit.formats.state import Health, State

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def cell(tmp_path: Path) -> CellPaths:
    member = Member(name="timmy", role=Role.DEVELOPER, command=("true",), env={"TOKEN": "secret"})
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE, agents=(member,))
    return provision.create_cell(tmp_path, wanted, provision.agent_owner())


def stop(old: Manifest) -> Manifest:
    timmy = old.member("timmy")
    assert timmy is not None
    return with_member(old, replace(timmy, desired=Desired.STOP))


def test_a_change_is_written_published_and_keeps_what_is_not_ours(cell: CellPaths) -> None:
    file = json.loads(cell.manifest.read_bytes())
    file["agents"][0]["colour"] = "blue"
    cell.manifest.write_text(json.dumps({"theirs": 1, **file}))
    written = store.update_manifest(cell, stop)
    assert written == store.read_manifest(cell)
    again = json.loads(cell.manifest.read_bytes())
    assert next(iter(again)) == "theirs"
    assert (again["agents"][0]["colour"], again["agents"][0]["desired"]) == ("blue", "stop")
    shown = json.loads(cell.published_manifest("timmy").read_bytes())
    assert shown["agents"][0]["desired"] == "stop"


def test_an_environment_is_shown_to_nobody(cell: CellPaths) -> None:
    assert b"secret" not in cell.published_manifest("timmy").read_bytes()
    assert cell.manifest.stat().st_mode & 0o777 == 0o600
    store.update_manifest(cell, lambda old: with_member(old, replace(old.agents[0], env={})))
    assert cell.manifest.stat().st_mode & 0o777 == 0o644


def test_a_change_that_changes_nothing_writes_nothing(cell: CellPaths) -> None:
    before = cell.manifest.stat().st_ino
    store.update_manifest(cell, lambda old: old)
    assert cell.manifest.stat().st_ino == before


def test_a_change_that_refuses_leaves_everything(cell: CellPaths) -> None:
    before = cell.manifest.read_bytes()

    def refuse(_old: Manifest) -> Manifest:
        raise RefusedError("no")

    with pytest.raises(RefusedError):
        store.update_manifest(cell, refuse)
    assert cell.manifest.read_bytes() == before
    store.update_manifest(cell, stop, timeout=0.0)  # And the lock is free again.


def test_a_second_writer_waits_and_then_says_why(cell: CellPaths) -> None:
    with store.locked(cell), pytest.raises(StoreError, match=r"lock: held by another program"):
        store.update_manifest(cell, stop, timeout=0.05)


def test_writers_at_once_lose_nothing_of_each_other(cell: CellPaths) -> None:
    def join(number: int) -> None:
        name = f"agent-{number}"
        member = Member(name=name, role=Role.OBSERVER)
        store.update_manifest(cell, lambda old: with_member(old, member), timeout=30)

    writers = [threading.Thread(target=join, args=(number,)) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(store.read_manifest(cell).agents) == 9


def test_no_older_copy_is_published_over_a_newer_one(
    cell: CellPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever publishes still holds the lock: the next writer's copy comes after it."""
    publish, held = store.publish_manifest, list[bool]()

    def watched(paths: CellPaths, current: Manifest) -> None:
        try:
            with store.locked(paths, timeout=0.0):
                held.append(False)
        except StoreError:
            held.append(True)
        publish(paths, current)

    monkeypatch.setattr(store, "publish_manifest", watched)
    store.update_manifest(cell, stop)
    assert held == [True]


def test_a_manifest_of_another_cell_is_refused(cell: CellPaths, tmp_path: Path) -> None:
    other = CellPaths(tmp_path, provision.new_uuid())
    other.cell.mkdir()
    with pytest.raises(StoreError, match="there is no such file"):
        store.read_manifest(other)
    other.manifest.write_bytes(cell.manifest.read_bytes())
    with pytest.raises(FormatError, match="as in its path"):
        store.read_manifest(other)


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 100, b"[" * 10_000, b'{"uuid": 1}'])
def test_a_broken_record_is_refused_and_named(cell: CellPaths, content: bytes) -> None:
    cell.manifest.write_bytes(content)
    with pytest.raises(FormatError, match=r"cell\.json: "):
        store.read_manifest(cell)
    cell.state.write_bytes(content)
    with pytest.raises(FormatError, match=r"state\.json: "):
        store.read_state(cell)


@pytest.mark.timeout(10)
def test_a_record_that_is_no_file_never_blocks(cell: CellPaths) -> None:
    for path in (cell.manifest, cell.state, cell.beat("timmy")):
        path.unlink(missing_ok=True)
        os.mkfifo(path)
    for read in (store.read_manifest, store.read_state):
        with pytest.raises(FormatError, match="a FIFO, expected a regular file"):
            read(cell)
    with pytest.raises(FormatError, match="a FIFO"):
        store.read_heartbeat(cell, "timmy")


def test_state_is_read_as_it_was_written_1_8(cell: CellPaths) -> None:
    assert store.read_state(cell) is None
    health = {"timmy": Health(healthy=True, last_seen=5.0, revive_count=2)}
    believed = State(cell_uuid=cell.uuid, daemon_pid=7, last_poll=6.5, agent_health=health)
    store.write_state(cell, believed)
    assert store.read_state(cell) == believed
    found = json.loads(cell.state.read_bytes())
    assert set(found) >= {"cell_uuid", "daemon_pid", "last_poll", "agent_health"}
    assert set(found["agent_health"]["timmy"]) >= {"healthy", "last_seen", "revive_count"}


def test_an_agents_beat_is_published_in_its_place_1_2(cell: CellPaths) -> None:
    assert store.read_heartbeat(cell, "timmy") is None
    cell.beat("timmy").write_bytes(b'{"agent": "timmy", "cycle": 3}')
    beat = store.read_heartbeat(cell, "timmy")
    assert beat == Heartbeat(agent="timmy", cycle=3)
    store.publish_heartbeat(cell, "timmy", beat)
    published = cell.cell / ".lazarus" / "heartbeats" / "timmy.json"
    assert json.loads(published.read_bytes()) == {"agent": "timmy", "cycle": 3}
