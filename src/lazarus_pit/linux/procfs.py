"""What ``/proc`` says about a process (proc(5)); of one that is gone, ``None``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

CLOCK_TICKS: int = os.sysconf("SC_CLK_TCK")
"""Clock ticks a second: the unit of start and processor times in ``/proc``."""

ZOMBIE = "Z"
DEAD = "X"
STOPPED = frozenset("Tt")
ENDED = frozenset((ZOMBIE, DEAD))

_boot_id = ""


class Stat(NamedTuple):
    """The fields of ``/proc/<pid>/stat`` that we use."""

    state: str
    """One letter; ``Z`` has ended and waits for its parent, ``T`` and ``t`` are stopped."""
    ppid: int
    session: int
    ticks: int
    """Processor time of the process and of the children it waited for, in clock ticks."""
    start_time: int
    """Clock ticks between the boot and the start."""
    exit_status: int
    """As ``wait`` gives it; meaningful for a zombie that we may look into."""


def boot_id() -> str:
    """The kernel's name for this boot; it changes with each."""
    global _boot_id  # noqa: PLW0603 - a constant of the machine, read once
    if not _boot_id:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            _boot_id = file.read().strip()
    return _boot_id


def stat(pid: int) -> Stat | None:
    """Read ``/proc/<pid>/stat``; the command name in it may hold anything, even a parenthesis."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            text = os.read(fd, 4096)
        finally:
            os.close(fd)
    except OSError:
        return None
    return parse_stat(text)


def parse_stat(text: bytes) -> Stat:
    """Take the line apart. Numbering in proc(5) is from 1; the state, field 3, comes first here."""
    fields = text[text.rindex(b")") + 2 :].split()
    return Stat(
        state=fields[0].decode("ascii"),
        ppid=int(fields[1]),
        session=int(fields[3]),
        ticks=sum(int(field) for field in fields[11:15]),
        start_time=int(fields[19]),
        exit_status=int(fields[49]),
    )


def start_time(pid: int) -> int | None:
    """Clock ticks between the boot and the start of a process."""
    seen = stat(pid)
    return seen.start_time if seen else None


def state(pid: int) -> str | None:
    """The one-letter state of a process."""
    seen = stat(pid)
    return seen.state if seen else None


def is_same(pid: int, started: int, boot: str) -> bool:
    """Whether the process of that number is the one that began then; numbers are used again."""
    return pid > 0 and boot == boot_id() and start_time(pid) == started


def zombie_status(pid: int) -> int | None:
    """The wait status of an ended process whose parent has not collected it yet.

    The kernel shows 0 to those who may not trace the process, so for the process of somebody
    else the answer is ``None``.
    """
    seen = stat(pid)
    if seen is None or seen.state not in ENDED:
        return None
    try:
        owner = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    return seen.exit_status if os.geteuid() in (0, owner) else None


def pids() -> Iterator[int]:
    """Every process that ``/proc`` shows."""
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdecimal():
                yield int(entry.name)


def descendants(roots: Iterable[int]) -> set[int]:
    """Every process below the given ones, in one pass over ``/proc``; without themselves."""
    children: dict[int, list[int]] = {}
    for pid in pids():
        seen = stat(pid)
        if seen is not None:
            children.setdefault(seen.ppid, []).append(pid)
    found: set[int] = set()
    pending = list(roots)
    while pending:
        for child in children.get(pending.pop(), ()):
            if child not in found:
                found.add(child)
                pending.append(child)
    return found


def pid_depth(pid: int) -> int | None:
    """In how many pid namespaces, from ours inwards, the process has a number; 1 is: in ours."""
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"NSpid:"):
                    return len(line.split()) - 1
    except OSError:
        return None
    return None


def pid_namespace(pid: int) -> int | None:
    """The inode number that identifies the pid namespace of a process, if we may see it."""
    try:
        return os.stat(f"/proc/{pid}/ns/pid").st_ino
    except OSError:
        return None


def owner(pid: int) -> int | None:
    """The user id that a process acts as."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def environ(pid: int, wanted: Iterable[bytes]) -> dict[bytes, bytes]:
    """The wanted variables of the environment that a process was started with."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            entries = file.read().split(b"\0")
    except OSError:
        return {}
    names = frozenset(wanted)
    pairs = (entry.partition(b"=") for entry in entries)
    return {name: value for name, _, value in pairs if name in names}


def held(pid: int) -> Iterator[os.stat_result]:
    """Yield what a process holds open, thread by thread, and what it has mapped; all we may see.

    A file can be held though its last name is gone. What is only mapped the kernel shows to root.
    """
    with contextlib.suppress(OSError):
        places = [f"{pid}/map_files"]
        places += [f"{pid}/task/{thread}/fd" for thread in os.listdir(f"/proc/{pid}/task")]
        for place in places:
            with contextlib.suppress(OSError):
                for name in os.listdir(f"/proc/{place}"):
                    with contextlib.suppress(OSError):
                        yield os.stat(f"/proc/{place}/{name}")


def open_files(pid: int) -> int:
    """How many descriptors a process has; 0 if it is gone or may not be seen."""
    place = f"/proc/{pid}/fd"
    try:
        return os.stat(place).st_size or len(os.listdir(place))  # Linux 6.2 says it by itself.
    except OSError:
        return 0


def is_full(pid: int, place: str) -> bool:
    """Whether nothing more fits into a file system that a process sees at ``place``."""
    try:
        return os.statvfs(f"/proc/{pid}/root{place}").f_bfree == 0
    except OSError:
        return False


def hard_limits(pid: int) -> dict[str, int | None]:
    """The hard limits of a process by the kernel's names for them; ``None`` is: unlimited."""
    found: dict[str, int | None] = {}
    try:
        with open(f"/proc/{pid}/limits", encoding="ascii") as file:
            lines = file.read().splitlines()[1:]
    except OSError:
        return found
    for line in lines:
        words = line[26:].split()
        if len(words) >= 2:
            found[line[:26].strip()] = int(words[1]) if words[1].isdecimal() else None
    return found
