"""What the kernel says of changes below the root, kept until somebody looks; any thread may ask.

The kernel queues a change before the call that made it returns. So whoever asks here after a change
is told of it, however busy the event loop is.
"""

from __future__ import annotations

import contextlib
import errno
import threading
from typing import NamedTuple

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.linux import inotify
from lazarus_pit.linux.inotify import Inotify

PIT = ""
"""Stands for a UUID where the pit itself is meant."""
_FILES = frozenset(
    {
        b"events.jsonl",
        b"cell.json",
        b"state.json",
        b"asleep.json",
        b"daemon.json",
        b"pool.json",
        b"logs",
        b".lazarus",
    }
)
"""The names that matter in a watched directory; an agent's log is none of them."""
_RECORDS = b"records.db-wal"
"""Written to by whoever changes the records, and by no reader."""
_ENTRIES = inotify.ENTRIES | inotify.IN_ATTRIB


class Wanted(NamedTuple):
    """What is to be looked at again."""

    places: frozenset[str] = frozenset()
    """UUIDs, and ``PIT``."""
    root: bool = True
    """Whether cells may have come or gone."""
    everything: bool = True
    records: bool = True


class Watch:
    """Watches what it is told to follow, for as long as it is open."""

    def __init__(self, pit: PitPaths) -> None:
        """Follow nothing yet, so that the first look is at everything."""
        self._pit = pit
        self._inotify = Inotify()
        self._lock = threading.Lock()
        self._owners: dict[int, str] = {}
        self._roots: set[int] = set()
        self._wanted = Wanted()
        self._dirty: set[str] = set()
        self.is_blind = False
        """Whether the kernel had no watch left to give: then its silence says nothing."""

    @property
    def fd(self) -> int:
        """Readable when something has happened."""
        return self._inotify.fd

    def close(self) -> None:
        """Watch no more."""
        with self._lock:
            self._inotify.close()

    def notice(self) -> bool:
        """Take in what the kernel has queued; say whether anything of it matters."""
        with self._lock:
            return self._notice()

    def take(self) -> Wanted:
        """Return what is to be looked at, which from now on counts as looked at."""
        with self._lock:
            self._notice()
            wanted = self._wanted._replace(places=frozenset(self._dirty))
            if self.is_blind:
                wanted = wanted._replace(everything=True, records=True)
            self._dirty = set()
            self._wanted = Wanted(root=False, everything=False, records=False)
            return wanted

    def want(self, *, everything: bool = False, records: bool = False) -> None:
        """Have it looked at, once more, at the next look."""
        with self._lock:
            old = self._wanted
            self._wanted = old._replace(
                everything=old.everything or everything, records=old.records or records
            )

    def follow_root(self) -> None:
        """Watch for cells that come and go."""
        with contextlib.suppress(OSError):
            self._roots.add(self._inotify.add(str(self._pit.root), inotify.ENTRIES))

    def follow(self, uuid: str) -> None:
        """Watch the directories of a cell, or of the pit; those that are watched stay so."""
        paths = self._pit.cell(uuid) if uuid else None
        places = (paths.cell, paths.logs, paths.private) if paths else (self._pit.private,)
        for place in places:
            try:
                self._owners[self._inotify.add(str(place), _ENTRIES)] = uuid
            except OSError as error:
                # What is not there yet is seen in the directory above when it comes.
                self.is_blind = self.is_blind or error.errno not in (errno.ENOENT, errno.ENOTDIR)

    def _notice(self) -> bool:
        if self._inotify.fd < 0:
            return False
        matters = False
        for watch, mask, name in self._inotify.read():
            if mask & inotify.IN_Q_OVERFLOW:
                self._wanted = self._wanted._replace(everything=True, records=True)
            elif mask & inotify.IN_IGNORED:
                self._owners.pop(watch, None)
                continue
            elif watch in self._roots:
                self._wanted = self._wanted._replace(root=True)
            elif name == _RECORDS and mask & inotify.IN_MODIFY:
                self._wanted = self._wanted._replace(records=True)
            elif name in _FILES and watch in self._owners:
                self._dirty.add(self._owners[watch])
            else:
                continue
            matters = True
        return matters
