"""No walls at all, for operators who said so, and for measuring what walls cost.

The agent is a direct child: a clean environment, a session and a leaf of its own, no descriptor of
ours. Its exit is known to the daemon that began it, and to a later one if it was there when the
process ended; if nobody was, it is unknown.
"""

from __future__ import annotations

import os
import pwd
import shlex
import threading

from lazarus_pit.core.model import Life
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux import cgroup, spawn
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.linux.spawn import Program
from lazarus_pit.sandboxes import birth, furniture, program, status, steps
from lazarus_pit.sandboxes.base import Launch
from lazarus_pit.sandboxes.environment import environment, outside
from lazarus_pit.sandboxes.furniture import Furniture

_moving = threading.Lock()
"""Held while this process is in a leaf: whatever it started meanwhile would be born there."""


class Bare:
    """The absence of a sandbox."""

    name = "none"

    def __init__(self, scratch: str, tree: Tree | None) -> None:
        """Keep furniture below ``scratch`` and make leaves in ``tree``, if there is one."""
        self.scratch = scratch
        self.tree = tree
        self._furniture: Furniture | None = None
        spawn.close_on_exec()

    def spawn(self, launch: Launch) -> Life:
        """Begin a life; see ``Sandbox``."""
        child = self._program(launch)
        with birth.prepared(launch, self.tree) as bed:
            os.write(bed.status, status.identity_line(0, 0))
            pid = self._start(launch, child, bed)
            life = birth.life(pid, bed.leaf, "")
            os.write(bed.status, status.identity_line(pid, life.start_time))
            return life

    def explain(self, launch: Launch) -> list[str]:
        """Say what holds this life; see ``Sandbox``."""
        child = self._program(launch)
        return [
            "NO SANDBOX: the agent can do whatever its user can",
            f"cgroup: {birth.leaf_name(self.tree, launch) or 'none; a detached child gets away'}",
            f"user: {os.geteuid() if launch.uid is None else launch.uid}",
            "environment: " + " ".join(f"{name}={shlex.quote(v)}" for name, v in child.env.items()),
            shlex.join(child.argv),
        ]

    def _program(self, launch: Launch) -> Program:
        if self._furniture is None:
            try:
                self._furniture = furniture.build(self.scratch, os.geteuid(), os.getegid())
            except OSError as error:
                raise SpawnError(f"{self.scratch}: {error}") from error
        standing = self._furniture
        path = (standing.host_bin, *_search_path(launch))
        places = outside(launch, path, os.path.dirname(standing.package))
        fault = program.why_not(launch.argv, path, {}, launch.workspace)
        if fault:
            raise SpawnError(f"{launch.key}: {fault}", fatal=True)
        file = program.find(launch.argv[0], path, launch.workspace)
        return Program(launch.argv, environment(launch, places, _user_name(launch)), file)

    def _start(self, launch: Launch, child: Program, bed: birth.Bed) -> int:
        """Without steps in the child, posix_spawn will do."""
        if launch.uid is None or launch.uid == os.geteuid():
            with _moving, cgroup.visiting(self.tree, bed.leaf):
                return spawn.plain(child, bed.standard, launch.workspace)
        taken = [*steps.join(bed.leaf), *steps.become(launch.uid, launch.gid)]
        return spawn.forked(child, bed.standard, [*taken, steps.go_to(launch.workspace)])


def _search_path(launch: Launch) -> list[str]:
    """Ours for the agent who is us; another user may not even see what is in it."""
    same = launch.uid is None or launch.uid == os.geteuid()
    return (os.environ.get("PATH", os.defpath) if same else os.defpath).split(":")


def _user_name(launch: Launch) -> str:
    """Not every user has a name."""
    uid = os.geteuid() if launch.uid is None else launch.uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
