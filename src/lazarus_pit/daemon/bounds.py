"""Limits that were reached: what cgroups have counted and logs that were put aside, told by name.

The kernel says when a group comes up against its limit (inotify(7) on its event file), where it
does; besides, some lives are looked at with each sweep, and each one at its end. A limit is told
once an episode: again only after it has not been reached for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lazarus_pit.core.events import Told
from lazarus_pit.core.model import Key, Life
from lazarus_pit.daemon.disk import Disk
from lazarus_pit.daemon.logs import Logs
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.formats.limits import LIMITS, NONE, Limits, limits_of_agent, limits_of_cell
from lazarus_pit.linux import inotify
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes import limits
from lazarus_pit.sandboxes.limits import Reached

EPISODE = 60.0
"""Seconds without reaching a limit after which reaching it is news again."""
SWEEP_SLICE = 16
"""Lives looked at with each sweep: a bound on work, whatever the fleet."""

_Case = tuple[str, str]
"""Whose limit (a life's key, or a cell's with no name) and which."""


class Means(NamedTuple):
    """By what lives are bound here."""

    base: Limits
    """The configuration's."""
    tree: Tree | None
    namespace: bool
    """Whether each life has namespaces of its own."""


class Bounds:
    """Watches what lives and cells come up against."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        roster: Roster,
        running: Mapping[Key, tuple[int, Life]],
        means: Means,
        tell: Callable[[Told], None],
    ) -> None:
        """Watch the lives in ``running``."""
        self._loop = loop
        self._roster = roster
        self._running = running
        self._base, self._tree, self._namespace = means
        self._tell = tell
        self._queue = inotify.Inotify()
        self._watched: dict[int, Key] = {}
        self._seen: dict[str, int] = {}
        """What was counted at the last look: by group, and by key which old log there was."""
        self._said: dict[Key, tuple[int, dict[str, str]]] = {}
        self._reached: dict[_Case, float] = {}
        self._next = 0
        loop.add_reader(self._queue.fd, self._readable)

    def close(self) -> None:
        """Give the kernel its watches back."""
        self._loop.remove_reader(self._queue.fd)
        self._queue.close()

    def of(self, key: Key) -> tuple[Limits, Limits]:
        """Return what an agent may take, and what its cell may; nothing where nobody says."""
        try:
            cell, member = self._roster.member(key)
        except KeyError:
            return NONE, NONE
        layer = cell.manifest.limits
        own = limits_of_agent(self._base, layer, member.limits)
        return own, limits_of_cell(self._base, layer)

    def began(self, key: Key, life: Life, *, adopted: bool = False) -> None:
        """Watch a life; what happened to an adopted one before is no news."""
        self._seen[key] = self._log_aside(key)
        if adopted:
            for _, reached in self._cases(key, life):
                self._seen[reached.source] = reached.times
        self._arm(key, life)

    def ended(self, key: Key, generation: int, life: Life) -> None:
        """Look once more at a life that is gone, before its groups go too."""
        self._look(key, generation, life)
        self._look_at_log(key, generation)
        limits.forget(life.cgroup, self._tree)
        self._said.pop(key, None)
        self._seen.pop(key, None)
        for limit in LIMITS:
            self._seen.pop(f"{key} {limit}", None)
        for _, reached in self._cases(key, life):
            if not reached.group.endswith(key.partition("/")[0]):
                self._seen.pop(reached.source, None)

    def forget(self, uuid: str) -> None:
        """Remember nothing of a cell that is gone."""
        self._seen = {source: n for source, n in self._seen.items() if uuid not in source}

    def sweep(self) -> None:
        """Look at some lives, and forget what is no news for long."""
        keys = sorted(self._running)
        start = self._next % len(keys) if keys else 0
        self._next = start + SWEEP_SLICE
        for key in (keys + keys)[start : start + min(SWEEP_SLICE, len(keys))]:
            generation, life = self._running[key]
            self._look(key, generation, life)
            self._look_at_log(key, generation)
            self._look_inside(key, generation, life)
            self._arm(key, life)  # A watch holds for one event.
        old = time.monotonic() - EPISODE
        self._reached = {case: at for case, at in self._reached.items() if at > old}

    def in_force(
        self, key: Key, generation: int, life: Life | None, logs: Logs, disk: Disk
    ) -> dict[str, str]:
        """What binds a life now, for people, limit by limit; asked of the kernel once a life."""
        if life is None:
            return {}
        known = self._said.get(key)
        if known is None or known[0] != generation:
            known = self._said[key] = (generation, self._ask(key, life, logs))
        said = dict(known[1])
        for name, whose in (("disk_mb", key), ("cell disk_mb", f"{key.partition('/')[0]}/")):
            if (quota := disk.quota(whose)) is not None:
                said[name] = quota
        return said

    def _ask(self, key: Key, life: Life, logs: Logs) -> dict[str, str]:
        own, cell = self.of(key)
        said = limits.in_force(own, life, self._tree, namespace=self._namespace)
        if own.log_mb:
            bounded = logs.bounds(key)
            said["log_mb"] = f"{own.log_mb} by rotation" if bounded else "not in force: no log pump"
        found, missing = limits.available(self._tree)
        for name, value in limits.wanted(cell).items():
            controller = limits.COUNTED[name][0]
            said[f"cell {name}"] = (
                f"{value} by cgroup v{found[controller].version}"
                if controller in found
                else f"not in force: {missing[controller]}"
            )
        return said

    # ------------------------------------------------------------ below

    def _arm(self, key: Key, life: Life) -> None:
        own, cell = self.of(key)
        for path in limits.event_files(own, cell, life, self._tree):
            with contextlib.suppress(OSError):  # Then the sweep sees it.
                descriptor = self._queue.add(path, inotify.IN_MODIFY | inotify.IN_ONESHOT)
                self._watched[descriptor] = key

    def _readable(self) -> None:
        for descriptor, _mask, _name in self._queue.read():
            key = self._watched.pop(descriptor, None)
            if key is not None and key in self._running:
                generation, life = self._running[key]
                self._look(key, generation, life)

    def _cases(self, key: Key, life: Life) -> list[tuple[_Case, Reached]]:
        own, cell = self.of(key)
        whole = f"{key.partition('/')[0]}/"
        return [
            ((whole if reached.of_cell else key, reached.limit), reached)
            for reached in limits.reached(own, cell, life, self._tree)
        ]

    def _look(self, key: Key, generation: int, life: Life) -> None:
        for case, reached in self._cases(key, life):
            whose = {} if reached.of_cell else _of(generation)
            data = {"value": reached.value, "action": limits.ACTIONS[reached.limit], **whose}
            self._note(case, reached.source, reached.times, data)

    def _look_at_log(self, key: Key, generation: int) -> None:
        """A log that was put aside since the last look has reached its size."""
        own, _ = self.of(key)
        if own.log_mb:
            data = {"value": own.log_mb, "action": "rotated", **_of(generation)}
            self._note((key, "log_mb"), key, self._log_aside(key), data)

    def _look_inside(self, key: Key, generation: int, life: Life) -> None:
        """What nobody counts is reached if a look finds it so."""
        own, _ = self.of(key)
        for limit, action in limits.full(own, life, namespace=self._namespace):
            source = f"{key} {limit}"
            data = {"value": getattr(own, limit), "action": action, **_of(generation)}
            self._note((key, limit), source, self._seen.get(source, 0) + 1, data)

    def _log_aside(self, key: Key) -> int:
        """Which file the old log is; 0 where there is none."""
        uuid, _, name = key.partition("/")
        cell = self._roster.cells.get(uuid)
        if cell is None:
            return 0
        try:
            return os.stat(f"{cell.paths.log(name)}.1", follow_symlinks=False).st_ino
        except OSError:
            return 0

    def _note(self, case: _Case, source: str, count: int, data: dict[str, object]) -> None:
        """Tell a limit that was reached since the last look, unless its episode is under way."""
        if count in (0, self._seen.get(source, 0)):
            return
        self._seen[source] = count
        now = time.monotonic()
        quiet = now - self._reached.get(case, -EPISODE)
        self._reached[case] = now
        if quiet >= EPISODE:
            key, limit = case
            self._tell(Told(event="limit_reached", key=key, data={"limit": limit, **data}))


def _of(generation: int) -> dict[str, object]:
    return {"generation": generation}
