"""What one life needs before it begins: its directories, its socket, and the launch itself."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from lazarus_pit.cells import provision, store
from lazarus_pit.config import Config
from lazarus_pit.core.model import Key, Role
from lazarus_pit.daemon.looks import Sights, clock_offset
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.daemon.senses import Senses
from lazarus_pit.errors import StoreError
from lazarus_pit.formats.manifest import Network
from lazarus_pit.sandboxes.base import Launch

LOG_LIMIT = 64 * 1024 * 1024
"""Bytes of an agent's log from which a new life begins a new one; one old log is kept."""


class Launches:
    """Prepares lives from the manifests."""

    def __init__(self, config: Config, roster: Roster, senses: Senses) -> None:
        """Read members from ``roster`` and let ``senses`` know where each life can be seen."""
        self._config = config
        self._roster = roster
        self._senses = senses
        self._offsets: dict[Key, float] = {}

    def prepare(self, key: Key, generation: int) -> Launch:
        """Make everything ready for one life and return how it begins.

        Raises:
            KeyError: the manifests no longer name the agent.
            OSError: a directory or file of the cell could not be made.
        """
        cell, member = self._roster.member(key)
        paths, name = cell.paths, member.name
        owner = provision.agent_owner(self._config.isolation.uid, self._config.isolation.gid)
        provision.make_member(paths, member, owner)
        for stale in (paths.beat(name), paths.status(name, generation)):
            with contextlib.suppress(OSError):  # The first is the agent's: anything may lie there.
                stale.unlink()
        _rotate(paths.log(name))
        with contextlib.suppress(StoreError):  # A full disk: an older copy, or none, must do.
            store.publish_manifest(paths, cell.manifest)
        self._senses.attend(key, paths, name, generation)
        self._offsets[key] = clock_offset()
        return Launch(
            key=key,
            uuid=paths.uuid,
            agent=name,
            role=member.role,
            generation=generation,
            argv=member.command,
            env={**member.env, "NOTIFY_SOCKET": "/mission/.lazarus/pub/notify.sock"},
            network="host" if member.network is Network.HOST else "none",
            workspace=str(paths.workspace),
            home=str(paths.home(name)),
            heartbeat_dir=str(paths.beats(name)),
            inbox=str(paths.inbox(name)),
            outbox=str(paths.outbox(name)),
            pub_dir=str(paths.published(name)),
            log_file=str(paths.log(name)),
            status_file=str(paths.status(name, generation)),
            uid=owner.uid if os.geteuid() == 0 else None,
            gid=owner.gid if os.geteuid() == 0 else None,
        )

    def began(self, key: Key, *, awaits_output: bool) -> None:
        """Attend to the first output of a life that has still to show that it is ready."""
        if awaits_output:
            self._senses.await_output(key)

    def sights(self, key: Key) -> Sights:
        """Where a fresh look at this agent looks.

        Files of the workspace speak for an agent only where no other agent can write them.
        """
        cell, member = self._roster.member(key)
        writers = [
            m.name for m in cell.manifest.agents if m.command and m.role is not Role.OBSERVER
        ]
        alone = writers == [member.name]
        now = clock_offset()
        return Sights(
            heartbeat=str(cell.paths.beat(member.name)),
            log=str(cell.paths.log(member.name)),
            workspace=str(cell.paths.workspace) if alone else "",
            offsets=(now, self._offsets.get(key, now)),
        )


def _rotate(log: Path) -> None:
    """Put a large log aside before a new life adds to it."""
    with contextlib.suppress(FileNotFoundError):
        if log.stat(follow_symlinks=False).st_size > LOG_LIMIT:
            os.replace(log, log.with_suffix(".log.1"))
