"""What a supervisor costs: processor time, memory, and the small statistics of a bench.

Processor time comes from a cgroup v1 ``cpuacct`` group where one can be made: it holds the
supervisor and everything it forks, agents too (they sleep). Elsewhere it is the supervisor's own
processes, in nanoseconds from ``/proc/<pid>/task/*/schedstat``.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path

from lazarus_pit.linux import procfs


def median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else float("nan")


def p99(values: Sequence[float]) -> float:
    """The sample below which 99 % lie; with few samples it is the largest or the one before."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else float("nan")


def supervisors(root: int, agent: str) -> list[int]:
    """A supervisor's own processes: itself and all below it, without the agents."""
    found = [root, *procfs.descendants([root])]
    return [pid for pid in found if _program(pid) not in ("", agent)]


def _program(pid: int) -> str:
    try:
        return os.path.realpath(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def pss_kib(pids: Iterable[int]) -> float:
    """Memory of processes in KiB, what they share divided among those who share it."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            total += sum(int(line.split()[1]) for line in file if line.startswith(b"Pss:"))
    return total


def on_cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time of living processes, from the scheduler's own count."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", "rb") as file:
                    total += int(file.read().split()[0])
    return total / 1e9


def _cpuacct() -> Path | None:
    """Where cgroup v1 accounts for processor time, if this user can make a group there."""
    if given := os.environ.get("BENCH_CPUACCT"):
        return Path(given)
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            if right.startswith("cgroup ") and "cpuacct" in right.split()[-1].split(","):
                place = Path(left.split()[4])
                return place if os.access(place, os.W_OK) and os.geteuid() == 0 else None
    return None


def source() -> str:
    """Where processor time is read here."""
    return "cpuacct" if _cpuacct() else "schedstat"


class Account:
    """Processor time of one supervisor."""

    def __init__(self, name: str) -> None:
        """Open an account; ``argv`` starts what is to be charged to it."""
        place = _cpuacct()
        self.group = place / f"lazarus-bench-{os.getpid()}-{name}" if place else None
        if self.group is not None:
            self.group.mkdir(exist_ok=True)

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The command that starts a program inside the account."""
        if self.group is None:
            return list(argv)
        join = f'echo $$ > "{self.group}/cgroup.procs" && exec "$@"'
        return ["/bin/sh", "-c", join, "sh", *argv]

    def seconds(self, root: int, agent: str) -> float:
        """Processor time charged until now."""
        if self.group is None:
            return on_cpu_seconds(supervisors(root, agent))
        return int((self.group / "cpuacct.usage").read_text()) / 1e9

    def pids(self) -> list[int]:
        """Everything that was started inside the account and still runs."""
        if self.group is None:
            return []
        return [int(line) for line in (self.group / "cgroup.procs").read_text().split()]

    def close(self) -> None:
        if self.group is not None:
            with contextlib.suppress(OSError):
                self.group.rmdir()


def remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
