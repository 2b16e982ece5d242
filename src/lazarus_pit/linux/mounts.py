"""Bind directories into a private place before the rights to reach them are given up (mount(2))."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from lazarus_pit.linux.syscalls import checked, libc

_CLONE_NEWNS = 0x20000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000

STAGE = "/tmp"  # noqa: S108 - in a mount namespace of our own, under a fresh file system
"""Always there, and open to any user on the way; bubblewrap has not begun to use it yet."""


def stage(sources: Mapping[str, str]) -> None:
    """Bind each source (by absolute path) to its name in ``STAGE``, seen by this process alone.

    For a child that is about to give up root: whoever it becomes needs no right to walk to the
    sources, and no path that an agent could change is resolved later.

    Raises:
        OSError: a source is missing or is a link, or the kernel refused.
    """
    checked(libc.unshare(_CLONE_NEWNS), "unshare mount namespace")
    _mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    opened = {name: _open(path) for name, path in sources.items()}
    _mount(b"tmpfs", STAGE.encode(), b"tmpfs", _MS_NOSUID | _MS_NODEV, b"mode=0755,size=1m")
    for name, fd in opened.items():
        target = f"{STAGE}/{name}"
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        _mount(f"/proc/self/fd/{fd}".encode(), target.encode(), None, _MS_BIND | _MS_REC, None)
        os.close(fd)


def _open(path: str) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise OSError(error.errno, f"{path}: {error.strerror}") from error


def _mount(
    source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None
) -> None:
    checked(libc.mount(source, target, kind, flags, data), f"mount {os.fsdecode(target)}")
