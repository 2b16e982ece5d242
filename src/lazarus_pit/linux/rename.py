"""Renames and flushes that the standard library does not offer."""

from __future__ import annotations

import ctypes
import os

_LIBC = ctypes.CDLL(None, use_errno=True)
_RENAME_EXCHANGE = 2


def exchange(first_fd: int, first: str, second_fd: int, second: str) -> None:
    """Swap two names in one step (``renameat2(2)`` with ``RENAME_EXCHANGE``).

    Each name lies directly below its directory descriptor. Raises ``OSError``.
    """
    done = _LIBC.renameat2(
        first_fd, os.fsencode(first), second_fd, os.fsencode(second), _RENAME_EXCHANGE
    )
    if done != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), first, None, second)


def sync_filesystem(fd: int) -> None:
    """Write out everything of the filesystem that ``fd`` lies on (``syncfs(2)``)."""
    if _LIBC.syncfs(fd) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that forked it ends (``prctl(2)``)."""
    pr_set_pdeathsig, sigkill = 1, 9
    _LIBC.prctl(pr_set_pdeathsig, sigkill, 0, 0, 0)
