"""Where bubblewrap cannot run: Landlock's file rules and seccomp, without namespaces.

The agent sees the host's paths but can open only what is its own, and the system's. ``GAPS`` says
what gets through; it is shown wherever this sandbox is. Its process is a direct child, so its exit
is known to the daemon that began it, and to a later one that was there when the process ended.
"""

from __future__ import annotations

import functools
import os
import shlex

from lazarus_pit.core.model import Life
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux import landlock, seccomp, spawn
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.linux.landlock import (
    DEVICE,
    MAKE_REG,
    READ,
    READ_DIR,
    READ_FILE,
    REMOVE_FILE,
    TRUNCATE,
    WRITE,
    WRITE_FILE,
)
from lazarus_pit.linux.spawn import Program, Step
from lazarus_pit.sandboxes import birth, furniture, openings, program, steps
from lazarus_pit.sandboxes.base import WRITERS, Launch
from lazarus_pit.sandboxes.egress import hand
from lazarus_pit.sandboxes.environment import environment, outside
from lazarus_pit.sandboxes.furniture import Furniture

GAPS = (
    "modes, owners, times and attributes of files that the agent's user owns can be changed "
    "anywhere; names of files, other processes and the machine can be seen, and processes of the "
    "same user signalled before Linux 6.12; no Unix sockets, and no /tmp and /dev/shm of its own"
)
"""What gets through, and what an agent must do without."""

_DROP_BOX = READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | REMOVE_FILE | MAKE_REG
"""Write, replace and remove plain files; no links, no FIFOs, no directories."""

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts")
_KERNEL = ("/proc", "/sys/devices/system/cpu")


class Landlock:
    """The second choice."""

    name = "landlock"

    def __init__(self, scratch: str, tree: Tree | None) -> None:
        """Keep furniture below ``scratch`` and make leaves in ``tree``, if there is one."""
        self.scratch = scratch
        self.tree = tree
        self._filter = seccomp.program()
        self._furniture: dict[tuple[int, int], Furniture] = {}
        spawn.close_on_exec()

    def spawn(self, launch: Launch) -> Life:
        """Begin a life; see ``Sandbox``."""
        standing = self._furnish(launch)
        child = _program(launch, standing)
        try:
            ruleset = landlock.file_ruleset(rules(launch, standing), ports=launch.network == "host")
        except OSError as error:
            raise SpawnError(f"{launch.key}: {error}") from error
        try:
            taken = self._steps(launch, ruleset)
            return birth.direct_child(
                launch,
                self.tree,
                lambda bed: spawn.forked(child, bed.standard, [*bed.steps, *taken], bed.leaf),
            )
        finally:
            os.close(ruleset)

    def explain(self, launch: Launch) -> list[str]:
        """Say what holds this life; see ``Sandbox``."""
        standing = self._furnish(launch)
        child = _program(launch, standing)
        return [
            f"LANDLOCK ONLY, version {landlock.abi()}: {GAPS}",
            f"cgroup: {birth.leaf_name(self.tree, launch) or 'none; a detached child gets away'}",
            f"user: {os.geteuid() if launch.uid is None else launch.uid}",
            f"files: {', '.join(path for path, _ in rules(launch, standing))}",
            f"network: {launch.network}; seccomp: {len(self._filter or b'') // 8} instructions",
            "environment: "
            + " ".join(f"{name}={shlex.quote(value)}" for name, value in child.env.items()),
            shlex.join(child.argv),
        ]

    def _steps(self, launch: Launch, ruleset: int) -> list[Step]:
        """The filters come last: the second one would refuse to take on the first."""
        second = seccomp.program_without_namespaces(network=launch.network == "host")
        filters = [one for one in (second, self._filter) if one is not None]
        return [
            *steps.become(launch.uid, launch.gid),
            steps.go_to(launch.workspace),
            Step("Landlock", lambda: landlock.restrict(ruleset)),
            *(Step("seccomp", functools.partial(seccomp.install, one)) for one in filters),
        ]

    def _furnish(self, launch: Launch) -> Furniture:
        uid = os.geteuid() if launch.uid is None else launch.uid
        if uid == 0:
            raise SpawnError(
                f"{launch.key}: an agent must not run as root: give it a user (run_as)", fatal=True
            )
        gid = uid if launch.gid is None else launch.gid
        uid, gid = launch.seen_as or (uid, gid)  # One set for all cells.
        if (uid, gid) not in self._furniture:
            try:
                self._furniture[uid, gid] = furniture.build(self.scratch, uid, gid)
            except OSError as error:
                raise SpawnError(f"{self.scratch}: {error}") from error
        return self._furniture[uid, gid]


def why_not() -> str:
    """Why this sandbox cannot be used here; empty if it can."""
    if landlock.abi() < 1:
        return "this kernel has no Landlock"
    return "" if seccomp.program() else "no seccomp filter is known for this machine"


def rules(launch: Launch, standing: Furniture) -> list[tuple[str, int]]:
    """Paths and the rights below them, from the system's to the agent's own."""
    beside = (standing.packages, standing.python)
    ours = [standing.host_bin, standing.package, *(piece for piece in beside if piece)]
    reviews = [(f"{launch.workspace}/{launch.reviews}", WRITE)] if launch.reviews else []
    return [
        *((path, READ) for path in (*furniture.SYSTEM, *_KERNEL, *furniture.host_etc(), *ours)),
        (os.path.dirname(standing.package), READ_DIR),  # An import lists where it looks.
        *((f"/dev/{name}", DEVICE | READ_DIR) for name in _DEVICES),
        *((path, READ) for path in (launch.pub_dir, launch.inbox, *launch.read_only)),
        *((path, WRITE) for path in launch.read_write),
        (launch.workspace, WRITE if launch.role in WRITERS else READ),
        *reviews,
        (launch.home, WRITE),
        (launch.outbox, _DROP_BOX),
        (launch.heartbeat_dir, _DROP_BOX),
    ]


def _program(launch: Launch, standing: Furniture) -> Program:
    hand.refuse_without_namespaces(launch, "landlock")
    openings.refuse_without_mounts(launch, "landlock")
    own = [standing.host_python] if standing.host_python else []
    path = (standing.host_bin, *own, *os.defpath.split(":"))
    places = outside(launch, path, os.path.dirname(standing.package))
    env = environment(launch, places)
    view = program.View(env["PATH"].split(":"), launch.workspace)
    fault = program.why_not(launch, view)
    if fault:
        raise SpawnError(f"{launch.key}: {fault}", fatal=True)
    return Program(launch.argv, env, program.find(launch.argv[0], view))
