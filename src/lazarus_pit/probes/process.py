"""Does its process exist: one pass over ``/proc`` for all patterns, as ``pgrep -f`` would match.

The prober never finds itself: not this process, no other pool, and no shell or wrapper above us
that merely names one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping

from lazarus_pit.linux import procfs
from lazarus_pit.probes import matching
from lazarus_pit.probes.seen import Seen, failed, passed

LINE_BYTES = 64 * 1024
"""Of a command line that are looked at."""
ALL_BYTES = 64 * 1024 * 1024
"""Of all of them together: nobody has us hold more; what is beyond it cannot be checked."""
_POOL_WORDS = frozenset((b"resurrection-pool", b"lazarus_pit.cli.pool"))


def probe(patterns: Iterable[str], seconds: float) -> dict[str, Seen]:
    """Return for each pattern whether the command line of a process matches it.

    Where command lines are hidden from us, whoever was not found may well be there: the probe
    passes rather than raise a false alarm (contract 3.4). So it does where a search does not end
    within its time, or all of them within so many seconds.
    """
    lines, hidden = _command_lines()
    wanted = list(dict.fromkeys(patterns))
    slow = [pattern for pattern in wanted if _may_be_slow(pattern)]
    found: dict[str, int | None] = {
        pattern: _search(pattern, lines) for pattern in wanted if not _may_be_slow(pattern)
    }
    if slow and lines:
        found |= zip(slow, _search_aside(slow, list(lines.values()), seconds), strict=True)
    pids = list(lines)
    rest = passed("processes are hidden from us") if hidden else failed("no such process")
    return {pattern: _seen(found.get(pattern, -1), pids, rest) for pattern in wanted}


def _seen(at: int | None, pids: list[int], rest: Seen) -> Seen:
    if at is None:
        return passed("cannot be checked: the search for it takes too long")
    return rest if at < 0 else passed(f"pid {pids[at]}")


def _may_be_slow(pattern: str) -> bool:
    """Whether it repeats anything: what does not is found in one pass over a line."""
    return any(sign in pattern for sign in "*+{")


def _search(pattern: str, lines: Mapping[int, str]) -> int:
    expression = re.compile(_valid(pattern))
    return next((at for at, line in enumerate(lines.values()) if expression.search(line)), -1)


def _search_aside(patterns: list[str], lines: list[str], seconds: float) -> list[int | None]:
    """Search in another process, which can be interrupted: see ``matching``.

    Raises:
        OSError: it cannot be started.
    """
    asked = json.dumps([[_valid(pattern) for pattern in patterns], lines]).encode()
    argv = [sys.executable, "-I", "-S", matching.__file__]
    try:
        done = subprocess.run(argv, input=asked, capture_output=True, timeout=seconds, check=True)
    except subprocess.SubprocessError:
        return [None] * len(patterns)
    found: list[int | None] = json.loads(done.stdout)
    return found


def _valid(pattern: str) -> str:
    """Return a pattern; one that is none is looked for as it stands."""
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        return re.escape(pattern)
    return pattern


def _command_lines() -> tuple[dict[int, str], bool]:
    """Return the command lines that count by pid, and whether others are hidden from us."""
    lines: dict[int, str] = {}
    above = _ancestors()
    hidden = not os.path.exists("/proc/1")
    left = ALL_BYTES
    for pid in procfs.pids():
        if pid == os.getpid():
            continue
        try:
            line = _command_line(pid)
        except PermissionError:
            hidden = True
            continue
        left -= len(line)
        if left < 0:
            return lines, True
        if line and not _is_pool(line, is_above=pid in above):
            lines[pid] = line.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
    return lines, hidden


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
