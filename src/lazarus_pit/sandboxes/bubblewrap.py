"""Bubblewrap (bwrap(1)) as the wall: namespaces, no capabilities, a file system of the cell's own.

It is also the shim: its monitor outlives this daemon and writes the exit code to the status file.
Around it goes what it does not do: a user without rights, Landlock's scope, a seccomp filter,
closed descriptors, and an environment given at exec, since what ``--clearenv`` clears can still be
read in ``/proc/1/environ``.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Sequence
from typing import NamedTuple

from lazarus_pit.core.model import Life
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux import landlock, mounts, seccomp, spawn
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.linux.spawn import Program, Step
from lazarus_pit.sandboxes import birth, furniture, inside, limits, openings, program, steps
from lazarus_pit.sandboxes.base import Launch
from lazarus_pit.sandboxes.bwrap import Bwrap
from lazarus_pit.sandboxes.egress import hand
from lazarus_pit.sandboxes.environment import environment
from lazarus_pit.sandboxes.furniture import Furniture

_ARGS_FD, _STATUS_FD, _FILTER_FD = 3, 4, 5
"""Where the monitor finds what it is given; 0 to 2 are the agent's."""


class _Plan(NamedTuple):
    """All that follows from a launch before anything is done about it."""

    binds: inside.Binds
    arguments: list[str]
    program: Program


class Bubblewrap:
    """The sandbox of choice."""

    name = "bubblewrap"

    def __init__(
        self, bwrap: Bwrap, scratch: str, tree: Tree | None, *, nested: bool = False
    ) -> None:
        """Prepare what all lives share.

        Args:
            bwrap: the program, as found by ``find_bwrap``.
            scratch: a directory of the daemon's in which furniture is kept.
            tree: where leaves are made, if there is such a place.
            nested: whether agents may build sandboxes of their own.

        Raises:
            OSError: Landlock is there but refuses.
        """
        self.bwrap = bwrap
        self.scratch = scratch
        self.tree = tree
        self.nested = nested
        self._filter = seccomp.program(nested=nested)
        self._scope = landlock.scope_ruleset()
        self._furniture: dict[tuple[int, int], Furniture] = {}
        spawn.close_on_exec()

    def spawn(self, launch: Launch) -> Life:
        """Begin a life; see ``Sandbox``. Its main process is bubblewrap's monitor."""
        plan = self._plan(launch)
        with birth.prepared(launch, self.tree) as bed, contextlib.ExitStack() as memory:
            given = [*bed.standard, birth.in_memory(memory, _nul_ended(plan.arguments)), bed.status]
            if self._filter is not None:
                given.append(birth.in_memory(memory, self._filter))
            openings.check_home(launch)
            secrets = openings.read_credentials(launch)
            given += [birth.in_memory(memory, secret) for secret in secrets]
            network: list[Step] = []
            if launch.network == "allow":
                network = hand.steps(launch, memory.enter_context(hand.connect(launch)))
            taken = [*bed.steps, *network]
            taken += self._steps(launch, plan.binds)
            pid = spawn.forked(plan.program, given, taken, bed.leaf)
            return birth.life(pid, bed.leaf, launch.status_file)

    def explain(self, launch: Launch) -> list[str]:
        """Say what holds this life; see ``Sandbox``."""
        plan = self._plan(launch)
        leaf = birth.leaf_name(self.tree, launch) or "none; the pid namespace is ended instead"
        namespaces = "user, mount, pid, ipc, uts, cgroup" + (
            " (network: the host's)" if launch.network == "host" else ", network"
        )
        rules = f"{len(self._filter) // 8} instructions" if self._filter else "none here"
        lines = [
            f"bubblewrap {'.'.join(map(str, self.bwrap.version))} at {self.bwrap.path}",
            f"namespaces: {namespaces}; no capabilities, no new privileges",
            *hand.explain(launch),
            f"cgroup: {leaf}",
            f"writes in the workspace: {inside.words_about_the_workspace(launch)}",
            f"user: {os.geteuid() if launch.uid is None else launch.uid}",
            f"seccomp: {rules}; agents' own sandboxes: {'allowed' if self.nested else 'refused'}",
            "Landlock: signals and abstract sockets stay inside"
            if self._scope is not None
            else "Landlock: no scopes in this kernel",
            "environment: "
            + " ".join(f"{name}={shlex.quote(v)}" for name, v in plan.program.env.items()),
            f"descriptors: {_ARGS_FD} arguments, {_STATUS_FD} status, {_FILTER_FD} filter",
        ]
        return [*lines, shlex.join([self.bwrap.path, *plan.arguments, "--", *launch.argv])]

    def _plan(self, launch: Launch) -> _Plan:
        """Work out binds, arguments and environment.

        Raises:
            SpawnError: fatal, if the program cannot be executed or the agent would be root.
        """
        uid = os.geteuid() if launch.uid is None else launch.uid
        if uid == 0:
            raise SpawnError(
                f"{launch.key}: an agent must not run as root: give it a user (run_as)", fatal=True
            )
        standing = self._furnish(
            *launch.seen_as or (uid, uid if launch.gid is None else launch.gid)
        )
        binds = inside.binds(launch, standing, staged=uid != os.geteuid())
        places = inside.places(launch, standing)
        env = environment(launch, places)
        view = program.View(env["PATH"].split(":"), inside.WORKSPACE, inside.seen(binds, standing))
        fault = program.why_not(launch, view)
        if fault:
            raise SpawnError(f"{launch.key}: {fault}", fatal=True)
        arguments = [
            *inside.namespaces(launch, nested=self.nested),
            *inside.file_system(launch, binds, standing, self._credentials(launch)),
            "--json-status-fd",
            str(_STATUS_FD),
        ]
        if self._filter is not None:
            arguments += ["--seccomp", str(_FILTER_FD)]
        argv = limits.fewer_processes(launch, self.tree)
        staged = binds.staged and self.bwrap.staged
        return _Plan(
            binds,
            arguments,
            Program(
                argv=("bwrap", "--args", str(_ARGS_FD), "--", *argv),
                env=env,
                file=f"{mounts.STAGE}/{self.bwrap.staged}" if staged else self.bwrap.path,
            ),
        )

    def _credentials(self, launch: Launch) -> list[str]:
        """They come after the filter, where there is one."""
        first = _FILTER_FD + (self._filter is not None)
        return openings.arguments(launch, inside.CREDENTIALS, first)

    def _steps(self, launch: Launch, binds: inside.Binds) -> list[Step]:
        taken: list[Step] = []
        if binds.staged:
            sources = dict(self.bwrap.mounts) | binds.to_stage()
            taken.append(Step("stage the directories", lambda: mounts.stage(sources, binds.closed)))
        taken += steps.become(launch.uid, launch.gid)
        scope = self._scope
        if scope is not None:
            taken.append(Step("Landlock", lambda: landlock.restrict(scope)))
        return taken

    def _furnish(self, uid: int, gid: int) -> Furniture:
        if (uid, gid) not in self._furniture:
            try:
                self._furniture[uid, gid] = furniture.build(self.scratch, uid, gid)
            except OSError as error:
                raise SpawnError(f"{self.scratch}: {error}") from error
        return self._furniture[uid, gid]


def _nul_ended(arguments: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(argument) + b"\0" for argument in arguments)
