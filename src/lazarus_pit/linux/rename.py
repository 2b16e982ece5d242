"""Renames and flushes that the standard library does not offer."""

from __future__ import annotations

import os
import signal

from lazarus_pit.linux.syscalls import checked, libc

_RENAME_EXCHANGE = 2
_PR_SET_PDEATHSIG = 1


def exchange(first_fd: int, first: str, second_fd: int, second: str) -> None:
    """Swap two names in one step (``renameat2(2)`` with ``RENAME_EXCHANGE``).

    Each name lies directly below its directory descriptor. Raises ``OSError``.
    """
    names = os.fsencode(first), os.fsencode(second)
    done = libc.renameat2(first_fd, names[0], second_fd, names[1], _RENAME_EXCHANGE)
    checked(done, f"exchange {first!r}")


def sync_filesystem(fd: int) -> None:
    """Write out everything of the filesystem that ``fd`` lies on (``syncfs(2)``)."""
    checked(libc.syncfs(fd), "syncfs")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that forked it ends (``prctl(2)``)."""
    checked(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "die with the parent")
