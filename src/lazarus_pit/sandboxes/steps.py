"""What every child of ours does before it becomes an agent or the wall around one."""

from __future__ import annotations

import os
import resource

from lazarus_pit.linux import cgroup
from lazarus_pit.linux.spawn import Step

OPEN_FILES = 65_536
"""Descriptors an agent may have, where the system allows so many."""


SOFT_OPEN_FILES = 4096
"""How many it has as long as it does not ask for more."""


def join(leaf: str) -> list[Step]:
    """Be born into a leaf; nothing where there is none."""
    return [Step("join the cgroup", lambda: cgroup.enter(leaf))] if leaf else []


def limit() -> list[Step]:
    """Leave no core dumps, have room for files, and create files that others may read."""
    return [Step("limits", _limit)]


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(SOFT_OPEN_FILES, most), most))
    os.umask(0o022)
    os.chdir("/")


def go_to(directory: str) -> Step:
    """Begin in a directory."""
    return Step(f"enter {directory}", lambda: os.chdir(directory))


def become(uid: int | None, gid: int | None) -> list[Step]:
    """Give up root for good; nothing where the agent runs as the daemon's own user."""
    if uid is None or uid == os.geteuid():
        return []
    return [Step(f"become user {uid}", lambda: _become(uid, uid if gid is None else gid))]


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
