"""Remove a tree that a stranger may have made: no link is followed, no depth is too great.

Directories that hold something are first moved up to the top, so that two descriptors and short
names are all it takes, where recursion would meet the limits of paths, descriptors and stacks.
"""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_HANDLE = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ALL = 0o700
_TOLD = 1000
"""Names of one directory that go between two words about it."""


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it; a link at ``path`` itself is refused.

    Raises:
        OSError: something could not be removed, or another file system is mounted below; what is
            left is still below ``path``.
    """
    empty_tree(path)
    path.rmdir()


def empty_tree(path: Path, keep: str = "", removed: Callable[[int], None] = lambda _: None) -> None:
    """Remove all that is in a directory but one name directly inside; raises as ``remove_tree``.

    ``removed`` is called now and then with how many more names have gone from below.
    """
    top = os.open(path, _DIRECTORY)
    try:
        moved = 0
        while names := [name for name in os.listdir(top) if name != keep]:
            for name in names:
                if not _unlink(name, top):
                    moved = _flatten(name, top, moved, removed)
    finally:
        os.close(top)


def _unlink(name: str, parent: int) -> bool:
    """Remove a name; ``False`` for a directory, which stays."""
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return True
    except IsADirectoryError:
        return False
    return True


def _flatten(name: str, top: int, moved: int, removed: Callable[[int], None]) -> int:
    """Remove one directory of the top: files go, directories that hold something move up.

    Only empty directories are ever asked to go: the kernel searches all that it remembers below
    a directory before it refuses, which takes the square of the depth.

    Returns ``moved``, the number of directories that have been moved up so far.
    """
    with _entered(name, top) as inner:
        children = os.listdir(inner)
        for number, child in enumerate(children, 1):
            if number % _TOLD == 0:
                removed(_TOLD)
            if _unlink(child, inner):
                continue
            # One must be able to write in a directory to move it.
            with _entered(child, inner) as below, os.scandir(below) as entries:
                empty = next(entries, None) is None
            if empty:
                os.rmdir(child, dir_fd=inner)
                continue
            moved += 1
            while os.path.lexists(f"/proc/self/fd/{top}/{_fresh(moved)}"):
                moved += 1
            os.rename(child, _fresh(moved), src_dir_fd=inner, dst_dir_fd=top)
    os.rmdir(name, dir_fd=top)
    removed(len(children) % _TOLD)
    return moved


def _fresh(number: int) -> str:
    return f".removing-{number}"


@contextmanager
def _entered(name: str, parent: int) -> Iterator[int]:
    """Hold a directory in which we may do everything, on the same mount as its parent."""
    handle = os.open(name, _HANDLE, dir_fd=parent)
    try:
        if os.fstat(handle).st_mode & _ALL != _ALL:
            os.chmod(f"/proc/self/fd/{handle}", _ALL)
        fd = os.open(f"/proc/self/fd/{handle}/.", _DIRECTORY)
        try:
            if _mount(fd) != _mount(parent):
                raise OSError(errno.EXDEV, "something is mounted there", name)
            yield fd
        finally:
            os.close(fd)
    finally:
        os.close(handle)


def _mount(fd: int) -> str:
    """Return the id of the mount that a descriptor lies on; even a bind mount has its own."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    return next((line for line in lines if line.startswith("mnt_id:")), "")
