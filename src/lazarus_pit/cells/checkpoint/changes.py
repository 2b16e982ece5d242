"""Know what changed since the live pass without looking at everything again.

Where the kernel lets us (root, Linux 5.9, most filesystems) it names every entry that changes. The
pause is then as long as what changed; else the whole tree is scanned again under the freeze.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY, Chain, split
from lazarus_pit.cells.checkpoint.scan import Entry, LeftOut, Scan, order_of, walk
from lazarus_pit.linux import fanotify

_MOST_EVENTS = 200_000
"""So many changes are found sooner by a scan."""


class Names(NamedTuple):
    """What was heard of: names by the inode of their directory, and inodes of objects."""

    by_directory: dict[int, set[str]]
    objects: set[int]


class Ear:
    """Hears of changes on one filesystem until it is closed."""

    def __init__(self, path: str) -> None:
        """Begin. Raises ``OSError`` where that is not allowed."""
        self._fd = fanotify.watch(path)
        self._mount = os.open(path, OPEN_DIRECTORY)
        self._names: dict[bytes, set[bytes]] = {}
        self._objects: set[bytes] = set()
        self._known = Names({}, set())
        self._inodes: dict[bytes, int] = {}
        self._left = _MOST_EVENTS

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


class Touched(NamedTuple):
    """The present state of all that may have changed."""

    entries: dict[str, os.stat_result]
    names: set[str]
    """The names that were looked at, without a slash: what was there before no longer counts."""
    trees: set[str]
    """Directories that are gone or wholly in ``entries``."""
    left_out: list[LeftOut]


class Before:
    """The live pass, prepared so that little is left to do under the freeze."""

    def __init__(
        self, root: int, found: Scan, parts: Iterable[str], suspects: Iterable[str]
    ) -> None:
        self._root = root
        self._found = found
        self._parts = {part.rstrip("/") for part in parts}
        self._suspects = list(suspects)
        self._directories: dict[int, str] = {}
        self._paths: dict[int, list[str]] = {}
        self._states = dict(found.tree)
        for path, state in found.tree:
            if path[-1] == "/":
                self._directories[state.st_ino] = path
            else:
                self._paths.setdefault(state.st_ino, []).append(path)
        for part in self._parts:
            parent = split(part)[0]
            with suppress(OSError), Chain(root) as chain:
                self._directories[os.fstat(chain.fd(parent)).st_ino] = parent

    def look(self, names: Names, inodes: Collection[int]) -> Touched:
        """See what has become of everything that was named, and of these inodes."""
        wanted: dict[str, set[str]] = {}
        for inode, entries in names.by_directory.items():
            if inode in self._directories:
                wanted.setdefault(self._directories[inode], set()).update(entries - {".", ""})
        again = [
            path for inode in names.objects | set(inodes) for path in self._paths.get(inode, ())
        ]
        for path in [*self._suspects, *again]:
            directory, name = split(path)
            wanted.setdefault(directory, set()).add(name)
        touched = Touched({}, set(), set(), [])
        with Chain(self._root) as chain:
            for directory in sorted(wanted):
                with suppress(OSError):  # It is gone: its own parent was named too.
                    self._look_into(chain.fd(directory), directory, wanted[directory], touched)
        return touched

    def _look_into(self, fd: int, directory: str, names: set[str], touched: Touched) -> None:
        if directory in self._states:
            touched.entries[directory] = os.fstat(fd)
            touched.names.add(directory[:-1])
        for name in names:
            path = directory + name
            if directory not in self._states and path not in self._parts:
                continue
            touched.names.add(path)
            try:
                state = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                touched.trees.add(path + "/")
                continue
            before = self._states.get(path + "/")
            if before is not None and before.st_ino == state.st_ino:
                touched.entries[path + "/"] = state
                continue
            touched.trees.add(path + "/")
            found = walk(fd, directory, name, state)
            touched.entries.update(found.tree)
            touched.left_out.extend(found.left_out)

    def merged(self, touched: Touched) -> Scan:
        """Put what was found into the live pass: the whole tree as it stood under the freeze.

        Where nothing was, it is the live pass itself.
        """
        if not (touched.entries or touched.names or touched.trees):
            return self._found
        tree: list[Entry] = []
        below = None
        for entry in self._found.tree:
            path = entry[0]
            if below is not None and path.startswith(below):
                continue
            below = path if path in touched.trees else None
            if below is None and path.rstrip("/") not in touched.names:
                tree.append(entry)
        tree += touched.entries.items()
        tree.sort(key=lambda entry: order_of(entry[0]))
        trees = tuple(touched.trees)
        left_out = [
            one
            for one in self._found.left_out
            if one.path.rstrip("/") not in touched.names and not one.path.startswith(trees)
        ]
        return Scan(tree, left_out + touched.left_out)


def ear_for(path: str) -> Ear | None:
    """Hear of changes on the filesystem of ``path``, where that is allowed."""
    try:
        return Ear(path)
    except OSError:
        return None


def open_inodes(pids: Collection[int]) -> set[int]:
    """Find the inodes that these processes have open.

    A file that was changed through memory is named only when it is closed for good.
    """
    inodes = set()
    for pid in pids:
        with suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    inodes.add(Path(f"/proc/{pid}/fd/{fd}").stat().st_ino)
    return inodes
