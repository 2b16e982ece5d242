"""What one probe saw."""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from lazarus_pit.core.far import Reading

OWN_FAILURES = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOMEM,
        errno.ENOBUFS,
        errno.EADDRNOTAVAIL,
        errno.ENETUNREACH,
        errno.ENETDOWN,
        errno.EPERM,
        errno.EIO,
        errno.EAGAIN,
    }
)
"""Errors of this machine: no descriptor, no memory, no network, a local firewall, a bad disk."""


class Seen(NamedTuple):
    """A reading, what it rests on in words, and for a heartbeat its age in seconds."""

    reading: Reading
    note: str
    age: float | None = None


def passed(note: str = "", age: float | None = None) -> Seen:
    """It lives, as far as this probe can see."""
    return Seen(Reading.PASSED, note, age)


def failed(note: str, age: float | None = None) -> Seen:
    """There is no sign of it."""
    return Seen(Reading.FAILED, note, age)


def unknown(note: str) -> Seen:
    """The probe itself failed: nothing is said about the agent."""
    return Seen(Reading.UNKNOWN, note)


def from_error(error: OSError) -> Seen:
    """Tell an error of this machine from one that speaks of the agent."""
    # asyncio words a refused connection at length; the number says the same in three words.
    said = os.strerror(error.errno) if error.errno else str(error)
    return unknown(said) if error.errno in OWN_FAILURES else failed(said)
