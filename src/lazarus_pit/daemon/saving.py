"""Checkpoints of a living cell: who stands still for them, what is told, what is thrown away.

The work itself is done by a worker process (``cells/checkpoint``), so that the loop never waits
for a disk; this is its parent, which thaws the cell whatever becomes of the worker.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from lazarus_pit.cells import journal, store
from lazarus_pit.cells.checkpoint import retention, shelf
from lazarus_pit.cells.checkpoint.restore import is_done, recover, remove_tree
from lazarus_pit.cells.checkpoint.retention import Kept
from lazarus_pit.cells.checkpoint.run import run
from lazarus_pit.cells.checkpoint.save import Saved, SaveRequest
from lazarus_pit.cells.checkpoint.source import about_of
from lazarus_pit.cells.checkpoint.worker import Order, Progress
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus, Life
from lazarus_pit.errors import FormatError, RefusedError, StoreError, UsageError, WorldError
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Manifest
from lazarus_pit.sandboxes import lives

log = logging.getLogger(__name__)

FREE_FLOOR = 64 * 1024 * 1024
"""Bytes that must be free before a checkpoint begins: supervision needs the rest of the disk."""

Tell = Callable[[Progress], None]
Lives = Callable[[], Sequence[Life]]
"""Asked at the freeze: who lives in the cell by then."""


class Stillness:
    """The freezer of one cell: every life of it stands still, and moves again afterwards."""

    def __init__(self, paths: CellPaths, found: Lives) -> None:
        """Freeze the lives that the cell at ``paths`` has when it comes to that."""
        self._paths = paths
        self.found = found
        self._lives: Sequence[Life] = ()
        self.began = False
        """Whether the cell has been frozen: what happens from now on is not in the checkpoint."""

    async def freeze(self) -> tuple[int, ...]:
        """Stop every process of the cell and return their ids.

        Raises:
            WorldError: one of them would not stand still; all move again.
        """
        self.began = True
        alive = [life for life in self.found() if lives.is_alive(life)]
        # Whoever stands still already shall do so afterwards: people, a limit or idleness want it.
        self._lives = [life for life in alive if not lives.stands_still(life)]
        try:
            for life in self._lives:
                await asyncio.to_thread(lives.freeze, life)
        except OSError as error:
            await self.thaw()
            raise WorldError(f"the cell does not stand still: {error}") from None
        return tuple(pid for life in alive for pid in lives.members(life))

    async def thaw(self) -> None:
        """Let them move again, unless the cell shall be frozen by now."""
        try:
            frozen = store.read_manifest(self._paths).status is CellStatus.FROZEN
            if frozen or self._paths.asleep.exists():
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
    return tuple(
        f"{life.cgroup}/cgroup.freeze"
        for life in found
        if life.cgroup and not lives.stands_still(life)
    )


async def save(  # noqa: PLR0913 - a checkpoint is these facts
    paths: CellPaths,
    stillness: Stillness,
    note: str,
    tell: Tell,
    *,
    rescue: bool = False,
    by: str = "",
) -> Saved:
    """Take a checkpoint of a cell, living or not, then discard what retention no longer keeps.

    ``rescue``: the cell is about to be killed or replaced, so nobody goes back to it unasked.
    ``by``: who wants it, where that is a person.

    Raises:
        WorldError: it could not be taken; nothing has changed.
        RefusedError: another checkpoint of this cell is being taken.
    """
    manifest = store.read_manifest(paths)
    frozen = manifest.status is CellStatus.FROZEN
    request = SaveRequest(
        cell=str(paths.cell),
        store=str(paths.checkpoints),
        note=note,
        rescue=rescue,
        room=FREE_FLOOR,
    )
    order = Order(request=request, thaw_files=() if frozen else thaw_files(stillness.found()))
    saved: Saved = await run(order, stillness, tell)
    note_event(
        paths,
        "checkpoint_taken",
        checkpoint=saved.name,
        bytes=saved.size,
        entries=saved.entries,
        pause=round(saved.pause_seconds, 6),
        left_out=len(saved.left_out),
        note=note,
        **({"by": by} if by else {}),
    )
    _discard(paths, manifest, saved.name)
    return saved


async def write(
    paths: CellPaths, stillness: Stillness, store: Path, parts: tuple[str, ...], tell: Tell
) -> Saved:
    """Save parts of a cell into a directory of its own, elsewhere.

    Raises:
        WorldError: it could not be taken; nothing has changed.
    """
    request = SaveRequest(cell=str(paths.cell), store=str(store), parts=parts, note="export")
    order = Order(request=request, thaw_files=thaw_files(stillness.found()))
    saved: Saved = await run(order, stillness, tell)
    return saved


def _discard(paths: CellPaths, manifest: Manifest, newest: str) -> None:
    """Throw away what nobody wants kept, and what the last restore had replaced."""
    try:
        rule = msgspec.convert(manifest.checkpoints_kept, Kept)
    except msgspec.ValidationError as error:
        log.warning("checkpoints_kept of %s: %s; nothing is discarded", paths.uuid, error)
        return
    with suppress(RefusedError), shelf.locked(paths.checkpoints):
        known = shelf.checkpoints(paths.checkpoints)
        good = next(good_ones(paths), None)
        protected = (newest, good.name) if good else (newest,)
        for name in retention.expired(known, rule, protected):
            shelf.discard(paths.checkpoints, name)
            note_event(paths, "checkpoint_discarded", checkpoint=name)
        _clear(paths)


def good_ones(paths: CellPaths) -> Iterator[shelf.Checkpoint]:
    """Yield the checkpoints that were not taken just before a kill or a restore, newest first."""
    for one in reversed(shelf.checkpoints(paths.checkpoints)):
        try:
            rescue = about_of(one.archive).rescue
        except (FormatError, UsageError) as error:
            log.warning("%s is passed over: %s", one.archive, error)
            continue
        if not rescue:
            yield one


def find(paths: CellPaths, wanted: str) -> shelf.Checkpoint:
    """Find the checkpoint to go back to; ``latest`` passes over those before a kill or a restore.

    Raises:
        UsageError: there is none like that; it says what there is.
    """
    good = next(good_ones(paths), None) if wanted == "latest" else None
    return good or shelf.find(paths.checkpoints, wanted)


def make_way(paths: CellPaths) -> None:
    """Finish a restore that was cut short, and put aside what it had replaced.

    That stays until the next checkpoint, however many restores come before it.

    Raises:
        RefusedError: the cell is being saved or restored at this moment.
        OSError: it could not be moved or removed.
    """
    if not paths.restoring.is_dir():
        return
    with shelf.locked(paths.checkpoints):
        recover(paths.cell, paths.restoring)
        if is_done(paths.restoring):
            paths.replaced.mkdir(mode=0o700, exist_ok=True)
            paths.restoring.rename(paths.replaced / str(time.time_ns()))
        else:
            remove_tree(paths.restoring)


def _clear(paths: CellPaths) -> None:
    """Remove what restores had replaced."""
    if paths.restoring.is_dir():
        recover(paths.cell, paths.restoring)
        remove_tree(paths.restoring)
    if paths.replaced.is_dir():
        remove_tree(paths.replaced)


def note_event(paths: CellPaths, event: str, **data: Any) -> None:
    """Write down what happened to a cell; a disk that refuses costs the line, not the work."""
    line = Event(ts=to_rfc3339(time.time(), 3), event=event, cell=paths.uuid, data=data)
    try:
        journal.append_events(paths.events, [line])
    except (StoreError, FormatError) as error:
        log.warning("%s of %s is not in its journal: %s", event, paths.uuid, error)
