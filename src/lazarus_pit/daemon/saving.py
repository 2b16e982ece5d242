"""Checkpoints of a living cell: who stands still for them, what is told, what is thrown away.

The work itself is done by a worker process (``cells/checkpoint``), so that the loop never waits
for a disk; this is its parent, which thaws the cell whatever becomes of the worker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from lazarus_pit.cells import journal, store
from lazarus_pit.cells.checkpoint import retention, shelf
from lazarus_pit.cells.checkpoint.restore import recover, remove_tree
from lazarus_pit.cells.checkpoint.retention import Kept
from lazarus_pit.cells.checkpoint.run import run
from lazarus_pit.cells.checkpoint.save import Saved, SaveRequest
from lazarus_pit.cells.checkpoint.worker import Order, Progress
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus, Life
from lazarus_pit.errors import FormatError, StoreError, WorldError
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Manifest
from lazarus_pit.sandboxes import lives

log = logging.getLogger(__name__)

FREE_FLOOR = 64 * 1024 * 1024
"""Bytes that must be free before a checkpoint begins: supervision needs the rest of the disk."""

Tell = Callable[[Progress], None]


class Stillness:
    """The freezer of one cell: every life of it stands still, and moves again afterwards."""

    def __init__(self, paths: CellPaths, found: Sequence[Life]) -> None:
        """Freeze exactly these lives of the cell at ``paths``."""
        self._paths = paths
        self._lives = found

    async def freeze(self) -> tuple[int, ...]:
        """Stop every process of the cell and return their ids.

        Raises:
            WorldError: one of them would not stand still; all move again.
        """
        try:
            for life in self._lives:
                if lives.is_alive(life):
                    await asyncio.to_thread(lives.freeze, life)
        except OSError as error:
            await self.thaw()
            raise WorldError(f"the cell does not stand still: {error}") from None
        return tuple(pid for life in self._lives for pid in lives.members(life))

    async def thaw(self) -> None:
        """Let them move again, unless people want the cell frozen."""
        try:
            if store.read_manifest(self._paths).status is CellStatus.FROZEN:
                return
        except (FormatError, StoreError) as error:
            log.warning("thawing a cell whose wishes cannot be read: %s", error)
        for life in self._lives:
            try:
                await asyncio.to_thread(lives.thaw, life)
            except OSError as error:
                log.warning("a life does not move again: %s", error)


def thaw_files(found: Iterable[Life]) -> tuple[str, ...]:
    """Return the files that a worker without a parent writes to, so that a thaw is guaranteed."""
    return tuple(f"{life.cgroup}/cgroup.freeze" for life in found if life.cgroup)


async def save(paths: CellPaths, found: Sequence[Life], note: str, tell: Tell) -> Saved:
    """Take a checkpoint of a cell, living or not, then discard what retention no longer keeps.

    Raises:
        WorldError: it could not be taken; nothing has changed.
        RefusedError: another checkpoint of this cell is being taken.
    """
    manifest = store.read_manifest(paths)
    frozen = manifest.status is CellStatus.FROZEN
    request = SaveRequest(
        cell=str(paths.cell), store=str(paths.checkpoints), note=note, room=FREE_FLOOR
    )
    order = Order(request=request, thaw_files=() if frozen else thaw_files(found))
    saved: Saved = await run(order, Stillness(paths, found), tell)
    note_event(
        paths,
        "checkpoint_taken",
        checkpoint=saved.name,
        bytes=saved.size,
        entries=saved.entries,
        pause=round(saved.pause_seconds, 6),
        left_out=len(saved.left_out),
        note=note,
    )
    _discard(paths, manifest, saved.name)
    return saved


def _discard(paths: CellPaths, manifest: Manifest, newest: str) -> None:
    """Throw away what nobody wants kept, and what the last restore had replaced."""
    try:
        rule = msgspec.convert(manifest.checkpoints_kept, Kept)
    except msgspec.ValidationError as error:
        log.warning("checkpoints_kept of %s: %s; nothing is discarded", paths.uuid, error)
        return
    for name in retention.expired(shelf.checkpoints(paths.checkpoints), rule, (newest,)):
        shelf.discard(paths.checkpoints, name)
        note_event(paths, "checkpoint_discarded", checkpoint=name)
    clear_staging(paths)


def clear_staging(paths: CellPaths) -> None:
    """Finish a restore that was cut short, then remove what it had replaced."""
    if paths.restoring.is_dir():
        recover(paths.cell, paths.restoring)
        remove_tree(paths.restoring)


def note_event(paths: CellPaths, event: str, **data: Any) -> None:
    """Write down what happened to a cell; a disk that refuses costs the line, not the work."""
    line = Event(ts=to_rfc3339(time.time(), 3), event=event, cell=paths.uuid, data=data)
    try:
        journal.append_events(paths.events, [line])
    except (StoreError, FormatError) as error:
        log.warning("%s of %s is not in its journal: %s", event, paths.uuid, error)


class Rounds:
    """The checkpoints that the daemon takes by itself, one at a time over the whole fleet."""

    def __init__(self) -> None:
        """Nothing is due before its first interval has passed."""
        self._last: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None

    def go(self, due: Iterable[tuple[CellPaths, Manifest, Sequence[Life]]], now: float) -> None:
        """Begin the one checkpoint that is longest overdue, unless one is being taken.

        ``due`` are the active cells with what lives in them; ``now`` is a monotonic instant.
        """
        if self._task is not None and not self._task.done():
            return
        worst: tuple[float, CellPaths, Sequence[Life]] | None = None
        for paths, manifest, found in due:
            every = manifest.checkpoint_interval
            if not every or manifest.status is not CellStatus.ACTIVE:
                continue
            overdue = now - self._last.setdefault(paths.uuid, now) - every
            if overdue >= 0 and (worst is None or overdue > worst[0]):
                worst = (overdue, paths, found)
        if worst is not None:
            _, paths, found = worst
            self._last[paths.uuid] = now
            self._task = asyncio.create_task(_take(paths, found))

    def close(self) -> None:
        """Give up the one that is being taken; its parent thaws the cell."""
        if self._task is not None:
            self._task.cancel()


async def _take(paths: CellPaths, found: Sequence[Life]) -> None:
    """Take one checkpoint; what goes wrong is told and is no reason to stop watching."""
    try:
        await save(paths, found, "by interval", lambda _: None)
    except Exception as error:  # noqa: BLE001 - whatever it was, the next interval tries again
        log.warning("no checkpoint of %s: %s", paths.uuid, error)
        note_event(paths, "checkpoint_failed", why=str(error))
