"""Reach files below a directory descriptor: one name at a time, never through a link.

An agent may swap a directory for a link at any instant; a path is therefore never handed to the
kernel whole. ``""`` is the directory itself, other directories end with a slash.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Self

OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: a FIFO put in a file's place, or a lease held by a frozen process, must not stop us.
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_DEEPEST = 100


def split(path: str) -> tuple[str, str]:
    """Part a path into its directory (with its slash, or empty) and its last name."""
    cut = path.rfind("/", 0, -1) + 1
    return path[:cut], path[cut:].rstrip("/")


class Chain:
    """The open directories on the way to the one that was asked for last.

    With ``make`` directories that are missing are made, for their owner alone. ``root`` stays the
    caller's; everything else is closed with the chain.
    """

    def __init__(self, root: int, *, make: bool = False) -> None:
        self._make = make
        self._links: list[tuple[str, int]] = [("", root)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what the chain has opened; it can be used again."""
        while len(self._links) > 1:
            os.close(self._links.pop()[1])

    def fd(self, directory: str) -> int:
        """Return the descriptor of a directory; it is good until the next call. Raises OSError."""
        links = self._links
        if links[-1][0] == directory:
            return links[-1][1]
        while len(links) > 1 and not directory.startswith(links[-1][0]):
            os.close(links.pop()[1])
        here, fd = links[-1]
        while here != directory:
            end = directory.index("/", len(here))
            name = directory[len(here) : end]
            fd = self._enter(name, fd)
            here = directory[: end + 1]
            links.append((here, fd))
        return fd

    def _enter(self, name: str, fd: int) -> int:
        try:
            return os.open(name, OPEN_DIRECTORY, dir_fd=fd)
        except FileNotFoundError:
            if not self._make:
                raise
        with suppress(FileExistsError):  # Another process that shares the work was faster.
            os.mkdir(name, 0o700, dir_fd=fd)
        return os.open(name, OPEN_DIRECTORY, dir_fd=fd)


def open_regular(chain: Chain, path: str) -> tuple[int, os.stat_result]:
    """Open a regular file for reading; whatever else has taken its place raises ``OSError``."""
    directory, name = split(path)
    fd = os.open(name, _OPEN_FILE, dir_fd=chain.fd(directory))
    found = os.fstat(fd)
    if stat.S_ISREG(found.st_mode):
        return fd, found
    os.close(fd)
    raise OSError(errno.ESTALE, "no longer a regular file", path)


def remove(parent: int, name: str) -> None:
    """Remove a file or a whole tree below ``parent``; nothing outside it is touched.

    A tree of any depth goes: what lies too deep is first moved up. Raises ``OSError``.
    """
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        _open_up(name, parent)
        top = os.open(name, OPEN_DIRECTORY, dir_fd=parent)
        try:
            while os.listdir(top):
                _empty(top, top, 0)
        finally:
            os.close(top)
        os.rmdir(name, dir_fd=parent)


def _empty(fd: int, top: int, depth: int) -> None:
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        if not is_directory:
            os.unlink(name, dir_fd=fd)
            continue
        _open_up(name, fd)
        if depth >= _DEEPEST:
            os.rename(name, os.urandom(16).hex(), src_dir_fd=fd, dst_dir_fd=top)
            continue
        below = os.open(name, OPEN_DIRECTORY, dir_fd=fd)
        try:
            _empty(below, top, depth + 1)
        finally:
            os.close(below)
        os.rmdir(name, dir_fd=fd)


def _open_up(name: str, fd: int) -> None:
    """Let an ordinary owner into a directory of mode 000; root needs no leave."""
    if os.geteuid() == 0:
        return
    held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
    try:
        if stat.S_ISDIR(os.fstat(held).st_mode):
            os.chmod(f"/proc/self/fd/{held}", 0o700)
    finally:
        os.close(held)
