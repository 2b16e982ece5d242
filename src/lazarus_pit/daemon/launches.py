"""What one life needs before it begins: its directories, its socket, and the launch itself."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import NamedTuple

from msgspec.structs import replace

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.checkpoint.restore import recover
from lazarus_pit.cells.reviews import make_reviews
from lazarus_pit.config import Config
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Told
from lazarus_pit.core.model import Key, Role
from lazarus_pit.daemon.conversations import dressed
from lazarus_pit.daemon.egress import Egress
from lazarus_pit.daemon.launching import launch_of
from lazarus_pit.daemon.logs import Logs
from lazarus_pit.daemon.looks import Sights, clock_offset
from lazarus_pit.daemon.openings import open_up
from lazarus_pit.daemon.roster import Cell, Roster, Stamp
from lazarus_pit.daemon.senses import Senses
from lazarus_pit.errors import StoreError
from lazarus_pit.formats.isolation import Openings
from lazarus_pit.formats.limits import MEGABYTE, limits_of_agent
from lazarus_pit.formats.manifest import Member, openings_of
from lazarus_pit.linux.spawn import open_log
from lazarus_pit.sandboxes.base import Launch

CLOSED = Openings()
"""Nothing of the host is opened."""

ENDS_KEPT = 16
"""Lives of an agent whose status files stay: they are small, and nobody needs more."""


class _Plan(NamedTuple):
    """What all lives of one agent have in common, as long as its manifest is the same."""

    stamp: Stamp
    beat: str
    statuses: str
    launch: Launch
    openings: Openings

    def holds(self, cell: Cell) -> bool:
        """Whether nothing has changed, and what was made is still there."""
        launch = self.launch
        made = (
            launch.home,
            launch.heartbeat_dir,
            launch.inbox,
            launch.outbox,
            launch.pub_dir,
            self.statuses,
            f"{launch.workspace}/{launch.reviews}",
        )
        return self.stamp == cell.stamp and all(os.path.isdir(path) for path in made)


class Servants(NamedTuple):
    """What leads to the processes that serve lives and outlive us."""

    egress: Egress
    logs: Logs


class Launches:
    """Prepares lives from the manifests."""

    def __init__(
        self,
        config: Config,
        roster: Roster,
        senses: Senses,
        servants: Servants,
        tell: Callable[[Told], None],
    ) -> None:
        """Read members from ``roster`` and let ``senses`` know where each life can be seen."""
        self._tell = tell
        self._egress, self._logs = servants
        self._config = config
        self._roster = roster
        self._senses = senses
        self._offsets: dict[Key, float] = {}
        self._plans: dict[Key, _Plan] = {}

    def prepare(self, key: Key, generation: int, before: Agent | None = None) -> Launch:
        """Make everything ready for one life and return how it begins.

        ``before`` is what the loop knows of the agent, for those who are told how they died.

        Raises:
            KeyError: the manifests no longer name the agent.
            SpawnError: the proxy of its network could not be started, or what is opened to it
                is not as it must be.
            OSError: a directory or file of the cell could not be made.
        """
        cell, member = self._roster.member(key)
        plan = self._plans.get(key)
        if plan is None or not plan.holds(cell):
            plan = self._plans[key] = self._plan(key, cell, member)
        status = str(cell.paths.status(member.name, generation))
        forgotten = str(cell.paths.status(member.name, max(0, generation - ENDS_KEPT)))
        for stale in (plan.beat, status, forgotten):
            with contextlib.suppress(OSError):  # The first is the agent's: anything may lie there.
                os.unlink(stale)
        pipe = self._pipe(key, cell, plan.launch)
        self._senses.attend(key, cell.paths, member.name, generation)
        self._offsets[key] = clock_offset()
        proxy = self._egress.ready() if plan.launch.network == "allow" else ""
        launch = plan.launch
        if plan.openings != CLOSED:
            launch = open_up(launch, plan.openings, self._config)
        launch = replace(
            launch, generation=generation, status_file=status, proxy=proxy, log_pipe=pipe
        )
        return dressed(launch, cell.paths, member, before, self._tell)

    def forget(self, key: Key) -> None:
        """Remember nothing of an agent that the manifests no longer name."""
        self._offsets.pop(key, None)
        self._plans.pop(key, None)

    def failed(self, key: Key) -> None:
        """Take back what was made ready for a life that did not begin: nobody prints."""
        self._logs.forget(key)

    def adopted(self, key: Key) -> None:
        """Have the log of a life that runs already bounded as before."""
        with contextlib.suppress(KeyError):
            cell, member = self._roster.member(key)
            if cell.paths.log_pipe(member.name).exists():
                own = limits_of_agent(self._config.limits, cell.manifest.limits, member.limits)
                self._logs.attend(key, cell.paths, member.name, own.log_mb)

    def _pipe(self, key: Key, cell: Cell, launch: Launch) -> str:
        """Make the log ready, and the pipe that leads to it."""
        _rotate(launch.log_file, launch.limits.log_mb * MEGABYTE)
        os.close(open_log(launch.log_file))  # It is watched for the first word.
        return self._logs.attend(key, cell.paths, launch.agent, launch.limits.log_mb)

    def _plan(self, key: Key, cell: Cell, member: Member) -> _Plan:
        """Work out what all lives of an agent have in common, and make what is to stand there."""
        paths, name = cell.paths, member.name
        if paths.restoring.is_dir():
            recover(paths.cell, paths.restoring)  # A restore that was cut short is finished first.
        provision.make_member(paths, member, self._config.owner)
        if member.role is Role.REVIEWER:
            make_reviews(paths, self._config.owner)
        with contextlib.suppress(StoreError):  # A full disk: an older copy, or none, must do.
            store.publish_manifest(paths, cell.manifest, to=name)
        openings = openings_of(cell.manifest, member, self._config.isolation.openings)
        if openings.rw:
            self._tell(Told(event="isolation_widened", key=key, data={"rw": list(openings.rw)}))
        launch = launch_of(self._config, paths, cell.manifest, member)
        statuses = str(paths.statuses(name))
        return _Plan(cell.stamp, str(paths.beat(name)), statuses, launch, openings)

    def began(self, key: Key, *, awaits_output: bool) -> None:
        """Attend to the first output of a life that has still to show that it is ready."""
        if awaits_output:
            self._senses.await_output(key)

    def sights(self, key: Key) -> Sights:
        """Where a fresh look at this agent looks.

        Files of the workspace speak for an agent only where no other agent can write them.
        """
        cell, member = self._roster.member(key)
        alone = cell.only_writer == member.name
        now = clock_offset()
        return Sights(
            heartbeat=str(cell.paths.beat(member.name)),
            log=str(cell.paths.log(member.name)),
            workspace=str(cell.paths.workspace) if alone else "",
            offsets=(now, self._offsets.get(key, now)),
        )


def _rotate(log: str, most: int) -> None:
    """Put a large log aside before a new life adds to it."""
    with contextlib.suppress(FileNotFoundError):
        if most and os.lstat(log).st_size >= most:
            os.replace(log, f"{log}.1")
