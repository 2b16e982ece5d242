"""Does its process exist: one pass over ``/proc`` for all patterns, as ``pgrep -f`` would match.

The prober never finds itself: not this process, no other pool, and no shell or wrapper above us
that merely names one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from lazarus_pit.linux import procfs
from lazarus_pit.probes.seen import Seen, failed, passed

LINE_BYTES = 64 * 1024
"""Of a command line that are looked at."""
_POOL_WORDS = frozenset((b"resurrection-pool", b"lazarus_pit.cli.pool"))


def probe(patterns: Iterable[str]) -> dict[str, Seen]:
    """Return for each pattern whether the command line of a process matches it.

    Where command lines are hidden from us, whoever was not found may well be there: the probe
    passes rather than raise a false alarm (contract 3.4).
    """
    wanted = {pattern: _compiled(pattern) for pattern in patterns}
    found: dict[str, Seen] = {}
    above = _ancestors()
    hidden = not os.path.exists("/proc/1")
    for pid in procfs.pids():
        if len(found) == len(wanted):
            break
        if pid == os.getpid():
            continue
        try:
            line = _command_line(pid)
        except PermissionError:
            hidden = True
            continue
        if not line or _is_pool(line, is_above=pid in above):
            continue
        words = line.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        for pattern, expression in wanted.items():
            if pattern not in found and expression.search(words):
                found[pattern] = passed(f"pid {pid}")
    rest = passed("processes are hidden from us") if hidden else failed("no such process")
    return {pattern: found.get(pattern, rest) for pattern in wanted}


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return re.compile(re.escape(pattern))


def _command_line(pid: int) -> bytes:
    """Return the command line with its zero bytes; empty for who is gone, ended or a thread."""
    try:
        fd = os.open(f"/proc/{pid}/cmdline", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        return b""
    try:
        return os.read(fd, LINE_BYTES)
    except ProcessLookupError:
        return b""
    finally:
        os.close(fd)


def _is_pool(line: bytes, *, is_above: bool) -> bool:
    """Whether this is a pool, or a shell of ours that was told to run one."""
    if is_above and any(word in line for word in _POOL_WORDS):
        return True
    return any(part.rpartition(b"/")[2] in _POOL_WORDS for part in line.split(b"\0"))


def _ancestors() -> set[int]:
    found: set[int] = set()
    pid = os.getppid()
    while pid > 1 and pid not in found:
        found.add(pid)
        seen = procfs.stat(pid)
        pid = seen.ppid if seen else 0
    return found
