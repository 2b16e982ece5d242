"""The C library by ctypes, for calls that Python does not wrap."""

from __future__ import annotations

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def checked(result: int, what: str) -> int:
    """Pass the result of a C call on; a negative one becomes an ``OSError`` that says what failed.

    Raises:
        OSError: with the call's errno; its text begins with ``what``.
    """
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: object, what: str) -> int:
    """Make a raw system call. Integers are passed as C longs, bytes as pointers.

    Raises:
        OSError: the kernel refused; ``ENOSYS`` where it does not know the call.
    """
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return checked(libc.syscall(ctypes.c_long(number), *passed), what)


PR_SET_NO_NEW_PRIVS = 38


def forbid_new_privileges() -> None:
    """From now on no ``execve`` of this thread gains privileges (prctl(2), PR_SET_NO_NEW_PRIVS).

    Raises:
        OSError: the kernel refused.
    """
    checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
