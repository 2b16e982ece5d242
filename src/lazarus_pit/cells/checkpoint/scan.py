"""List a tree with the state of every entry: depth first, names sorted, no link followed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import NamedTuple

from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY, Chain, split

Entry = tuple[str, os.stat_result]
"""A path below the cell (a directory's ends with a slash) and its state."""
Attend = Callable[[int, int], None]
"""Told of a directory's descriptor and inode."""

DEEPEST = 256
"""Directories nested deeper are left out and listed: one loop of mkdir must not end all saves."""
MOST_ENTRIES = 5_000_000
_SWAPPED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}
_SKIPPED = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
}
NO_WORK = frozenset(_SKIPPED.values())
"""Why entries are left out that hold nothing which anybody could want back."""


_NAME = itemgetter(0)


class LeftOut(NamedTuple):
    """An entry that a checkpoint does not hold, and why."""

    path: str
    why: str


class Scan(NamedTuple):
    """What a walk has found."""

    tree: list[Entry]
    left_out: list[LeftOut]


def scan(root: int, parts: Iterable[str], attend: Attend | None = None) -> Scan:
    """Walk these paths below the directory ``root``; one that does not exist is passed over.

    Entries that vanish during the walk are not in it. ``attend`` is called with every directory
    before it is listed, and with those that the parts lie in. Raises ``OSError``.
    """
    steps = _Walk(os.fstat(root).st_dev, attend)
    with Chain(root) as chain:
        for part in sorted(parts, key=order_of):
            directory, name = split(part)
            try:
                parent = chain.fd(directory)
                if attend is not None:
                    attend(parent, os.fstat(parent).st_ino)
                state = os.stat(name, dir_fd=parent, follow_symlinks=False)
            except FileNotFoundError:
                continue
            steps.take(parent, directory, [(name, state)])
    return Scan(steps.tree, steps.left_out)


def order_of(path: str) -> str:
    """Sort by this to have paths in the order of a scan."""
    return path.replace("/", "\0")


def walk(fd: int, prefix: str, name: str, state: os.stat_result) -> Scan:
    """Walk one entry of the directory ``fd``, whose path is ``prefix``."""
    steps = _Walk(state.st_dev)
    steps.take(fd, prefix, [(name, state)])
    return Scan(steps.tree, steps.left_out)


class _Walk:
    def __init__(self, device: int, attend: Attend | None = None) -> None:
        self._device = device
        self._attend = attend
        self.tree: list[Entry] = []
        self.left_out: list[LeftOut] = []

    def take(self, fd: int, prefix: str, entries: list[tuple[str, os.stat_result]]) -> None:
        add = self.tree.append
        for name, state in entries:
            kind = state.st_mode & 0o170000
            if kind == stat.S_IFDIR:
                self._descend(fd, prefix + name + "/", name, state)
            elif kind in _SKIPPED:
                self.left_out.append(LeftOut(prefix + name, _SKIPPED[kind]))
            else:
                add((prefix + name, state))

    def _descend(self, fd: int, path: str, name: str, state: os.stat_result) -> None:
        if state.st_dev != self._device:
            self.left_out.append(LeftOut(path, "on another filesystem"))
            return
        if path.count("/") > DEEPEST:
            why = f"nested deeper than {DEEPEST} directories"
            self.left_out.append(LeftOut(path, why))
            return
        if len(self.tree) > MOST_ENTRIES:
            raise OSError(errno.EFBIG, f"more than {MOST_ENTRIES:,} entries", path)
        try:
            inner = os.open(name, OPEN_DIRECTORY, dir_fd=fd)
        except PermissionError:
            self.left_out.append(LeftOut(path, "permission denied"))
            return
        except OSError as error:
            if error.errno in _SWAPPED:
                return
            raise
        try:
            if self._attend is not None:
                self._attend(inner, os.fstat(inner).st_ino)
                state = os.fstat(inner)  # What changed before now was not heard of.
            try:
                listed = _listing(inner)
            except PermissionError:  # Of an ordinary user who may list, but not look.
                self.left_out.append(LeftOut(path, "permission denied"))
                return
            self.tree.append((path, state))
            self.take(inner, path, listed)
        finally:
            os.close(inner)


def _listing(fd: int) -> list[tuple[str, os.stat_result]]:
    try:
        with os.scandir(fd) as entries:
            listed = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
        listed.sort(key=_NAME)
        return listed  # noqa: TRY300 - what may fail is above
    except FileNotFoundError:
        pass  # A name went away between the listing and its state: look at each by itself.
    listed = []
    for name in sorted(os.listdir(fd)):
        try:
            listed.append((name, os.stat(name, dir_fd=fd, follow_symlinks=False)))
        except FileNotFoundError:
            continue
    return listed


def links_of(tree: list[Entry]) -> dict[str, str]:
    """Map each further name of a hard-linked file to its first name in the tree."""
    first: dict[tuple[int, int], str] = {}
    links = {}
    for path, state in tree:
        if state.st_nlink > 1 and not path.endswith("/"):
            name = first.setdefault((state.st_dev, state.st_ino), path)
            if name != path:
                links[path] = name
    return links


def foreign_links(tree: list[Entry], owners: frozenset[int]) -> list[LeftOut]:
    """Find files that have names outside the tree and an owner who is not one of the cell's.

    An agent may hard-link a file that it cannot read; saving it as root would hand it out.
    """
    seen: dict[int, int] = {}
    several = [(path, state) for path, state in tree if state.st_nlink > 1 and path[-1] != "/"]
    for _, state in several:
        seen[state.st_ino] = seen.get(state.st_ino, 0) + 1
    return [
        LeftOut(path, "a hard link to a file outside the cell")
        for path, state in several
        if state.st_nlink > seen[state.st_ino] and state.st_uid not in owners
    ]
