"""Find the lives that run already: a new daemon takes them over and starts none twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from lazarus_pit.core.model import Life
from lazarus_pit.formats.names import is_agent_name, is_cell_uuid
from lazarus_pit.linux import cgroup, procfs
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes import status

Name = tuple[str, str, int]
"""Cell, agent and generation."""

StatusFile = Callable[[str, str, int], str]
"""Where the status file of a cell's agent and generation is."""

_CELL, _AGENT, _GENERATION = b"LAZARUS_CELL_UUID", b"LAZARUS_AGENT", b"LAZARUS_GENERATION"


def find_living(
    tree: Tree | None, status_file: StatusFile, uids: frozenset[int] = frozenset()
) -> dict[Name, Life]:
    """Every life of this pit that has a process left, by cell, agent and generation.

    Of a life whose main process has ended but which has left something running, the pid is 0: it
    is to be destroyed. Without a tree, processes of the given users and our own are asked for the
    environment they were started with; only those in our own pid namespace, where no agent in a
    namespace of its own can start one, are believed.
    """
    groups = _by_leaf(tree) if tree else _by_environment(uids)
    found: dict[Name, Life] = {}
    for name, (path, pids) in groups.items():
        found[name] = _life(pids, path, status_file(*name))
    return found


def _by_leaf(tree: Tree) -> dict[Name, tuple[str, list[int]]]:
    groups = {}
    for leaf in cgroup.leaves(tree):
        pids = cgroup.pids(leaf.path)
        if pids:
            groups[leaf.cell, leaf.agent, leaf.generation] = (leaf.path, pids)
    return groups


def _by_environment(uids: frozenset[int]) -> dict[Name, tuple[str, list[int]]]:
    groups: dict[Name, tuple[str, list[int]]] = {}
    ours = uids | {os.geteuid()}
    for pid in procfs.pids():
        if pid == os.getpid() or procfs.owner(pid) not in ours or procfs.pid_depth(pid) != 1:
            continue
        found = procfs.environ(pid, (_CELL, _AGENT, _GENERATION))
        name = _name(found)
        if name is not None and procfs.state(pid) not in procfs.ENDED:
            groups.setdefault(name, ("", []))[1].append(pid)
    return groups


def _name(found: Mapping[bytes, bytes]) -> Name | None:
    """Whose life an environment says it is; ``None`` where it is no name that we give."""
    cell, agent = (os.fsdecode(found.get(name, b"")) for name in (_CELL, _AGENT))
    number = found.get(_GENERATION, b"")
    if not (is_cell_uuid(cell) and is_agent_name(agent)):
        return None
    return (cell, agent, int(number)) if number.isdigit() and len(number) < 19 else None


def _life(pids: Iterable[int], path: str, status_file: str) -> Life:
    """A direct child's file names it; bubblewrap's monitor is the one that is not further in."""
    report = status.read(status_file)
    boot = procfs.boot_id()
    if report.pid and report.start_time is not None:
        alive = procfs.is_same(report.pid, report.start_time, boot) and report.pid in pids
        pid, started = (report.pid, report.start_time) if alive else (0, 0)
        return Life(boot_id=boot, pid=pid, start_time=started, cgroup=path)
    began = [
        (seen.start_time, pid)
        for pid in pids
        if procfs.pid_depth(pid) == 1 and (seen := procfs.stat(pid))
    ]
    started, pid = min(began, default=(0, 0))
    own = "" if report.pid == 0 else status_file
    return Life(boot_id=boot, pid=pid, start_time=started, cgroup=path, status_file=own)
