"""Checkpoints that coordinators ask for: what goes wrong with one is said, and ends nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lazarus_pit.cells import provision
from lazarus_pit.core.model import CellStatus, Rules
from lazarus_pit.daemon.post import Post
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.formats.manifest import Manifest

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
