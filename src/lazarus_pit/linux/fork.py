"""Fork a child that is born in a cgroup (clone3(2), CLONE_INTO_CGROUP, Linux 5.7).

To move a process into a cgroup afterwards costs a grace period of the kernel's, 10 ms and more on
a busy machine; to be born there costs nothing. Python is told of the fork as its C interface asks
those to do who fork on their own (PyOS_BeforeFork and its sisters).
"""

from __future__ import annotations

import ctypes
import os
import signal

from lazarus_pit.linux.syscalls import checked

_CLONE3 = 435
"""The same on every machine."""
_INTO_CGROUP = 0x2_0000_0000

_libc = ctypes.PyDLL(None, use_errno=True)
"""Keeps the interpreter's lock over the call: in the child nobody is left to give it back."""
_libc.syscall.restype = ctypes.c_long


class _CloneArgs(ctypes.Structure):
    """``struct clone_args`` of linux/sched.h."""

    _fields_ = tuple(
        (name, ctypes.c_uint64)
        for name in (
            "flags",
            "pidfd",
            "child_tid",
            "parent_tid",
            "exit_signal",
            "stack",
            "stack_size",
            "tls",
            "set_tid",
            "set_tid_size",
            "cgroup",
        )
    )


def fork_into(leaf: str) -> int:
    """Fork as ``os.fork`` does, the child being born in the cgroup at the path ``leaf``.

    Of the child only so much is promised that it can become another program soon.

    Raises:
        OSError: the kernel refused, or does not know how; there is no child.
    """
    fd = os.open(leaf, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        wanted = _CloneArgs(flags=_INTO_CGROUP, exit_signal=signal.SIGCHLD, cgroup=fd)
        size = ctypes.c_size_t(ctypes.sizeof(wanted))
        number = ctypes.c_long(_CLONE3)
        ctypes.pythonapi.PyOS_BeforeFork()
        pid = _libc.syscall(number, ctypes.byref(wanted), size)
        if pid == 0:
            ctypes.pythonapi.PyOS_AfterFork_Child()
            return 0
        ctypes.pythonapi.PyOS_AfterFork_Parent()
        return checked(pid, f"clone3 into {leaf}")
    finally:
        os.close(fd)
