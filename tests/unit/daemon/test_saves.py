"""Checkpoints of the daemon's own: shared while they can be, one at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from lazarus_pit.cells import provision
from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus
from lazarus_pit.daemon.saves import Saves
from lazarus_pit.formats.manifest import Manifest


def a_cell(root: Path) -> CellPaths:
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE)
    return provision.create_cell(root, wanted, provision.agent_owner())


def test_a_cell_in_which_many_hang_at_once_is_saved_once(tmp_path: Path) -> None:
    cell = a_cell(tmp_path)

    async def all_at_once() -> None:
        saves = Saves(lambda _: [])
        names = {
            saved.name
            for saved in await asyncio.gather(
                *(saves.take(cell, "many", rescue=True) for _ in range(20))
            )
        }
        assert len(names) == 1
        assert (await saves.take(cell, "later", rescue=True)).name not in names

    asyncio.run(all_at_once())
    assert len(shelf.checkpoints(cell.checkpoints)) == 2


def test_what_nobody_waits_for_any_more_is_not_begun(tmp_path: Path) -> None:
    first, second = a_cell(tmp_path), a_cell(tmp_path)

    async def given_up() -> None:
        saves = Saves(lambda _: [])
        begun = asyncio.ensure_future(saves.take(first, "first"))
        waits = asyncio.ensure_future(saves.take(second, "second"))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        await begun

    asyncio.run(given_up())
    assert len(shelf.checkpoints(first.checkpoints)) == 1
    assert shelf.checkpoints(second.checkpoints) == []


def test_who_asks_just_as_the_last_one_gives_up_gets_a_checkpoint(tmp_path: Path) -> None:
    first, second = a_cell(tmp_path), a_cell(tmp_path)

    async def relieved() -> None:
        saves = Saves(lambda _: [])
        begun = asyncio.ensure_future(saves.take(first, "first"))
        waits = asyncio.ensure_future(saves.take(second, "second"))
        await asyncio.sleep(0)
        waits.cancel()  # Both happen in one turn of the event loop.
        comes = asyncio.ensure_future(saves.take(second, "third"))
        await asyncio.gather(begun, comes)

    asyncio.run(relieved())
    assert len(shelf.checkpoints(second.checkpoints)) == 1
