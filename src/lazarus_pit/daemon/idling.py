"""Cells that are idle too long freeze by themselves; a message or a person thaws them.

What is known from beats may be old, since only a verdict needs a look. So a cell that seems idle is
looked at afresh before it is frozen: one cell at a time, outside the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from msgspec.structs import replace

from lazarus_pit.core import health
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.idle import idle_at
from lazarus_pit.core.model import CellStatus, Instant, Key, Life, Seconds
from lazarus_pit.daemon import looks
from lazarus_pit.daemon.looks import Sights
from lazarus_pit.daemon.roster import Cell, Roster

log = logging.getLogger(__name__)


class Idling:
    """Watches the cells that have ``idle_freeze_after``."""

    def __init__(
        self,
        roster: Roster,
        agents: Mapping[Key, Agent],
        lives: Mapping[Key, tuple[int, Life]],
        sights: Callable[[Key], Sights],
        changed: Callable[[str], None],
    ) -> None:
        """Call ``changed`` with the uuid of a cell of which something else is wanted now."""
        self._roster = roster
        self._agents = agents
        self._lives = lives
        self._sights = sights
        self._changed = changed
        self._began = time.monotonic()
        self._heard: dict[str, Instant] = {}
        self._active: dict[str, Instant] = {}
        """When a look last found something getting done, by cell."""
        self._task: asyncio.Task[None] | None = None

    def heard(self, uuid: str) -> None:
        """Mail has reached a member of this cell."""
        self._heard[uuid] = time.monotonic()
        if self._roster.sleepers.wake(uuid, "mail"):
            self._changed(uuid)

    def forget(self, uuid: str) -> None:
        """Remember nothing of a cell that is gone."""
        self._heard.pop(uuid, None)
        self._active.pop(uuid, None)

    def sweep(self) -> None:
        """Begin to look at the cell that seems idle for longest, unless one is looked at."""
        if self._task is not None and not self._task.done():
            return
        now = time.monotonic()
        seems = [
            (at, cell)
            for cell in self._roster.cells.values()
            if (after := _patience(cell)) and cell.paths.uuid not in self._roster.sleepers
            if (at := self._idle_at(cell, self._agents, after)) <= now
        ]
        if seems:
            _, cell = min(seems, key=lambda one: one[0])
            self._task = asyncio.create_task(self._judge(cell))

    def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    def _idle_at(self, cell: Cell, agents: Mapping[Key, Agent], after: Seconds) -> Instant:
        uuid = cell.paths.uuid
        heard = max(self._heard.get(uuid, self._began), self._active.get(uuid, self._began))
        keys = (f"{uuid}/{name}" for name in cell.enlisted)
        return idle_at([agents[key] for key in keys if key in agents], heard, after)

    async def _judge(self, cell: Cell) -> None:
        """Look at everybody of a cell; if all of them are idle indeed, it goes to sleep."""
        uuid, seen = cell.paths.uuid, dict[Key, Agent]()
        try:
            for name in cell.enlisted:
                key = f"{uuid}/{name}"
                if key in self._lives and key in self._agents:
                    # Whose doing a change of the workspace is does not matter here.
                    sights = self._sights(key)._replace(workspace=str(cell.paths.workspace))
                    look = await looks.look(self._lives[key][1], sights)
                    agent, now = self._agents[key], time.monotonic()
                    seen[key] = replace(agent, vitals=health.confirmed(agent.vitals, look, now))
        except (OSError, KeyError) as error:
            log.warning("whether %s is idle cannot be seen: %s", uuid, error)
            return
        after, now = _patience(cell), time.monotonic()
        at = self._idle_at(cell, {**self._agents, **seen}, after)
        if not after or self._roster.cells.get(uuid) is not cell:
            return  # People have changed their mind meanwhile.
        if at > now:
            self._active[uuid] = min(now, at - after)
        elif self._roster.sleepers.sleep(cell.paths, cell.stamp, now - at + after, after):
            self._changed(uuid)


def _patience(cell: Cell) -> Seconds:
    """How long a cell may be idle; 0: for ever."""
    after = cell.manifest.idle_freeze_after
    return after if after and after > 0 and cell.manifest.status is CellStatus.ACTIVE else 0.0
