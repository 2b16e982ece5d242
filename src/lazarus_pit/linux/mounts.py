"""Bind directories into a private place before the rights to reach them are given up (mount(2))."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from lazarus_pit.linux import userns
from lazarus_pit.linux.syscalls import checked, libc

_CLONE_NEWNS = 0x20000
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
_MS_RDONLY, _MS_REMOUNT = 0x1, 0x20
_KEPT = os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC
"""What a mount would lose when it is made read-only; mount(2) has the same numbers."""

STAGE = "/tmp"  # noqa: S108 - in a mount namespace of our own, under a fresh file system
"""Always there, and open to any user on the way; bubblewrap has not begun to use it yet."""


def stage(sources: Mapping[str, str], closed: Mapping[str, str] | None = None) -> None:
    """Bind each source (by absolute path) to its name in ``STAGE``, seen by this process alone.

    For a child that is about to give up root: whoever it becomes needs no right to walk to the
    sources, and no path that an agent could change is resolved later. An ordinary user gets a user
    namespace around it.

    Args:
        sources: what is bound, by name.
        closed: names of directories that cannot be written there, but for one directory in each.

    Raises:
        OSError: a source is missing or is a link, or the kernel refused.
    """
    userns.leave(_CLONE_NEWNS, "mount namespace")
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
    for name, but in (closed or {}).items():
        _close(f"{STAGE}/{name}", but)


def _close(top: str, but: str) -> None:
    """Make a mount read-only but for one directory in it, whatever others do to its name."""
    fd = _open(f"{top}/{but}", os.O_DIRECTORY)
    held = f"/proc/self/fd/{fd}".encode()
    _mount(held, held, None, _MS_BIND, None)
    os.close(fd)
    kept = os.statvfs(top).f_flag & _KEPT
    _mount(b"none", top.encode(), None, _MS_REMOUNT | _MS_BIND | _MS_RDONLY | kept, None)


def _open(path: str, more: int = 0) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC | more)
    except OSError as error:
        raise OSError(error.errno, f"{path}: {error.strerror}") from error


def _mount(
    source: bytes, target: bytes, kind: bytes | None, flags: int, data: bytes | None
) -> None:
    checked(libc.mount(source, target, kind, flags, data), f"mount {os.fsdecode(target)}")
