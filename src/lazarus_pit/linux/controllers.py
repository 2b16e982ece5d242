"""What a cgroup may take: memory, processes, processor time, by whichever version has the power.

Version 2 (cgroup-v2.rst) limits the leaf of a life itself, where the controller was delegated. Of
version 1 (cgroup-v1/*.rst) each controller is a tree of its own; there the life gets a second leaf
of the same name, below our own group, so that no bound on us is escaped.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lazarus_pit.linux.cgroup import TOP, Tree

NAMES = ("memory", "pids", "cpu")
_PERIOD = 100_000
"""Microseconds over which processor time is shared out; the kernel's own default."""
_MAX = "max"


_PEAKS: Mapping[tuple[str, int], str] = {
    ("memory", 1): "memory.max_usage_in_bytes",
    ("memory", 2): "memory.peak",
    ("pids", 1): "pids.peak",
    ("pids", 2): "pids.peak",
}


class Controller(NamedTuple):
    """One controller and the directory in which cells have theirs."""

    name: str
    version: int
    base: str


class Knob(NamedTuple):
    """A file that takes a limit, and the one that counts how often it was reached."""

    file: str
    events: str
    key: str
    """The key in ``events``."""


KNOBS: Mapping[tuple[str, int], Knob] = {
    ("memory", 1): Knob("memory.limit_in_bytes", "memory.oom_control", "oom_kill"),
    ("memory", 2): Knob("memory.max", "memory.events.local", "oom"),
    ("pids", 1): Knob("pids.max", "pids.events", "max"),
    ("pids", 2): Knob("pids.max", "pids.events", "max"),
    ("cpu", 1): Knob("cpu.cfs_quota_us", "cpu.stat", "nr_throttled"),
    ("cpu", 2): Knob("cpu.max", "cpu.stat", "nr_throttled"),
}


def find(tree: Tree | None) -> tuple[dict[str, Controller], dict[str, str]]:
    """Return the controllers that we may use, and why not the others."""
    found: dict[str, Controller] = {}
    missing: dict[str, str] = {}
    for name in NAMES:
        if tree is None:
            missing[name] = "no cgroup is writable"
            continue
        second, why = _second(tree, name)
        first = None if second else _first(tree, name)
        controller = second or first
        if controller:
            found[name] = controller
        else:
            missing[name] = why
    return found, missing


def _second(tree: Tree, name: str) -> tuple[Controller | None, str]:
    """Turn a controller on from the place we were given down to the cells, if it is there."""
    given = os.path.dirname(os.path.dirname(tree.path))
    if name not in _words(f"{given}/cgroup.controllers"):
        return None, f"the {name} controller is not delegated to us"
    for directory in (given, os.path.dirname(tree.path), tree.path):
        if name in _words(f"{directory}/cgroup.subtree_control"):
            continue
        try:
            write(f"{directory}/cgroup.subtree_control", f"+{name}")
        except OSError as error:
            hint = ", since processes live there" if error.errno == 16 else ""
            return None, f"{directory} does not pass {name} on: {error.strerror}{hint}"
    return Controller(name, 2, tree.path), ""


def _first(tree: Tree, name: str) -> Controller | None:
    for place in _homes(name):
        base = os.path.join(place, TOP, os.path.basename(tree.path))
        if os.access(base if os.path.isdir(base) else place, os.W_OK):
            return Controller(name, 1, base)
    return None


def _homes(
    name: str, mountinfo: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup"
) -> Iterator[str]:
    """Our own group in each tree of version 1 that has the controller."""
    ours = ""
    with open(own, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            ours = path if name in controllers.split(",") else ours
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split()
            kind = fields[fields.index("-") + 1]
            if kind == "cgroup" and name in fields[-1].split(","):
                below = os.path.relpath(ours or "/", fields[3])
                mount = fields[4].replace("\\040", " ")
                yield mount if below.startswith(".") else os.path.join(mount, below)


def knob(controller: Controller) -> Knob:
    """Return the files of a controller."""
    return KNOBS[controller.name, controller.version]


def set_limit(controller: Controller, group: str, amount: int) -> None:
    """Limit a group: bytes of memory, a number of processes, or percent of one processor.

    Raises:
        OSError: the kernel refused.
    """
    value = str(amount)
    if controller.name == "cpu":
        quota = max(1000, amount * _PERIOD // 100)
        value = f"{quota} {_PERIOD}" if controller.version == 2 else str(quota)
    write(f"{group}/{knob(controller).file}", value)
    if controller.name == "memory":
        swap = (
            ("memory.swap.max", "0")
            if controller.version == 2
            else (
                "memory.memsw.limit_in_bytes",
                value,
            )
        )
        with contextlib.suppress(OSError):  # Not every kernel accounts for swap.
            write(f"{group}/{swap[0]}", swap[1])


def limit_of(controller: Controller, group: str) -> int | None:
    """Return the limit in force, in the units of ``set_limit``; ``None`` where there is none."""
    words = _words(f"{group}/{knob(controller).file}")
    if not words or words[0] in (_MAX, "-1"):
        return None
    value = int(words[0])
    if controller.name == "cpu":
        return value * 100 // _PERIOD
    return None if value >= 1 << 62 else value


def times_reached(controller: Controller, group: str) -> int:
    """Return how often a group has come up against its limit; 0 where it cannot be read."""
    files = knob(controller)
    with contextlib.suppress(OSError, ValueError), open(f"{group}/{files.events}", "rb") as file:
        pairs = dict(line.split() for line in file.read().decode("ascii").splitlines())
        return int(pairs.get(files.key, 0))
    return 0


def peak(controller: Controller, group: str) -> int | None:
    """Return the most that a group ever held; ``None`` where the kernel does not say."""
    words = _words(f"{group}/{_PEAKS.get((controller.name, controller.version), '')}")
    return int(words[0]) if words else None


def remove(controllers: Mapping[str, Controller], cell: str, leaf: str) -> None:
    """Remove what version 1 has of a life that is gone; with the last one, of its cell and tree."""
    for controller in controllers.values():
        if controller.version == 1:
            above = f"{controller.base}/{cell}"
            for path in (f"{above}/{leaf}", above, controller.base):
                with contextlib.suppress(OSError):
                    os.rmdir(path)


def write(path: str, value: str) -> None:
    """Write a value to a file of the kernel's.

    Raises:
        OSError: the kernel refused.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode("ascii"))
    finally:
        os.close(fd)


def _words(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []
