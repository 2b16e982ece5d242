"""The disk of a simulated machine: it can be full, and the daemon can die on either side of it."""

from __future__ import annotations

from typing import Protocol

from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Told
from lazarus_pit.core.fleet import Turn
from lazarus_pit.core.model import Key
from lazarus_pit.errors import StoreError


class DaemonDied(BaseException):
    """``kill -9`` in the middle of a turn: unwinds it, and nothing in the loop may catch it."""


class Witness(Protocol):
    """Who watches what the disk is asked to keep."""

    boot: int
    """Which boot of the machine this is."""

    def point(self, name: str) -> None:
        """Pass a point at which the daemon may die (raises ``DaemonDied``)."""

    def decided(self, turn: Turn) -> None:
        """See what a turn came to, before it is acted on."""


class Disk:
    """Records and journal. What a full disk refused is kept in memory, and lost with the daemon."""

    def __init__(self, witness: Witness) -> None:
        """Begin empty."""
        self.witness = witness
        self.full = False
        self.records: dict[Key, Agent] = {}
        self.boots: dict[Key, int] = {}
        """In which boot each record was written: its instants belong to that one."""
        self.journal: list[Told] = []
        self.pending = Turn()

    def commit(self, turn: Turn) -> None:
        """Make a turn durable, all or nothing.

        Raises:
            StoreError: the disk is full; the turn is kept for the next commit.
        """
        self.witness.point("before persist")
        self.pending.changed.update(turn.changed)
        self.pending.told.extend(turn.told)
        self.witness.decided(turn)
        if self.full:
            raise StoreError("No space left on device")
        for key, agent in self.pending.changed.items():
            if agent is None:
                self.records.pop(key, None)
            else:
                self.records[key] = agent
                self.boots[key] = self.witness.boot
        self.journal.extend(self.pending.told)
        self.pending = Turn()
        self.witness.point("between persist and act")

    def crash(self) -> tuple[list[Key], list[Told]]:
        """Lose what was not yet durable, and say what that was."""
        lost, self.pending = self.pending, Turn()
        return list(lost.changed), lost.told
