"""Space on the disk that is ours before we need it."""

from __future__ import annotations

import ctypes

from lazarus_pit.linux.syscalls import checked, libc

_KEEP_SIZE = 1


def reserve(fd: int, offset: int, length: int) -> None:
    """Reserve disk space for a range of a file without changing its size.

    ``fallocate(2)`` with ``FALLOC_FL_KEEP_SIZE``: later writes into the range succeed on a disk
    that is full by then, unless the file system copies on write.

    Args:
        fd: a file open for writing.
        offset: where the range begins, in bytes.
        length: how long it is, in bytes.

    Raises:
        OSError: no space, or the file system does not know how.
    """
    range_ = (ctypes.c_int64(offset), ctypes.c_int64(length))
    checked(libc.fallocate(fd, _KEEP_SIZE, *range_), "fallocate")
