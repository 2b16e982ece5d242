"""Files that grow while they are read: journals and logs. The kernel wakes the reader."""

from __future__ import annotations

import contextlib
import os
import select
import stat
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

from lazarus_pit.cells.journal import read_events
from lazarus_pit.core.model import Seconds
from lazarus_pit.errors import StoreError
from lazarus_pit.formats.journal import Event
from lazarus_pit.linux import inotify
from lazarus_pit.linux.inotify import Inotify

GROWN = inotify.IN_MODIFY | inotify.IN_CREATE | inotify.IN_MOVED_TO | inotify.IN_CLOSE_WRITE
UNWATCHED_POLL: Seconds = 0.5
"""How often files are looked at where the kernel has no watch left to give."""
LONGEST = 64 * 1024
"""Bytes of a line without its end that are held back at most."""

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_BLOCK = 64 * 1024


class Wakeup:
    """Sleeps until something changes in one of some directories."""

    def __init__(self, directories: Iterable[Path]) -> None:
        """Watch what can be watched; the rest is looked at now and then."""
        self._blind = False
        self._inotify: Inotify | None = None
        self._poll = select.poll()
        with contextlib.suppress(OSError):
            self._inotify = Inotify()
            self._poll.register(self._inotify.fd, select.POLLIN)
        for directory in directories:
            self.add(directory)

    def add(self, directory: Path) -> None:
        """Watch one more directory; a second time changes nothing."""
        try:
            if self._inotify is None:
                raise OSError  # noqa: TRY301 - the same as a refused watch
            self._inotify.add(str(directory), GROWN)
        except OSError:
            self._blind = True

    def wait(self, seconds: Seconds | None = None) -> None:
        """Return at the next change, after ``seconds``, or a little early: look again then."""
        if self._blind:
            seconds = UNWATCHED_POLL if seconds is None else min(seconds, UNWATCHED_POLL)
        self._poll.poll(None if seconds is None else max(0.0, seconds) * 1000)
        if self._inotify is not None:
            self._inotify.read()

    def close(self) -> None:
        """Give the watches back."""
        if self._inotify is not None:
            self._inotify.close()


class JournalTail:
    """The events of one journal, each once, in order."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Begin at ``offset`` bytes; there need not be a journal yet."""
        self.path = path
        self.offset = offset

    def read(self) -> list[Event]:
        """Return what is new; torn and foreign lines are passed over."""
        events: list[Event] = []
        try:
            for line in read_events(self.path, self.offset):
                self.offset = line.end
                if line.event is not None:
                    events.append(line.event)
        except StoreError:
            pass  # Not there yet, or not ours to read: nothing new.
        return events


def journal_end(path: Path) -> int:
    """Return where the journal ends now, in bytes: what is read from there on is new."""
    try:
        return path.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


def watch_events(path: Path, offset: int, seconds: Seconds) -> Iterator[Event]:
    """Yield the events from ``offset`` on as they come, for so many seconds."""
    for events in watch_batches(path, offset, seconds):
        yield from events


def watch_batches(path: Path, offset: int, seconds: Seconds) -> Iterator[list[Event]]:
    """Yield the same, those that are there together at once."""
    deadline = time.monotonic() + seconds
    tail = JournalTail(path, offset)
    wakeup = Wakeup([path.parent])
    try:
        while True:
            yield tail.read()
            left = deadline - time.monotonic()
            if left <= 0:
                return
            wakeup.wait(left)
    finally:
        wakeup.close()


class LogTail:
    """The lines of a log that may be rotated, truncated, or not there yet."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path
        self._fd = -1
        self._inode = 0
        self._offset = 0
        self._rest = b""

    def last(self, count: int, within: int | None = None) -> list[bytes]:
        """Return the last ``count`` lines there are now, an unfinished one too.

        ``within`` looks at so many bytes of a long log alone; a line that begins before is torn
        there.
        """
        lines: deque[bytes] = deque(maxlen=count)
        if within is not None and (self._fd >= 0 or self._open()):
            self._offset = max(0, os.fstat(self._fd).st_size - within)
        while block := self._lines():
            lines.extend(block)
        lines.extend(self._give_rest())
        return list(lines)

    def read(self) -> list[bytes]:
        """Return the lines that are new; an unfinished one when it is finished."""
        lines: list[bytes] = []
        while block := self._lines():
            lines.extend(block)
        if self._is_replaced():
            lines.extend(self._give_rest())
            self.close()
            lines.extend(self.read())
        return lines

    def close(self) -> None:
        """Close the file; the next read opens whatever stands at the path then."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._offset, self._rest = -1, 0, b""

    def _lines(self) -> list[bytes]:
        """Read one block; an empty list at the end of the file."""
        if self._fd < 0 and not self._open():
            return []
        status = os.fstat(self._fd)
        if status.st_size < self._offset:
            self._offset, self._rest = 0, b""
        while block := os.pread(self._fd, _BLOCK, self._offset):
            self._offset += len(block)
            *lines, self._rest = (self._rest + block).split(b"\n")
            if len(self._rest) > LONGEST:
                lines.extend(self._give_rest())
            if lines:
                return lines
        return []

    def _give_rest(self) -> list[bytes]:
        rest, self._rest = self._rest, b""
        return [rest] if rest else []

    def _open(self) -> bool:
        try:
            fd = os.open(self._path, _READ)
        except OSError:
            return False
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            return False
        self._fd, self._inode = fd, status.st_ino
        return True

    def _is_replaced(self) -> bool:
        if self._fd < 0:
            return False
        try:
            return self._path.stat(follow_symlinks=False).st_ino != self._inode
        except OSError:
            return False  # Put aside, and nothing new there yet.
