"""The loop's side of the bus: checkpoints that coordinators ask for, and cells that are gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lazarus_pit import mail
from lazarus_pit.cells import provision
from lazarus_pit.core.model import CellStatus, Role, Rules
from lazarus_pit.daemon.post import Post
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.formats.manifest import Kind, Manifest, Member

if TYPE_CHECKING:
    from pathlib import Path

    from lazarus_pit.cells.checkpoint.save import Saved
    from lazarus_pit.cells.layout import CellPaths


def asked(root: Path, *, closed: bool) -> tuple[list[str], list[str]]:
    """Have a checkpoint asked for on a machine that starts no process; what was said, and tried."""
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE)
    cell = provision.create_cell(root, wanted, provision.agent_owner())
    said, tried = list[str](), list[str]()

    async def take(_paths: CellPaths, note: str) -> Saved:
        tried.append(note)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    async def ask() -> None:
        loop = asyncio.get_running_loop()
        faults = list[object]()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        roster = Roster(root, Rules(), lambda _: None)
        roster.sweep()
        post = Post(loop, roster, {}, lambda _: None, lambda *_: None, take)
        if closed:
            post.close()
        post._save(cell.uuid, "a note", said.append)
        for _ in range(3):
            await asyncio.sleep(0)
        if not closed:
            post.close()
        assert faults == []

    asyncio.run(ask())
    return said, tried


def test_a_checkpoint_that_cannot_even_begin_is_answered(tmp_path: Path) -> None:
    said, _ = asked(tmp_path, closed=False)
    assert said == ["no checkpoint was taken: [Errno 11] Resource temporarily unavailable"]


def test_a_daemon_that_ends_begins_no_checkpoint(tmp_path: Path) -> None:
    assert asked(tmp_path, closed=True) == ([], [])


def test_the_bus_forgets_a_cell_that_is_gone(tmp_path: Path) -> None:
    people = [Member(name=name, role=Role.DEVELOPER, kind=Kind.HUMAN) for name in ("ann", "bob")]
    wanted = Manifest(
        uuid=provision.new_uuid(), status=CellStatus.ACTIVE, agents=(people[0], people[1])
    )
    cell = provision.create_cell(tmp_path, wanted, provision.agent_owner())
    mail.send(mail.Seat(str(cell.inbox("ann")), str(cell.outbox("ann"))), "bob", "hello")

    async def come_and_go() -> None:
        loop = asyncio.get_running_loop()
        roster = Roster(tmp_path, Rules(), lambda _: None)
        roster.sweep()
        told = asyncio.Event()
        post = Post(loop, roster, {}, lambda _: told.set(), lambda *_: None, never)
        post.attend(roster.cells)
        await asyncio.wait_for(told.wait(), 20)
        assert post._router._boxes
        provision.destroy_cell(cell, force=True)
        roster.sweep()
        assert roster.take_ended() == [cell.uuid]
        post.forget(cell.uuid)
        await loop.run_in_executor(post._thread, lambda: None)  # What came before it is done.
        post.close()
        assert (post._router._boxes, post._router._counters) == ({}, {})

    asyncio.run(come_and_go())


async def never(_paths: CellPaths, _note: str) -> Saved:
    raise AssertionError
