"""User namespaces (user_namespaces(7)): how an ordinary user comes to the other kinds."""

from __future__ import annotations

import os

from lazarus_pit.linux.syscalls import checked, libc

CLONE_NEWUSER = 0x10000000


def leave(flags: int, what: str) -> None:
    """Move this process into fresh namespaces of the kinds in ``flags`` (unshare(2)).

    Who may not gets a user namespace around them, in which nobody but that user exists. The
    process must have one thread.

    Raises:
        OSError: the kernel refused; its text names ``what``.
    """
    if libc.unshare(flags) == 0:
        return
    uid, gid = os.geteuid(), os.getegid()
    checked(libc.unshare(flags | CLONE_NEWUSER), f"unshare {what}")
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{uid} {uid} 1")
    _write("/proc/self/gid_map", f"{gid} {gid} 1")


def _write(path: str, words: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(words)
