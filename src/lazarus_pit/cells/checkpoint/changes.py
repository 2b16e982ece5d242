"""Know what changed since the live pass without looking at everything again.

Where the kernel names the entries that change (``ears``), only those are looked at, and the pause
is as long as what changed; else the whole tree is scanned again under the freeze.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.checkpoint.below import Chain, split
from lazarus_pit.cells.checkpoint.ears import Names
from lazarus_pit.cells.checkpoint.scan import Entry, LeftOut, Scan, order_of, walk


class Touched(NamedTuple):
    """The present state of all that may have changed."""

    entries: dict[str, os.stat_result]
    names: set[str]
    """The names that were looked at, without a slash: what was there before no longer counts."""
    trees: set[str]
    """Directories that are gone or wholly in ``entries``."""
    left_out: list[LeftOut]

    def in_order(self) -> list[Entry]:
        """Return the entries in the order of a scan."""
        return sorted(self.entries.items(), key=lambda entry: order_of(entry[0]))


class Before:
    """The live pass, prepared so that little is left to do under the freeze."""

    def __init__(
        self, root: int, found: Scan, parts: Iterable[str], suspects: Iterable[str]
    ) -> None:
        self._root = root
        self._found = found
        self._parts = {part.rstrip("/") for part in parts}
        self._states = dict(found.tree)
        self._directories: dict[int, list[str]] = {}
        """Several paths: a directory was moved while the tree was listed, or is mounted twice."""
        self._files: dict[int, str] = {}
        self._twins: dict[int, list[str]] = {}
        """All names of the files that have several."""
        for path, state in found.tree:
            if path[-1] == "/":
                self._directories.setdefault(state.st_ino, []).append(path)
                continue
            self._files[state.st_ino] = path
            if state.st_nlink > 1:
                self._twins.setdefault(state.st_ino, []).append(path)
        self._suspects = [*suspects, *self._shared()]
        for part in self._parts:
            parent = split(part)[0]
            with suppress(OSError), Chain(root) as chain:
                inode = os.fstat(chain.fd(parent)).st_ino
                self._directories.setdefault(inode, []).append(parent)
        self._in_order = sorted(path for paths in self._twins.values() for path in paths)

    def _shared(self) -> list[str]:
        """Find the files that may be written through a name elsewhere, of which nobody hears."""
        states = self._states
        return [
            path
            for paths in self._twins.values()
            for path in paths
            if states[path].st_nlink > len(paths)
        ]

    def look(self, names: Names, inodes: Collection[int], paths: Iterable[str] = ()) -> Touched:
        """See what has become of everything that was named, of these inodes and of these paths."""
        wanted: dict[str, set[str]] = {}
        for inode, entries in names.by_directory.items():
            for directory in self._directories.get(inode, ()):
                wanted.setdefault(directory, set()).update(entries - {".", ""})
        _want(wanted, self._suspects)
        _want(wanted, paths)
        for inode in names.objects | set(inodes):
            _want(wanted, self._names_of(inode))
        touched = Touched({}, set(), set(), [])
        self._look_at(wanted, touched)
        twins: dict[str, set[str]] = {}
        _want(twins, self._twins_of(touched) - touched.names)
        self._look_at(twins, touched)
        return touched

    def _names_of(self, inode: int) -> Iterable[str]:
        if inode in self._twins:
            return self._twins[inode]
        return [self._files[inode]] if inode in self._files else []

    def _twins_of(self, touched: Touched) -> set[str]:
        """Find all names of the files that have, or had, one that was looked at."""
        states = self._states
        inodes = {state.st_ino for state in touched.entries.values() if state.st_nlink > 1}
        inodes.update(states[path].st_ino for path in touched.names if path in states)
        inodes.update(states[path].st_ino for path in self._twins_below(touched.trees))
        return {path for inode in inodes for path in self._names_of(inode)}

    def _twins_below(self, trees: set[str]) -> Iterator[str]:
        """Find the names of files with several that went away with a directory, unheard of."""
        in_order = self._in_order
        for tree in trees & self._states.keys() if in_order else ():
            for place in range(bisect_left(in_order, tree), len(in_order)):
                if not in_order[place].startswith(tree):
                    break
                yield in_order[place]

    def _look_at(self, wanted: dict[str, set[str]], touched: Touched) -> None:
        with Chain(self._root) as chain:
            for directory in sorted(wanted):
                if _lies_in(directory, touched.trees):
                    continue  # It was walked with the one that it lies in, or left out, or is gone.
                with suppress(OSError):  # It is gone: its own parent was named too.
                    self._look_into(chain.fd(directory), directory, wanted[directory], touched)

    def _look_into(self, fd: int, directory: str, names: set[str], touched: Touched) -> None:
        if directory in self._states:
            touched.entries[directory] = os.fstat(fd)
            touched.names.add(directory[:-1])
        for name in {name.rstrip("/") for name in names}:
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
            if before and name + "/" not in names and _is_as_open(before, state):
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


def _lies_in(directory: str, trees: set[str]) -> bool:
    end = directory.find("/") + 1
    while end > 0:
        if directory[:end] in trees:
            return True
        end = directory.find("/", end) + 1
    return False


def _is_as_open(before: os.stat_result, now: os.stat_result) -> bool:
    """Whether a directory is the same one, and just as open to us."""
    return all(
        getattr(before, field) == getattr(now, field)
        for field in ("st_ino", "st_mode", "st_uid", "st_gid")
    )


def _want(wanted: dict[str, set[str]], paths: Iterable[str]) -> None:
    for path in paths:
        directory, name = split(path)
        wanted.setdefault(directory, set()).add(name)


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
