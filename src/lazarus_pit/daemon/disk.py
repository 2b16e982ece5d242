"""Quotas of disk, by watching: who keeps more than allowed stands still until there is room again.

A file system that counts for itself needs no walk. Elsewhere a walk goes on in a thread, a little
at a time; it begins early when the disk fills fast. Nothing is killed and nothing deleted: frozen
agents write no more, people are told, and as soon as there is room, or more is allowed, they go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells import usage
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.usage import MovedError
from lazarus_pit.core.events import Told
from lazarus_pit.core.model import Key, Life
from lazarus_pit.daemon.roster import Cell, Roster, Stamp
from lazarus_pit.formats.limits import (
    MEGABYTE,
    NO_ROOM,
    Limits,
    limits_of_agent,
    limits_of_cell,
)
from lazarus_pit.linux import procfs
from lazarus_pit.sandboxes import lives

log = logging.getLogger(__name__)

GLANCE = 1.0
"""Seconds between two looks at how full the disk is."""
SLICE = 0.02
"""Seconds of walking at a stretch."""
REST = 0.08
"""Seconds of rest after each: a fifth of a processor at most."""


class Target(NamedTuple):
    """What is measured: a cell (a key without a name), or what one agent has to itself."""

    key: Key
    places: tuple[Path, ...]
    quota: int
    """Bytes."""


class Measured(NamedTuple):
    """What came of it, and how much room the disk had then; all in bytes."""

    used: int
    free: int
    at: float


class Disk:
    """All quotas of disk in this pit."""

    def __init__(
        self,
        roster: Roster,
        base: Limits,
        tell: Callable[[Told], None],
        changed: Callable[[str], None],
        running: Mapping[Key, tuple[int, Life]],
    ) -> None:
        """Watch the cells of ``roster``; call ``changed`` with the uuid of one to judge anew."""
        self._roster = roster
        self._running = running
        self._base = base
        self._tell = tell
        self._changed = changed
        self._known: dict[str, tuple[Stamp, tuple[Target, ...]]] = {}
        """What of each cell has a quota, by the stamp of the manifest that says so."""
        self._targets: dict[Key, Target] = {}
        self._measured: dict[Key, Measured] = {}
        self._tried: set[Key] = set()
        """What was looked at to the end, or could not be."""

    def sweep(self) -> None:
        """See who has a quota now; who has none any more is let go."""
        known, self._known = self._known, {}
        for uuid, cell in self._roster.cells.items():
            before = known.get(uuid)
            if before is None or before[0] != cell.stamp:
                before = (cell.stamp, tuple(targets(cell, self._base)))
            self._known[uuid] = before
        wanted = (target for _, found in self._known.values() for target in found)
        self._targets = {target.key: target for target in wanted}
        for key in [key for key in self._roster.overfull if key not in self._targets]:
            self._judge(Target(key, (), 0), over=False, used=0)
        self._measured = {k: m for k, m in self._measured.items() if k in self._targets}
        self._tried &= self._targets.keys()
        self._settle()

    def recall(self, keys: Iterable[Key]) -> None:
        """Keep those still who stood still before a restart: one of them may have had no room."""
        self._roster.unsettled.update(keys)

    def _settle(self) -> None:
        """Let go whose quotas were all looked at by now, or who has none: the sums have judged."""
        unsettled = self._roster.unsettled
        waiting = self._targets.keys() - self._tried
        done = {key for key in unsettled if not {key, f"{key.partition('/')[0]}/"} & waiting}
        unsettled -= done
        for uuid in {key.partition("/")[0] for key in done}:
            self._changed(uuid)

    def quota(self, key: Key) -> str | None:
        """Say what an agent or a cell may keep and did at the last measuring; None: no quota."""
        target, last = self._targets.get(key), self._measured.get(key)
        if target is None:
            return None
        used = f"{last.used // MEGABYTE} used" if last else "not measured yet"
        over = f"; {NO_ROOM}" if key in self._roster.overfull else ""
        return f"{target.quota // MEGABYTE} by watching: {used}{over}"

    async def watch(self, every: float) -> None:
        """Measure for ever, each target at least every so many seconds, sooner if it is urgent."""
        while True:
            now = time.monotonic()
            for target in list(self._targets.values()):
                if self._is_due(target, now, every):
                    await self._measure(target)
            await asyncio.sleep(min(GLANCE, every))

    def _is_due(self, target: Target, now: float, every: float) -> bool:
        """Whether it is time, or the disk has lost so much room that it may be this one's doing."""
        last = self._measured.get(target.key)
        if last is None or now - last.at >= every:
            return True
        lost = last.free - _free(target.places[0])
        return lost > 0 and last.used + 2 * lost > target.quota

    async def _measure(self, target: Target) -> None:
        free = _free(target.places[0])
        used = 0
        try:
            if usage.is_within(target.places[0], target.quota):
                walk: Iterator[int] = iter(())
            else:
                walk = usage.measure(target.places, target.quota, self._held(target.key))
            while (found := await asyncio.to_thread(_stroll, walk)) is not None:
                used = found
                await asyncio.sleep(REST)
        except MovedError:
            return  # Somebody plays with directories; the next walk may have more luck.
        except OSError as error:
            log.debug("%s cannot be measured: %s", target.key, error)
        else:
            self._measured[target.key] = Measured(used, free, time.monotonic())
            self._judge(target, over=used > target.quota, used=used)
        self._tried.add(target.key)
        self._settle()

    def _held(self, key: Key) -> Iterator[os.stat_result]:
        """What the lives of a cell, or one agent's, hold open: removed files take room until then.

        Not a step of it is done before the walk, and so outside the loop's thread.
        """
        whose = [
            life
            for one, (_, life) in self._running.items()
            if one == key or (key.endswith("/") and one.startswith(key))
        ]
        return (
            found for life in whose for pid in lives.members(life) for found in procfs.held(pid)
        )

    def _judge(self, target: Target, *, over: bool, used: int) -> None:
        if over == (target.key in self._roster.overfull):
            return
        data = {"limit": "disk_mb", "value": target.quota // MEGABYTE}
        if over:
            self._roster.overfull.add(target.key)
            reading = {"used_mb": used // MEGABYTE, "action": "frozen"}
            self._tell(Told(event="limit_reached", key=target.key, data={**data, **reading}))
        else:
            self._roster.overfull.discard(target.key)
            self._tell(Told(event="limit_cleared", key=target.key, data=data))
        self._changed(target.key.partition("/")[0])


def targets(cell: Cell, base: Limits) -> Iterator[Target]:
    """Return what of a cell has a quota."""
    paths, manifest = cell.paths, cell.manifest
    whole = limits_of_cell(base, manifest.limits).disk_mb
    if whole:
        shared = (paths.workspace, paths.homes, paths.outboxes)
        beats = tuple(paths.beats(name) for name in cell.enlisted)
        yield Target(f"{paths.uuid}/", (*shared, *beats), whole * MEGABYTE)
    for member in manifest.agents:
        own = limits_of_agent(base, manifest.limits, member.limits).disk_mb
        if own and member.command:
            yield Target(f"{paths.uuid}/{member.name}", _own(paths, member.name), own * MEGABYTE)


def _own(paths: CellPaths, name: str) -> tuple[Path, ...]:
    return (paths.home(name), paths.outbox(name), paths.beats(name))


def _stroll(walk: Iterator[int]) -> int | None:
    """Walk for a slice of time and return the sum so far; ``None`` when there is nothing left."""
    until = time.monotonic() + SLICE
    found = None
    for found in walk:  # noqa: B007 - the last one is what counts
        if time.monotonic() >= until:
            break
    return found


def _free(place: Path) -> int:
    with contextlib.suppress(OSError):
        found = os.statvfs(place)
        return found.f_bfree * found.f_frsize
    return 0
