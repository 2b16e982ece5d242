"""Open what an agent can have planted: below a directory, through no link, without waiting."""

from __future__ import annotations

import errno
import os
import stat
import struct
from typing import NamedTuple

from lazarus_pit.linux.syscalls import syscall

_OPENAT2 = 437
"""The number of openat2(2) on every architecture (Linux 5.6)."""
_RESOLVE_NO_MAGICLINKS, _RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x2, 0x4, 0x8
_RESOLVE = _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS | _RESOLVE_NO_MAGICLINKS
_SAFE = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


class Small(NamedTuple):
    """A small file as it was read."""

    data: bytes
    mtime_ns: int
    """Wall-clock time of the last change, as the file system says; the agent can set it."""


def open_beneath(directory: int, name: str, flags: int = os.O_RDONLY, mode: int = 0o600) -> int:
    """Open ``name``, a relative path, strictly below an open directory, and return a descriptor.

    No component may be a link, and opening a FIFO does not wait.

    Raises:
        OSError: ``ELOOP`` for a link, ``EXDEV`` for a path that leads out, and the usual ones.
    """
    how = struct.pack("=QQQ", flags | _SAFE, mode if flags & os.O_CREAT else 0, _RESOLVE)
    path = os.fsencode(name) + b"\0"
    try:
        return syscall(_OPENAT2, directory, path, how, len(how), what=name)
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
    return _walk(directory, name, flags, mode)


def _walk(directory: int, name: str, flags: int, mode: int) -> int:
    """The same for kernels and containers without openat2: one component at a time."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or not parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    here = os.dup(directory)
    try:
        for part in parts[:-1]:
            if stat.S_ISLNK(os.stat(part, dir_fd=here, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | _SAFE, dir_fd=here)
            os.close(here)
            here = below
        return os.open(parts[-1], flags | _SAFE, mode, dir_fd=here)
    finally:
        os.close(here)


def read_small(directory: int, name: str, limit: int) -> Small | None:
    """Read a regular file of at most ``limit`` bytes; ``None`` if there is none of that name.

    Raises:
        OSError: ``EFBIG`` if it is larger, ``EINVAL`` if it is something else than a regular file
            or has a second name, ``ELOOP`` if it is a link, and whatever reading it may raise.
    """
    try:
        fd = open_beneath(directory, name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", name)
        if found.st_nlink > 1:
            raise OSError(errno.EINVAL, "a file with more than one name", name)
        data = os.read(fd, limit + 1)
        if len(data) > limit:
            raise OSError(errno.EFBIG, f"larger than {limit} bytes", name)
        return Small(data, found.st_mtime_ns)
    finally:
        os.close(fd)
