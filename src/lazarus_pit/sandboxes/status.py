"""The status file of one life: what bubblewrap, or the sandbox without one, writes about it.

Bubblewrap writes JSON objects, one a line (bwrap(1), ``--json-status-fd``); a direct child's first
line is our own. The agent cannot reach the file, so it is believed, but read with a bound.
"""

from __future__ import annotations

import errno
import json
import os

from msgspec import Struct

from lazarus_pit.linux import procfs
from lazarus_pit.linux.reserve import reserve

_LIMIT = 16_384
"""Bytes; bubblewrap writes some 300."""
_RESERVE = 1024


class Report(Struct, frozen=True, kw_only=True):
    """What a status file says; ``None`` where it does not say."""

    exit_code: int | None = None
    """As shells count: 128 and the number of a signal."""
    child_pid: int | None = None
    """The init of the sandbox, by its number outside."""
    pid_namespace: int | None = None
    pid: int | None = None
    """A direct child's own number, and when it began."""
    start_time: int | None = None


_KEYS = {
    "exit-code": "exit_code",
    "child-pid": "child_pid",
    "pid-namespace": "pid_namespace",
    "pid": "pid",
    "start-time": "start_time",
}


def read(path: str) -> Report:
    """Read a status file; a line that is torn or strange is passed over."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return Report()
    try:
        text = os.read(fd, _LIMIT)
    except OSError:
        return Report()
    finally:
        os.close(fd)
    return parse(text)


def parse(text: bytes) -> Report:
    """Fold the lines into one report."""
    values: dict[str, int] = {}
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            known = {_KEYS[key]: value for key, value in record.items() if key in _KEYS}
            values |= {key: value for key, value in known.items() if type(value) is int}
    return Report(**values)


def create(path: str) -> int:
    """Open an empty status file for appending and return its descriptor.

    Bubblewrap ends the life when it cannot write its status. So the space is reserved first, and on
    a full disk the status goes to memory: the life runs, and its end is seen as long as this daemon
    is there to see it.

    Raises:
        OSError: it cannot be made there.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(path, flags, 0o600)
    try:
        reserve(fd, 0, _RESERVE)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            os.close(fd)
            return os.memfd_create("status", os.MFD_CLOEXEC)
    return fd


def identity_line(pid: int, start_time: int) -> bytes:
    """The first line of a direct child's file."""
    return json.dumps({"pid": pid, "start-time": start_time}).encode() + b"\n"


def inner_init(path: str) -> int | None:
    """The living init of a bubblewrap sandbox, surely: its namespace is the one in the file."""
    report = read(path) if path else Report()
    if report.child_pid is None or report.pid_namespace is None:
        return None
    same = procfs.pid_namespace(report.child_pid) == report.pid_namespace
    return report.child_pid if same else None
