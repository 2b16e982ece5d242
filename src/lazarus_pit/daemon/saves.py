"""Every checkpoint that the daemon takes by itself: one at a time over the whole fleet.

Whoever needs one of a cell whose agents have not yet stood still for it shares that one, so that a
cell in which many hang at once is saved once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lazarus_pit.cells.checkpoint.save import Saved
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus, Life, Seconds
from lazarus_pit.daemon import saving
from lazarus_pit.daemon.saving import Stillness
from lazarus_pit.errors import RefusedError, WorldError
from lazarus_pit.formats.manifest import Manifest

log = logging.getLogger(__name__)

LONGEST: Seconds = 3600.0
"""A checkpoint that takes longer is given up: others wait for it."""
LOCKED: Seconds = 60.0
"""How long to wait for somebody else who saves or restores the same cell."""
LOOK_AGAIN: Seconds = 0.2
BY_INTERVAL = "by interval"


@dataclass(slots=True, eq=False)
class _Shared:
    """A checkpoint that is being taken, or waits for its turn."""

    stillness: Stillness
    task: asyncio.Task[Saved] | None = None
    has_turn: bool = False
    waiting: int = 0

    @property
    def can_be_shared(self) -> bool:
        """Whether nobody stands still for it yet, and it was not just given up."""
        given_up = self.task is not None and self.task.cancelling()
        return not (self.stillness.began or given_up)


class Saves:
    """The checkpoints that are under way."""

    def __init__(self, lives: Callable[[str], list[Life]]) -> None:
        """``lives`` returns who lives in a cell now, by its uuid."""
        self._lives = lives
        self._turn = asyncio.Semaphore(1)
        self._shared: dict[tuple[str, bool], _Shared] = {}
        self._tasks: set[asyncio.Task[Saved]] = set()

    async def take(self, paths: CellPaths, note: str, *, rescue: bool = False) -> Saved:
        """Take a checkpoint, or share one that is not frozen yet.

        One that nobody waits for any more is not begun.

        Raises:
            LazarusError: it could not be taken.
        """
        shared = self._shared.get((paths.uuid, rescue))
        if shared is None or not shared.can_be_shared:
            shared = self._begin(paths, note, rescue=rescue)
        assert shared.task is not None  # noqa: S101 - _begin has set it
        shared.waiting += 1
        try:
            return await asyncio.shield(shared.task)
        finally:
            shared.waiting -= 1
            if not shared.waiting and not shared.has_turn:
                shared.task.cancel()

    def close(self) -> None:
        """Give up what is being taken; the parent of each worker thaws its cell."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, paths: CellPaths, note: str, *, rescue: bool) -> _Shared:
        shared = _Shared(Stillness(paths, lambda: self._lives(paths.uuid)))
        shared.task = asyncio.create_task(self._take(paths, note, shared, rescue=rescue))
        self._shared[paths.uuid, rescue] = shared
        self._tasks.add(shared.task)
        shared.task.add_done_callback(lambda task: self._ended((paths.uuid, rescue), shared, task))
        return shared

    def _ended(self, which: tuple[str, bool], shared: _Shared, task: asyncio.Task[Saved]) -> None:
        self._tasks.discard(task)
        if self._shared.get(which) is shared:
            del self._shared[which]
        if not task.cancelled():
            task.exception()  # Seen, although nobody may wait for it any more.

    async def _take(self, paths: CellPaths, note: str, shared: _Shared, *, rescue: bool) -> Saved:
        async with self._turn:
            shared.has_turn = True
            try:
                async with asyncio.timeout(LONGEST):
                    return await _patiently(paths, note, shared.stillness, rescue=rescue)
            except TimeoutError:
                raise WorldError(f"no checkpoint within {LONGEST:g} s") from None


async def _patiently(paths: CellPaths, note: str, stillness: Stillness, *, rescue: bool) -> Saved:
    """Save, once whoever saves or restores the same cell by hand has done."""
    deadline = asyncio.get_running_loop().time() + LOCKED
    while True:
        try:
            return await saving.save(paths, stillness, note, lambda _: None, rescue=rescue)
        except RefusedError:
            if asyncio.get_running_loop().time() >= deadline:
                raise
        await asyncio.sleep(LOOK_AGAIN)


class Rounds:
    """The checkpoints by interval."""

    def __init__(self, saves: Saves) -> None:
        """Nothing is due before its first interval has passed."""
        self._saves = saves
        self._last: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def go(self, cells: Iterable[tuple[CellPaths, Manifest]], now: float) -> None:
        """Begin the one checkpoint that is longest overdue, unless one is being taken.

        ``cells`` are those with an interval; ``now`` is a monotonic instant.
        """
        if self._task is not None and not self._task.done():
            return
        worst: tuple[float, CellPaths] | None = None
        for paths, manifest in cells:
            every = manifest.checkpoint_interval
            if not every or manifest.status is not CellStatus.ACTIVE:
                continue
            overdue = now - self._last.setdefault(paths.uuid, now) - every
            if overdue >= 0 and (worst is None or overdue > worst[0]):
                worst = (overdue, paths)
        if worst is not None:
            _, paths = worst
            self._last[paths.uuid] = now
            self._task = asyncio.create_task(self._take(paths))

    def forget(self, uuid: str) -> None:
        """Remember nothing of a cell that is gone."""
        self._last.pop(uuid, None)

    def close(self) -> None:
        """Wait for none any more."""
        if self._task is not None:
            self._task.cancel()

    async def _take(self, paths: CellPaths) -> None:
        """Take one checkpoint; what goes wrong is told and is no reason to stop watching."""
        try:
            await self._saves.take(paths, BY_INTERVAL)
        except Exception as error:  # noqa: BLE001 - whatever it was, the next interval tries again
            log.warning("no checkpoint of %s: %s", paths.uuid, error)
            saving.note_event(paths, "checkpoint_failed", why=str(error))
