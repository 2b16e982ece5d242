"""All attempts by name; one gets through if its function returns something true.

An error is a wall. Nothing here harms a machine without walls: each attempt touches what the test
has set up, or opens without writing. Standard library only, since it runs inside.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from typing import Any

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

Facts = dict[str, Any]
"""What there is outside, so that nothing need be guessed."""
Attempt = Callable[[Facts], object]

ATTEMPTS: dict[str, Attempt] = {}

PATIENCE = 10
"""Seconds that one attempt may take."""


def attempt(function: Attempt) -> Attempt:
    """Enter a function into the list."""
    ATTEMPTS[function.__name__] = function
    return function


def called(number: int, *arguments: object) -> bool:
    """Whether a raw system call is let through (numbers of x86_64, or those of all machines)."""
    passed = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return int(libc.syscall(ctypes.c_long(number), *passed)) >= 0


def opened(path: str, flags: int) -> bool:
    """Open and close again."""
    os.close(os.open(path, flags))
    return True


def tried(function: Attempt, facts: Facts) -> bool:
    """Whether an attempt gets through; each in a process of its own, since some change it."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    code = 1
    try:
        signal.alarm(PATIENCE)
        code = 0 if function(facts) else 1
    except BaseException:  # noqa: BLE001 - any error is a wall
        code = 1
    finally:
        os._exit(code)
