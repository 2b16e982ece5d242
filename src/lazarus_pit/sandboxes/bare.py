"""No walls at all, for operators who said so, and for measuring what walls cost.

The agent is a direct child: a clean environment, a session and a leaf of its own, no descriptor of
ours. Its exit is known to the daemon that began it, and to a later one if it was there when the
process ended; if nobody was, it is unknown.
"""

from __future__ import annotations

import functools
import os
import pwd
import shlex
import shutil
import subprocess
import threading
import time

from lazarus_pit.core.model import Life
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux import cgroup, spawn
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.linux.spawn import Program
from lazarus_pit.sandboxes import birth, furniture, limits, openings, program, status, steps
from lazarus_pit.sandboxes.base import Launch
from lazarus_pit.sandboxes.egress import hand
from lazarus_pit.sandboxes.environment import environment, outside
from lazarus_pit.sandboxes.furniture import Furniture

_moving = threading.Lock()
"""Held while this process is in a leaf: whatever it started meanwhile would be born there."""

_ROW_SECONDS = 0.01
"""Births that follow one another faster than this are in a row."""


class Bare:
    """The absence of a sandbox."""

    name = "none"

    def __init__(self, scratch: str, tree: Tree | None) -> None:
        """Keep furniture below ``scratch`` and make leaves in ``tree``, if there is one."""
        self.scratch = scratch
        self.tree = tree
        self._furniture: Furniture | None = None
        self._setpriv = _find_setpriv()
        self._latest = 0.0
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
        hand.refuse_without_namespaces(launch, self.name)
        openings.refuse_without_mounts(launch, self.name)
        if self._furniture is None:
            try:
                self._furniture = furniture.build(self.scratch, os.geteuid(), os.getegid())
            except OSError as error:
                raise SpawnError(f"{self.scratch}: {error}") from error
        standing = self._furniture
        path = (standing.host_bin, *_search_path(launch))
        places = outside(launch, path, os.path.dirname(standing.package))
        env = environment(launch, places, _user_name(launch))
        view = program.View(env["PATH"].split(":"), launch.workspace)
        fault = program.why_not(launch, view)
        if fault:
            raise SpawnError(f"{launch.key}: {fault}", fatal=True)
        return Program(launch.argv, env, program.find(launch.argv[0], view))

    def _start(self, launch: Launch, child: Program, bed: birth.Bed) -> int:
        """Fork into the leaf for one life; of many in a row, give birth while visiting it.

        A visit is the cheaper way in the midst of others, but the first one in a while waits for a
        grace period of the kernel's. A child that shares our memory cannot become another user, so
        there setpriv(1) does it.
        """
        same = launch.uid is None or launch.uid == os.geteuid()
        rare = time.monotonic() - self._latest > _ROW_SECONDS
        try:
            asks = limits.are_asked(launch)
            if asks or (rare and bed.leaf) or not (same or self._setpriv):
                taken = [
                    *bed.steps,
                    *steps.become(launch.uid, launch.gid),
                    steps.go_to(launch.workspace),
                ]
                return spawn.forked(child, bed.standard, taken, bed.leaf)
            child = child if same else _as_user(child, self._setpriv, launch)
            with _moving, cgroup.visiting(self.tree, bed.leaf):
                return spawn.plain(child, bed.standard, launch.workspace)
        finally:
            self._latest = time.monotonic()


def _find_setpriv() -> str:
    """Where util-linux's setpriv is; another's of that name may not know what we ask for."""
    found = shutil.which("setpriv", path=os.defpath) if os.geteuid() == 0 else None
    if found is None:
        return ""
    tried = [found, "--reuid", "0", "--regid", "0", "--clear-groups", "--", "/bin/true"]
    works = subprocess.run(tried, check=False, stdin=subprocess.DEVNULL, capture_output=True)
    return found if works.returncode == 0 else ""


def _as_user(child: Program, setpriv: str, launch: Launch) -> Program:
    """The same program by way of one that gives up root first."""
    uid, gid = str(launch.uid), str(launch.uid if launch.gid is None else launch.gid)
    become = (setpriv, "--reuid", uid, "--regid", gid, "--clear-groups", "--", child.file)
    return Program((*become, *child.argv[1:]), child.env)


def _search_path(launch: Launch) -> list[str]:
    """Ours for the agent who is us; another user may not even see what is in it."""
    same = launch.uid is None or launch.uid == os.geteuid()
    return (os.environ.get("PATH", os.defpath) if same else os.defpath).split(":")


def _user_name(launch: Launch) -> str:
    return _name_of(os.geteuid() if launch.uid is None else launch.uid)


@functools.cache
def _name_of(uid: int) -> str:
    """Not every user has a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
