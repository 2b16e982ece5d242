"""Hear of every change on a filesystem (fanotify(7), Linux 5.9); for root alone."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

from lazarus_pit.linux.syscalls import checked, libc

# fanotify_init: close on exec, do not wait, no bound on the queue, name directories and objects.
_CLOEXEC, _NONBLOCK, _UNLIMITED_QUEUE = 0x1, 0x2, 0x10
_REPORT_FID, _REPORT_DIR_FID, _REPORT_NAME = 0x200, 0x400, 0x800
_INIT = _CLOEXEC | _NONBLOCK | _UNLIMITED_QUEUE | _REPORT_FID | _REPORT_DIR_FID | _REPORT_NAME
_MARK_ADD, _MARK_FILESYSTEM = 0x1, 0x100
_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED = 0x2, 0x4, 0x8, 0x40 | 0x80
_CREATE, _DELETE, _DELETE_SELF, _MOVE_SELF, _ON_DIRECTORY = 0x100, 0x200, 0x400, 0x800, 0x40000000
_MASK = (_MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED | _CREATE) | (
    _DELETE | _DELETE_SELF | _MOVE_SELF | _ON_DIRECTORY
)
_MADE_OR_GONE = _MOVED | _CREATE | _DELETE
_OVERFLOW = 0x4000
_AT_FDCWD = -100
_INFO_OBJECT, _INFO_NAME, _INFO_DIRECTORY = 1, 2, 3

libc.fanotify_mark.argtypes = (
    *(ctypes.c_int, ctypes.c_uint, ctypes.c_uint64),
    *(ctypes.c_int, ctypes.c_char_p),
)


class Heard(NamedTuple):
    """Something changed. ``handle`` is a kernel's file handle, good for ``inode_of``."""

    handle: bytes
    name: bytes | None
    """The entry of the directory ``handle``; ``None``: ``handle`` is the object itself. It ends
    with a slash where a directory was made, moved or removed."""


def watch(path: str) -> int:
    """Begin to hear of changes on the filesystem of ``path``; return the descriptor to read.

    Raises:
        OSError: the kernel, our rights or the filesystem do not allow it.
    """
    fd = checked(libc.fanotify_init(_INIT, os.O_RDONLY | os.O_CLOEXEC), "fanotify_init")
    try:
        how = _MARK_ADD | _MARK_FILESYSTEM
        marked = libc.fanotify_mark(fd, how, _MASK, _AT_FDCWD, os.fsencode(path))
        checked(marked, f"fanotify_mark {path}")
    except OSError:
        os.close(fd)
        raise
    return fd


def heard(events: bytes) -> Iterator[Heard | None]:
    """Read what a descriptor of ``watch`` gave; ``None`` is: events were lost."""
    at = 0
    while at < len(events):
        length, _, _, header, mask, _, _ = struct.unpack_from("=IBBHQii", events, at)
        if mask & _OVERFLOW:
            yield None
        slash = b"/" if mask & _ON_DIRECTORY and mask & _MADE_OR_GONE else b""
        info = at + header
        while info < at + length:
            kind, _, size = struct.unpack_from("=BBH", events, info)
            # A record is: kind, size, the filesystem's id (8 bytes), a file handle, a name.
            end = info + 20 + struct.unpack_from("=I", events, info + 12)[0]
            handle = events[info + 12 : end]
            if kind == _INFO_NAME:
                yield Heard(handle, events[end : info + size].split(b"\0", 1)[0] + slash)
            elif kind == _INFO_DIRECTORY:
                yield Heard(handle, b".")
            elif kind == _INFO_OBJECT:
                yield Heard(handle, None)
            info += size
        at += length


def may_tell(mount: int) -> None:
    """Raise ``OSError`` where ``inode_of`` is not allowed: it takes CAP_DAC_READ_SEARCH."""
    inode_of(mount, struct.pack("=Iiq", 8, 1, 0))


def inode_of(mount: int, handle: bytes) -> int:
    """Tell which inode a handle means; 0: none any more. ``mount``: any file of its filesystem.

    Raises ``OSError`` where that is not allowed.
    """
    buffer = ctypes.create_string_buffer(handle, len(handle))
    fd = libc.open_by_handle_at(mount, buffer, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    if fd < 0:
        if ctypes.get_errno() == errno.EPERM:
            raise PermissionError(errno.EPERM, "open_by_handle_at")
        return 0
    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)
