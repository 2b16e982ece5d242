"""What every child of ours does before it becomes an agent or the wall around one."""

from __future__ import annotations

import os

from lazarus_pit.linux.spawn import Step


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
