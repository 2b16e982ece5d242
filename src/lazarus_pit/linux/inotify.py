"""One inotify instance (inotify(7)): names of what changed, in batches."""

from __future__ import annotations

import fcntl
import os
import struct
import termios

from lazarus_pit.linux.syscalls import checked, libc

IN_MODIFY = 0x2
IN_ATTRIB = 0x4
IN_CLOSE_WRITE = 0x8
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_Q_OVERFLOW = 0x4000
"""Events were lost: look at everything yourself. Comes with watch descriptor -1."""
IN_IGNORED = 0x8000
"""The watch is gone."""
IN_ONLYDIR = 0x1000000
IN_ISDIR = 0x40000000
"""What it is about is a directory."""
IN_ONESHOT = 0x80000000
"""The watch ends with its first event."""
ENTRIES = IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR
"""Whatever becomes of the entries of a directory."""
MADE_OR_GONE = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM
"""A name means another object than before, or none."""

_EVENT = struct.Struct("=iIII")
_COUNT = struct.Struct("i")
_BUFFER = 262_144
"""Bytes a read: some 5,000 events."""

Event = tuple[int, int, bytes]
"""Watch descriptor, mask, and the name in the watched directory."""


class Inotify:
    """A queue of events that never blocks. ``fd`` can be waited for."""

    def __init__(self) -> None:
        """Open an instance.

        Raises:
            OSError: ``EMFILE`` when this user has no instance left (fs.inotify.max_user_instances).
        """
        self.fd = checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")

    def add(self, path: str | bytes, mask: int) -> int:
        """Watch a path and return the watch descriptor; the same path again changes its mask.

        Raises:
            OSError: no such path, or ``ENOSPC``: no watch left (fs.inotify.max_user_watches).
        """
        return checked(
            libc.inotify_add_watch(self.fd, os.fsencode(path), mask), f"watch {os.fsdecode(path)}"
        )

    def remove(self, watch: int) -> None:
        """Stop watching; a watch that has gone by itself is no error."""
        libc.inotify_rm_watch(self.fd, watch)

    def read(self) -> list[Event]:
        """Take everything that is pending now; an empty list if nothing is.

        What comes meanwhile is left for the next read: a flood may be faster than the reader.
        """
        events: list[Event] = []
        unpack, size, append = _EVENT.unpack_from, _EVENT.size, events.append
        (left,) = _COUNT.unpack(fcntl.ioctl(self.fd, termios.FIONREAD, bytes(_COUNT.size)))
        while left > 0:
            try:
                chunk = os.read(self.fd, _BUFFER)
            except BlockingIOError:
                return events
            left -= len(chunk)
            at, end = 0, len(chunk)
            while at < end:
                watch, mask, _cookie, length = unpack(chunk, at)
                at += size
                append((watch, mask, chunk[at : at + length].rstrip(b"\0")))
                at += length
        return events

    def close(self) -> None:
        """Give the instance and all its watches back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
