"""Hear of what changes while a tree is read: which entries of which directories.

Root hears a whole filesystem through one fanotify mark (Linux 5.9); everybody else watches each
directory with inotify, from just before it is listed. Neither hears of stores to mapped memory:
``capture.mapped_inodes`` and ``changes.open_inodes`` are for those.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY
from lazarus_pit.linux import fanotify, inotify

FOLLOW = ("fanotify", "inotify")
"""The ways to hear of changes, best first."""

_MOST_EVENTS = 200_000
"""So many changes are found sooner by a scan."""
_LISTEN_EVERY = 128
"""Directories after which a queue that the kernel bounds is emptied."""
_MOST_SHARE = 4
"""One in so many of the watches that a user may have is ours: others need theirs meanwhile."""
_WATCHES = Path("/proc/sys/fs/inotify/max_user_watches")
_CHANGES = inotify.ENTRIES | inotify.IN_ATTRIB | inotify.IN_CLOSE_WRITE


class Names(NamedTuple):
    """What was heard of: names by the inode of their directory, and inodes of objects."""

    by_directory: dict[int, set[str]]
    """With a slash: a directory was made, moved or removed there, and the one that has the name
    now may be another one, even with the same inode."""
    objects: set[int]


class Ear(Protocol):
    """Hears of changes until it is closed."""

    def attend(self, fd: int, inode: int) -> None:
        """Be told of a directory of the tree before it is listed."""

    def listen(self) -> None:
        """Take in what has been heard so far, lest it pile up in the kernel."""

    def names(self) -> Names | None:
        """Return all that was heard of so far; ``None``: it was too much, or some was lost."""

    def close(self) -> None:
        """Hear no more."""


def ear_for(path: str, follow: Sequence[str] = FOLLOW) -> Ear | None:
    """Hear of changes below ``path``, in the first of these ways that is allowed."""
    for way in follow:
        with suppress(OSError):
            return _EARS[way](path)
    return None


class WholeEar:
    """Hears of every change on one filesystem."""

    def __init__(self, path: str) -> None:
        """Begin. Raises ``OSError`` where that is not allowed."""
        self._mount = os.open(path, OPEN_DIRECTORY)
        try:
            fanotify.may_tell(self._mount)
            self._fd = fanotify.watch(path)
        except OSError:
            os.close(self._mount)
            raise
        self._names: dict[bytes, set[bytes]] = {}
        self._objects: set[bytes] = set()
        self._known = Names({}, set())
        self._inodes: dict[bytes, int] = {}
        self._left = _MOST_EVENTS

    def attend(self, fd: int, inode: int) -> None:
        """Do nothing: the mark is on all directories there are."""

    def close(self) -> None:
        """Hear no more."""
        self._stop()
        os.close(self._mount)

    def _stop(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def listen(self) -> None:
        """Take in what has been heard so far, lest it pile up in the kernel."""
        while self._fd >= 0:
            try:
                events = os.read(self._fd, 1 << 18)
            except BlockingIOError:
                return
            for one in fanotify.heard(events):
                self._note(one)
            if self._left <= 0:
                self._stop()  # What nobody reads must not pile up.

    def names(self) -> Names | None:
        """Return all that was heard of so far; ``None``: it was too much, or some was lost.

        Called before the freeze too, it leaves little to do under it, however much others that
        share the filesystem write.
        """
        self.listen()
        if self._fd < 0:
            return None
        known = self._known
        for handle, names in self._names.items():
            known.by_directory.setdefault(self._inode(handle), set()).update(
                map(os.fsdecode, names)
            )
        known.objects.update(map(self._inode, self._objects))
        self._names, self._objects = {}, set()
        return known

    def _note(self, one: fanotify.Heard | None) -> None:
        self._left = self._left - 1 if one else 0
        if one is None:
            return
        if one.name is None:
            self._objects.add(one.handle)
        else:
            self._names.setdefault(one.handle, set()).add(one.name)

    def _inode(self, handle: bytes) -> int:
        if handle not in self._inodes:
            self._inodes[handle] = fanotify.inode_of(self._mount, handle)
        return self._inodes[handle]


class DirectoryEar:
    """Hears of the entries of each directory that it attends to.

    A directory that is made later is heard of as an entry of its parent: whoever looks at it has
    to look at all that is in it. What it cannot hear: a file that is written through a second name
    outside the tree, or in a directory which is gone again, if that name was made after the
    listing. Such a file is saved as it was read before; the next checkpoint sees the change.
    """

    def __init__(self, _path: str) -> None:
        """Begin. Raises ``OSError`` where this user has no inotify instance left."""
        self._room = int(_WATCHES.read_text()) // _MOST_SHARE
        self._queue = inotify.Inotify()
        self._watched: dict[int, int] = {}
        self._known = Names({}, set())
        self._left = _MOST_EVENTS

    def attend(self, fd: int, inode: int) -> None:
        """Watch a directory; where no watch is left for it, nothing is heard any more."""
        if self._queue.fd < 0:
            return
        if len(self._watched) >= self._room:
            self._queue.close()
            return
        try:
            self._watched[self._queue.add(f"/proc/self/fd/{fd}", _CHANGES)] = inode
        except OSError:
            self._queue.close()
            return
        if len(self._watched) % _LISTEN_EVERY == 0:
            self.listen()

    def close(self) -> None:
        """Give the watches back."""
        self._queue.close()

    def listen(self) -> None:
        """Take in what has been heard so far: what does not fit into the queue is lost."""
        if self._queue.fd < 0:
            return
        heard = self._queue.read()
        self._left -= len(heard)
        if self._left <= 0 or any(mask & inotify.IN_Q_OVERFLOW for _, mask, _ in heard):
            self._queue.close()
            return
        by_directory = self._known.by_directory
        for watch, mask, name in heard:
            names = by_directory.setdefault(self._watched[watch], set())
            is_another = mask & inotify.IN_ISDIR and mask & inotify.MADE_OR_GONE
            names.add(os.fsdecode(name) + "/" * bool(is_another))

    def names(self) -> Names | None:
        """Return all that was heard of so far; ``None``: it was too much, or some was lost."""
        self.listen()
        return self._known if self._queue.fd >= 0 else None


_EARS: dict[str, Callable[[str], Ear]] = {"fanotify": WholeEar, "inotify": DirectoryEar}
