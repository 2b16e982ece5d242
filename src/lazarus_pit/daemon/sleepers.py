"""Cells that froze by themselves: what is wanted of them though their manifests say nothing of it.

A mark in the cell says so, durably and before anybody is frozen, and under which manifest. Whatever
people change there wakes the cell, also while no daemon runs.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from lazarus_pit.cells.files import read_hostile, replace_file
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.events import Told
from lazarus_pit.core.model import Seconds
from lazarus_pit.errors import FormatError, StoreError

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]
"""Of a manifest: see ``roster``."""
MARK_MAX = 4096
"""Bytes of a mark that are read."""


class Sleepers:
    """Which cells sleep."""

    def __init__(self, tell: Callable[[Told], None]) -> None:
        """Nobody is known to sleep before ``find`` has seen its mark."""
        self._tell = tell
        self._asleep: dict[str, CellPaths] = {}

    def __contains__(self, uuid: str) -> bool:
        return uuid in self._asleep

    def find(self, paths: CellPaths, stamp: Stamp) -> None:
        """Look at a cell that is seen for the first time: it sleeps on if nothing has changed."""
        try:
            data = read_hostile(paths.asleep, MARK_MAX)
            said = json.loads(data) if data else None
        except (FormatError, StoreError, ValueError) as error:
            log.warning("%s: %s; the cell is awake", paths.asleep, error)
            said = {}
        if said is None:
            return
        self._asleep[paths.uuid] = paths
        if not isinstance(said, dict) or said.get("manifest") != list(stamp):
            self.wake(paths.uuid, "people")

    def sleep(self, paths: CellPaths, stamp: Stamp, idle_for: Seconds, after: Seconds) -> bool:
        """Send a cell to sleep; ``False`` if the disk refuses the mark, and it stays awake."""
        mark = {"manifest": list(stamp), "since": round(time.time(), 3), "after": after}
        try:
            replace_file(paths.asleep, json.dumps(mark).encode() + b"\n")
        except StoreError as error:
            log.warning("%s does not go to sleep: %s", paths.uuid, error)
            return False
        self._asleep[paths.uuid] = paths
        data = {"reason": "idle", "idle_for": round(idle_for, 3), "after": after}
        self._tell(Told(event="cell_frozen", key=f"{paths.uuid}/", data=data))
        return True

    def forget(self, uuid: str) -> None:
        """A cell is gone, asleep or not."""
        self._asleep.pop(uuid, None)

    def wake(self, uuid: str, reason: str) -> bool:
        """Let a cell move again; ``False`` if it does not sleep.

        ``reason``: ``mail`` came, or ``people`` changed what they want of it.
        """
        paths = self._asleep.pop(uuid, None)
        if paths is None:
            return False
        with suppress(OSError):  # What stays names a manifest, and is overruled by a newer one.
            paths.asleep.unlink(missing_ok=True)
        self._tell(Told(event="cell_thawed", key=f"{uuid}/", data={"reason": reason}))
        return True
