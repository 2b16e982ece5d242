"""A process by descriptor: the number may be used again, the descriptor never means another."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct

from lazarus_pit.core.model import Exit
from lazarus_pit.linux import procfs

_INFO_SIZE = 72
_GET_INFO = (3 << 30) | (_INFO_SIZE << 16) | (0xFF << 8) | 11
"""PIDFD_GET_INFO of linux/pidfd.h with a ``struct pidfd_info`` of 72 bytes (since 6.13)."""
_INFO_EXIT = 1 << 3
"""Ask for, and learn whether there is, the exit status (since 6.15)."""
_EXIT_CODE_AT = 60


def open_pid(pid: int) -> int | None:
    """Open a descriptor for the process of that number; ``None`` if there is none."""
    try:
        return os.pidfd_open(pid)
    except (OSError, ValueError):
        return None


def send_signal(pidfd: int, number: int) -> bool:
    """Send a signal; ``False`` if the process has ended or is not ours to signal."""
    try:
        signal.pidfd_send_signal(pidfd, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def exit_from_status(status: int) -> Exit:
    """Translate a wait status, as of waitpid(2)."""
    if os.WIFSIGNALED(status):
        return Exit(signal=os.WTERMSIG(status))
    return Exit(code=os.WEXITSTATUS(status))


def exit_of(pidfd: int, pid: int) -> Exit | None:
    """How the process ended; ``None`` while it runs.

    An own child is collected. Of another's child the answer is the status of the zombie, or what
    the kernel keeps for holders of a descriptor that was opened while the process was there
    (Linux 6.15), or unknown.
    """
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return _exit_of_stranger(pidfd, pid)
    if result is None:
        return None
    if result.si_code == os.CLD_EXITED:
        return Exit(code=result.si_status)
    return Exit(signal=result.si_status)


def has_ended(pidfd: int) -> bool:
    """Whether the process has ended, whoever its parent is."""
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _is_readable(pidfd)


def _is_readable(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _exit_of_stranger(pidfd: int, pid: int) -> Exit | None:
    if not has_ended(pidfd):
        return None
    status = procfs.zombie_status(pid)
    if status is None:
        status = _kept_status(pidfd)
    return Exit() if status is None else exit_from_status(status)


def _kept_status(pidfd: int) -> int | None:
    """The status that the kernel keeps for a collected process."""
    info = bytearray(_INFO_SIZE)
    struct.pack_into("=Q", info, 0, _INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _GET_INFO, info)
    except OSError:
        return None
    (mask,) = struct.unpack_from("=Q", info)
    if not mask & _INFO_EXIT:
        return None
    (status,) = struct.unpack_from("=i", info, _EXIT_CODE_AT)
    return int(status)
