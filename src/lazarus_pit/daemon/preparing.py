"""What is done before a life begins: the cell goes back to a checkpoint, or a home is emptied.

The core has seen to it that nobody of the cell lives or begins meanwhile. Nothing is thrown away
before it lies in a checkpoint of its own; where that cannot be taken, all stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from lazarus_pit.cells import provision
from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.checkpoint.restore import WORK, Restored, RestoreRequest
from lazarus_pit.cells.checkpoint.run import Still, run
from lazarus_pit.cells.checkpoint.shelf import Checkpoint
from lazarus_pit.cells.checkpoint.worker import Order
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.provision import Owner
from lazarus_pit.cells.remove import remove_tree
from lazarus_pit.core.events import CellSaved, Fact, Prepare, Prepared, SaveCell
from lazarus_pit.core.model import Key, OnRevive, Seconds
from lazarus_pit.daemon import saving
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.daemon.saves import LOOK_AGAIN, Saves
from lazarus_pit.errors import FormatError, WorldError
from lazarus_pit.formats.manifest import Member

log = logging.getLogger(__name__)

STANDS_STILL: Seconds = 30.0
"""Nobody stands still for a checkpoint for longer."""


class Preparing:
    """The preparations and rescues that are under way, each in a task of its own."""

    def __init__(
        self, roster: Roster, saves: Saves, owner: Owner, offer: Callable[[Key, Fact], None]
    ) -> None:
        """Find cells in ``roster``, save them through ``saves``, answer through ``offer``."""
        self._roster = roster
        self._saves = saves
        self._owner = owner
        self._offer = offer
        self._tasks: dict[tuple[Key, int], asyncio.Task[None]] = {}

    def prepare(self, order: Prepare) -> None:
        """Begin a preparation; asked again it goes on as before."""
        self._begin(order, self._prepared(order))

    def save(self, order: SaveCell) -> None:
        """Begin the checkpoint before a kill; asked again it goes on as before."""
        self._begin(order, self._saved(order))

    def abandon(self, key: Key, generation: int, then: Callable[[], None]) -> bool:
        """Give up what is done for a life; ``False`` if there is nothing.

        ``then`` is called when it has really ended: what it had begun is whole or undone.
        """
        task = self._tasks.get((key, generation))
        if task is None:
            return False
        if not task.cancelling():
            task.add_done_callback(lambda _: then())
            task.cancel()
        return True

    async def captured(self, key: Key) -> None:
        """Wait while somebody saves the cell of an agent: it may stand still for that."""
        with contextlib.suppress(KeyError):
            store = self._roster.member(key)[0].paths.checkpoints
            for _ in range(int(STANDS_STILL / LOOK_AGAIN)):
                if not shelf.is_held(store):
                    return
                await asyncio.sleep(LOOK_AGAIN)

    def close(self) -> None:
        """Give up everything; the next daemon is asked for it again."""
        for task in self._tasks.values():
            task.cancel()

    def _begin(self, order: Prepare | SaveCell, work: Coroutine[Any, Any, Fact]) -> None:
        life = (order.key, order.generation)
        if life in self._tasks:
            work.close()
            return

        async def answered() -> None:
            self._offer(order.key, await work)

        task = self._tasks[life] = asyncio.create_task(answered())
        task.add_done_callback(lambda _: self._tasks.pop(life, None))

    async def _saved(self, order: SaveCell) -> CellSaved:
        try:
            cell, member = self._roster.member(order.key)
            note = f"before {member.name} is ended"
            saved = await self._saves.take(cell.paths, note, rescue=True)
        except Exception as error:  # noqa: BLE001 - whatever it was, the kill must not wait for it
            why = _words(error)
            log.warning("%s is ended without a checkpoint: %s", order.key, why)
            return CellSaved(generation=order.generation, why=why)
        return CellSaved(generation=order.generation, checkpoint=saved.name)

    async def _prepared(self, order: Prepare) -> Prepared:
        try:
            cell, member = self._roster.member(order.key)
            do = self._restore if order.how is OnRevive.RESTORE else self._empty
            done = await do(cell.paths, member)
        except Exception as error:  # noqa: BLE001 - whatever it was, the life begins as it can
            why = _words(error)
            log.warning("%s resumes: %s", order.key, why)
            return Prepared(generation=order.generation, why=why)
        return Prepared(generation=order.generation, done=done)

    async def _restore(self, paths: CellPaths, member: Member) -> str:
        good = await asyncio.to_thread(lambda: list(saving.good_ones(paths)))
        if not good:
            raise WorldError("there is no checkpoint to go back to")
        note = f"before {member.name} goes back to an earlier one"
        rescued = await self._saves.take(paths, note, rescue=True)
        for one in good:
            try:
                done = await _put_back(paths, one)
            except FormatError as error:  # It has rotted: an older one may be sound.
                log.warning("%s is passed over: %s", one.archive, error)
                continue
            facts = {"replaced": done.replaced, "reopened": done.reopened}
            saving.note_event(
                paths, "cell_restored", checkpoint=one.name, rescued=rescued.name, **facts
            )
            return f"the cell is as in {one.name}; as it was, it is in {rescued.name}"
        raise WorldError("none of its checkpoints is sound")

    async def _empty(self, paths: CellPaths, member: Member) -> str:
        rescued = await self._saves.take(paths, f"before {member.name} begins afresh", rescue=True)
        await asyncio.to_thread(_empty_home, paths, member, self._owner)
        return f"its home is empty; as it was, it is in {rescued.name}"


async def _put_back(paths: CellPaths, one: Checkpoint) -> Restored:
    """Restore; cut short it is finished or forgotten before anybody begins to live in it."""
    request = RestoreRequest(
        cell=str(paths.cell), archive=str(one.archive), staging=str(paths.restoring), parts=WORK
    )
    try:
        await asyncio.to_thread(saving.make_way, paths)
        done: Restored = await run(Order(request=request), Still(), lambda _: None)
    except BaseException:
        await asyncio.shield(asyncio.to_thread(saving.make_way, paths))
        raise
    return done


def _empty_home(paths: CellPaths, member: Member, owner: Owner) -> None:
    """Put an empty home in the place of the old one. Raises ``OSError``."""
    old = paths.former_home(member.name)
    with contextlib.suppress(FileNotFoundError):
        remove_tree(old)
    with contextlib.suppress(FileNotFoundError):
        paths.home(member.name).rename(old)
    provision.make_member(paths, member, owner)
    with contextlib.suppress(FileNotFoundError):
        remove_tree(old)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
