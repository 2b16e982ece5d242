"""How much one life may take: set at its birth, and read back to say what is in force.

Cgroups count a life, or a cell, as a whole; where no controller is ours, limits of single
processes (setrlimit(2)) are what is left. The address space is never limited: runtimes reserve
far more of it than they use.
"""

from __future__ import annotations

import functools
import os
import resource
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from lazarus_pit.core.model import Life
from lazarus_pit.formats.limits import LIMITS, MEGABYTE, Limits
from lazarus_pit.linux import controllers, procfs
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.linux.controllers import Controller
from lazarus_pit.linux.spawn import Step
from lazarus_pit.sandboxes import lives
from lazarus_pit.sandboxes.base import Launch

COUNTED: Mapping[str, tuple[str, int]] = {
    "memory_mb": ("memory", MEGABYTE),
    "pids": ("pids", 1),
    "cpu_percent": ("cpu", 1),
}
"""What cgroups count: the controller, and how many of its units are one of ours."""

ACTIONS: Mapping[str, str] = {"memory_mb": "killed", "pids": "refused", "cpu_percent": "slowed"}
"""What the kernel does about a limit that is reached."""
_UNITS: Mapping[str, int] = {"cpu_percent": 20}
"""How many counts are one: to be slowed down for a moment is not to reach a limit, for two seconds
in all (the kernel counts tenths) it is."""

_IN_MEMORY = ("/tmp", "/dev/shm")  # noqa: S108 - as they are in the sandbox
_NEARLY = 0.95
"""The share of a limit that a life has held if it was stopped by it: growth comes in steps."""
_MANY_FILES = 1 << 20
_SOFT_OPEN_FILES = 4096
"""How many descriptors a process has as long as it does not ask for more."""

_ROWS: Mapping[str, tuple[str, int]] = {
    "open_files": ("Max open files", 1),
    "file_mb": ("Max file size", MEGABYTE),
}
"""How proc(5) calls them in ``/proc/<pid>/limits``, and their units in one of ours."""
_EACH = "for each process by rlimit"

_FEWER = 'ulimit -u "$0" 2>/dev/null || ulimit -p "$0" && exec "$@"'
"""Shells do not agree on the letter for processes."""


class Reached(NamedTuple):
    """A limit that was come up against, as the kernel counts."""

    limit: str
    value: int
    of_cell: bool
    times: int
    group: str
    """Where it was counted."""

    @property
    def source(self) -> str:
        """What was counted: a group of cgroup v2 counts several limits."""
        return f"{self.group} {self.limit}"


@functools.cache
def available(tree: Tree | None) -> tuple[dict[str, Controller], dict[str, str]]:
    """The controllers that lives of a tree can be limited by, and why not the others."""
    return controllers.find(tree)


def wanted(limits: Limits) -> dict[str, int]:
    """What cgroups are asked to count, by our names."""
    return {name: value for name in COUNTED if (value := getattr(limits, name))}


def groups(tree: Tree | None, launch: Launch) -> list[str]:
    """Make the groups that bound a life and its cell; return those that it has still to join.

    Raises:
        OSError: the kernel refused a limit.
    """
    found, _ = available(tree)
    join: list[str] = []
    for name, (controller_name, unit) in COUNTED.items():
        own, cell = getattr(launch.limits, name), getattr(launch.cell_limits, name)
        controller = found.get(controller_name)
        if controller is None or not (own or cell):
            continue
        above = f"{controller.base}/{launch.uuid}"
        group = f"{above}/{launch.agent}.{launch.generation}"
        if controller.version == 2:
            _pass_on(above, controller_name)
        os.makedirs(group, exist_ok=True)
        if cell:
            controllers.set_limit(controller, above, cell * unit)
        if own:
            controllers.set_limit(controller, group, own * unit)
        if controller.version == 1:
            join.append(group)
    return join


def _pass_on(cell: str, name: str) -> None:
    os.makedirs(cell, exist_ok=True)
    controllers.write(f"{cell}/cgroup.subtree_control", f"+{name}")


def steps(launch: Launch, tree: Tree | None, join: list[str]) -> list[Step]:
    """What a child does to be bound: join its groups, then limit itself as a process."""
    joining = [
        Step(f"join {group}", functools.partial(controllers.write, f"{group}/cgroup.procs", "0"))
        for group in join
    ]
    found, _ = available(tree)
    return [*joining, Step("limits", functools.partial(_limit, launch.limits, "memory" in found))]


def are_asked(launch: Launch) -> bool:
    """Whether there is anything that a child must do itself before it becomes the agent."""
    limits = launch.limits
    asked = (limits.memory_mb, limits.file_mb, *wanted(limits).values())
    return (
        any(asked) or bool(wanted(launch.cell_limits)) or limits.open_files != Limits().open_files
    )


def _limit(limits: Limits, counted: bool) -> None:  # noqa: FBT001 - given by position in a Step
    """Leave no core dumps, and take no more than is allowed."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = limits.open_files or _MANY_FILES
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(_SOFT_OPEN_FILES, most), most))
    if limits.file_mb:
        _lower(resource.RLIMIT_FSIZE, limits.file_mb * MEGABYTE)
    if limits.memory_mb and not counted:
        _lower(resource.RLIMIT_DATA, limits.memory_mb * MEGABYTE)
    os.umask(0o022)
    os.chdir("/")


def _lower(which: int, value: int) -> None:
    hard = resource.getrlimit(which)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(which, (value, value))


def fewer_processes(launch: Launch, tree: Tree | None) -> tuple[str, ...]:
    """The agent's command, bound in a user namespace of its own where no controller counts.

    The kernel counts a user's processes by namespace there (setrlimit(2), ``RLIMIT_NPROC``), so
    it must be asked from within.
    """
    found, _ = available(tree)
    if not launch.limits.pids or "pids" in found:
        return launch.argv
    return ("/bin/sh", "-c", _FEWER, str(launch.limits.pids), *launch.argv)


# ---------------------------------------------------------------- what is in force


def in_force(limits: Limits, life: Life, tree: Tree | None, *, namespace: bool) -> dict[str, str]:
    """What binds a life now, limit by limit, as the kernel says it; and what is not in force."""
    found, missing = available(tree)
    said: dict[str, str] = {}
    for name, value in wanted(limits).items():
        controller_name, unit = COUNTED[name]
        controller = found.get(controller_name)
        if controller is None:
            instead = _without(name, missing[controller_name], namespace=namespace)
            said[name] = instead if instead.startswith("not") else f"{value} {instead}"
            continue
        amount = controllers.limit_of(controller, group_of(controller, life))
        said[name] = (
            f"{amount // unit} by cgroup v{controller.version}"
            if amount
            else "not in force until its next life"
        )
    said |= _process_limits(life.pid, limits)
    if limits.tmp_mb:
        by = _means("tmp_mb", tree, namespace=namespace)
        said["tmp_mb"] = f"{limits.tmp_mb} {by}" if namespace else by
    return said


def _without(name: str, why: str, *, namespace: bool) -> str:
    """What stands in for the controller that is missing."""
    if name == "memory_mb":
        return f"{_EACH}: {why}"
    if name == "pids" and namespace:
        return f"by rlimit in its user namespace: {why}"
    return f"not in force: {why}"


_MEANS: Mapping[str, str] = {
    "open_files": f"{_EACH} (RLIMIT_NOFILE)",
    "file_mb": f"{_EACH} (RLIMIT_FSIZE)",
    "disk_mb": "by watching",
    "log_mb": "by rotation, in the log pump",
    "tmp_mb": "by size of the file system",
}
"""What enforces a limit on every machine."""


def enforced(launch: Launch, tree: Tree | None, *, namespace: bool) -> Iterator[str]:
    """Say of each limit of a launch what enforces it, or that nothing does, one a line."""
    unlimited = []
    for name in LIMITS:
        own, cell = getattr(launch.limits, name), getattr(launch.cell_limits, name)
        if own:
            yield f"limit {name}={own}: {_means(name, tree, namespace=namespace)}"
        else:
            unlimited.append(name)
        if cell:
            yield f"limit of the whole cell {name}={cell}: {_means_of_cell(name, tree)}"
    if unlimited:
        yield f"no limit of its own: {', '.join(unlimited)}"


def _means(name: str, tree: Tree | None, *, namespace: bool) -> str:
    found, missing = available(tree)
    which = COUNTED.get(name, ("", 1))[0]
    if which in missing:
        return _without(name, missing[which], namespace=namespace)
    if name == "tmp_mb" and not namespace:
        return "not in force: no file system of its own"
    return _MEANS.get(name) or f"by cgroup v{found[which].version}"


def _means_of_cell(name: str, tree: Tree | None) -> str:
    found, missing = available(tree)
    which = COUNTED.get(name, ("", 1))[0]
    if which in missing:
        return f"not in force: {missing[which]}"
    return _MEANS.get(name) or f"by cgroup v{found[which].version}"


def _process_limits(pid: int, limits: Limits) -> dict[str, str]:
    wanted_here = {"open_files": limits.open_files, "file_mb": limits.file_mb}
    hard = procfs.hard_limits(pid) if any(wanted_here.values()) else {}
    said: dict[str, str] = {}
    for name, value in wanted_here.items():
        row, unit = _ROWS[name]
        if value and row in hard:
            most = hard[row]
            said[name] = "not in force" if most is None else f"{most // unit} {_EACH}"
    return said


def reached(limits: Limits, cell: Limits, life: Life, tree: Tree | None) -> Iterator[Reached]:
    """How often a life came up against what cgroups count, its own limit or its cell's.

    The kernel counts where it refused, whosever limit it was. It was the life's own if the life
    has ever held as much as that.
    """
    found, _ = available(tree)
    for name in ACTIONS:
        controller_name, unit = COUNTED[name]
        controller = found.get(controller_name)
        own, whole = getattr(limits, name), getattr(cell, name)
        if controller is None or not (own or whole):
            continue
        group = group_of(controller, life)
        times = controllers.times_reached(controller, group) // _UNITS.get(name, 1)
        of_cell = bool(whole)
        if own and whole:
            peak = controllers.peak(controller, group)
            of_cell = peak is not None and peak < own * unit * _NEARLY
        yield Reached(name, whole if of_cell else own, of_cell, times, group)
        if whole and controller.version == 2:
            above = os.path.dirname(group)
            times = controllers.times_reached(controller, above) // _UNITS.get(name, 1)
            yield Reached(name, whole, True, times, above)


def full(limits: Limits, life: Life, *, namespace: bool) -> Iterator[tuple[str, str]]:
    """Say which limits a life stands at now that nobody counts, and what it comes up against."""
    if limits.open_files:
        pids = lives.members(life)
        if any(procfs.open_files(pid) >= limits.open_files for pid in pids):
            yield "open_files", "denied"
    if limits.tmp_mb and namespace:
        for pid in lives.agents_own(life)[:1]:
            if any(procfs.is_full(pid, top) for top in _IN_MEMORY):
                yield "tmp_mb", "full"


def event_files(limits: Limits, cell: Limits, life: Life, tree: Tree | None) -> Iterator[str]:
    """The files that the kernel changes when a limit of a life or its cell is reached."""
    found, _ = available(tree)
    for name in ACTIONS.keys() - _UNITS.keys():
        controller = found.get(COUNTED[name][0])
        if controller is None:
            continue
        own = group_of(controller, life)
        events = controllers.knob(controller).events
        if getattr(limits, name) or getattr(cell, name):
            yield f"{own}/{events}"


def group_of(controller: Controller, life: Life) -> str:
    """Where a controller has the group of a life."""
    cell, leaf = life.cgroup.split("/")[-2:] if life.cgroup else ("", "")
    return f"{controller.base}/{cell}/{leaf}"


def forget(leaf: str, tree: Tree | None) -> None:
    """Remove the groups of a life that is gone; ``leaf`` is its own cgroup."""
    if leaf:
        cell, name = leaf.split("/")[-2:]
        controllers.remove(available(tree)[0], cell, name)
