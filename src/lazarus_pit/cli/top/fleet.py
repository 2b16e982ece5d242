"""What is on disk below a root, read again only where something has changed."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.view import CellView, newest_beat, see_cell
from lazarus_pit.cli.pulse import Pulse, feel
from lazarus_pit.cli.top.asked import open_requests
from lazarus_pit.cli.top.looks import POOL, Key, Row
from lazarus_pit.core.model import Seconds
from lazarus_pit.formats.names import is_cell_uuid
from lazarus_pit.linux import inotify
from lazarus_pit.linux.inotify import Inotify
from lazarus_pit.records.approvals import Request

UNWATCHED: Seconds = 2.0
"""How often everything is looked at where the kernel has no watch left to give."""
_OF_CELLS = frozenset({b"cell.json", b"state.json", b".lazarus", b"logs"})
"""The names in a cell's directories that say something about it."""
_RECORDS = b"records.db-wal"
"""Written to by whoever changes the records, and by no reader."""


class Wanted(NamedTuple):
    """What is to be looked at again."""

    cells: frozenset[str]
    root: bool
    """Whether cells may have come or gone."""
    asked: bool
    """Whether the records may say something new."""


class Seen(NamedTuple):
    """What a look has found."""

    cells: Mapping[str, CellView | None]
    """The cells that were looked at again; ``None`` for one that is gone."""
    beats: Mapping[Key, float]
    """When the newest beats of the agents on the screen came, in Unix seconds."""
    pulse: Pulse
    problem: str
    """Why the root cannot be listed; empty where it can."""
    at: float
    """When it was looked at, in Unix seconds."""
    asked: Mapping[Key, Request] | None = None
    """The open requests; ``None`` where nothing has changed in them."""


class Fleet:
    """The eyes: ``fd`` becomes readable when something changes.

    ``noticed`` and ``take`` belong to one thread, ``look`` may run in another, one at a time. A
    change between a watch and the look after it is seen by that look.
    """

    def __init__(self, pit: PitPaths) -> None:
        """Watch what can be watched.

        Raises:
            OSError: this user has no inotify instance left.
        """
        self._pit = pit
        self._queue = Inotify()
        self.fd = self._queue.fd
        self._owner: dict[int, str] = {}
        self._watches: dict[str, list[int]] = {}
        self._logs = -1
        self._dirty: set[str] = set()
        self._root = True
        self._asked = True
        self._blind = False
        self._swept = 0.0
        self._problem = ""
        for place in (pit.root, pit.private):
            self._watch(str(place), "")

    def close(self) -> None:
        """Watch no more."""
        self._queue.close()

    # ------------------------------------------------------------ what has changed

    def noticed(self) -> bool:
        """Take what the kernel has told, and say whether any of it matters."""
        matters = False
        for watch, mask, name in self._queue.read():
            if mask & inotify.IN_Q_OVERFLOW:
                self.doubt()
                matters = True
                continue
            owner = self._owner.get(watch)
            if mask & inotify.IN_IGNORED:
                self._owner.pop(watch, None)
            elif owner == "":
                comes = is_cell_uuid(os.fsdecode(name))
                self._root = self._root or comes
                asked = name == _RECORDS and bool(mask & inotify.IN_MODIFY)
                self._asked = self._asked or asked
                matters = matters or comes or asked or name == b"daemon.json"
            elif watch == self._logs:
                matters = True
            elif owner is not None and name in _OF_CELLS:
                self._dirty.add(owner)
                matters = True
        return matters

    def doubt(self) -> None:
        """Take everything as changed: a look has failed, and nobody knows what it has missed."""
        self._dirty.update(self._watches)
        self._root = self._asked = True

    def take(self) -> Wanted:
        """Return what is to be looked at, which from now on counts as looked at."""
        now = time.monotonic()
        if self._blind and now - self._swept >= UNWATCHED:
            self.doubt()
            self._swept = now
        wanted = Wanted(frozenset(self._dirty), self._root, self._asked)
        self._dirty, self._root, self._asked = set(), False, False
        return wanted

    def follow(self, uuid: str | None) -> None:
        """Be woken by the journal and the logs of this cell, and of no other."""
        logs = str(self._pit.cell(uuid).logs) if uuid and uuid != POOL else ""
        if self._logs >= 0:
            self._queue.remove(self._logs)
        self._logs = -1
        if logs:
            with contextlib.suppress(OSError):
                self._logs = self._queue.add(logs, inotify.ENTRIES)

    # ------------------------------------------------------------ looking

    def look(self, wanted: Wanted, visible: Iterable[Row]) -> Seen:
        """Look again at what has changed, and at the beats of what is on the screen."""
        uuids, gone = set(wanted.cells), set()
        if wanted.root:
            there = self._list()
            known = set(self._watches)
            gone = known - there
            uuids = (uuids | (there - known)) - gone
        cells: dict[str, CellView | None] = dict.fromkeys(gone)
        for uuid in uuids:
            cells[uuid] = self._see(uuid)
        for uuid, view in cells.items():
            if view is None:
                self._forget(uuid)
        now = time.time()
        beats, pulse = self._beats(visible), feel(self._pit)
        asked = open_requests(self._pit) if wanted.asked else None
        return Seen(cells, beats, pulse, self._problem, now, asked)

    def _list(self) -> set[str]:
        self._watch(str(self._pit.private), "")
        try:
            names = os.listdir(self._pit.root)
        except OSError as error:
            self._problem = f"{self._pit.root} cannot be listed: {error.strerror}"
            return set(self._watches)
        self._problem = ""
        return {name for name in names if is_cell_uuid(name)}

    def _see(self, uuid: str) -> CellView | None:
        paths = self._pit.cell(uuid)
        watches = [self._watch(str(place), uuid) for place in (paths.cell, paths.private)]
        self._watches[uuid] = [watch for watch in watches if watch >= 0]
        return see_cell(paths) if os.path.lexists(paths.manifest) else None

    def _forget(self, uuid: str) -> None:
        if os.path.lexists(self._pit.cell(uuid).cell):
            return  # A cell that is being made: its manifest comes last, and is waited for.
        for watch in self._watches.pop(uuid, ()):
            self._owner.pop(watch, None)
            self._queue.remove(watch)

    def _watch(self, place: str, owner: str) -> int:
        """Watch a directory; one that is watched already stays so."""
        try:
            watch = self._queue.add(place, inotify.ENTRIES)
        except (FileNotFoundError, NotADirectoryError):
            return -1  # What makes it is seen in the directory above.
        except OSError:
            self._blind = True
            return -1
        self._owner[watch] = owner
        return watch

    def _beats(self, visible: Iterable[Row]) -> dict[Key, float]:
        beats = {}
        for row in visible:
            if row.agent is not None and not row.is_far:
                paths = CellPaths(self._pit.root, row.cell.uuid)
                beat = newest_beat(paths, row.agent.name, row.agent.health)
                if beat is not None:
                    beats[row.key] = beat
        return beats
