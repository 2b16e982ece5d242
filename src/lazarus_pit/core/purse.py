"""What the members of a cell have spent together, and when their minutes will be up.

Time passes by itself: for each cell it is kept how many of its members live and move, so that no
fact costs more in a cell of thousands.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.core import budget
from lazarus_pit.core.agent import Agent, uptime
from lazarus_pit.core.budget import NOTHING, Total
from lazarus_pit.core.model import NEVER, Instant, Phase, Seconds

LATE: Seconds = 1.0
"""A bound of minutes may be noticed so much too late."""


class _Purse(Struct):
    """One cell's."""

    total: Total = Total()
    """Without its seconds."""
    fixed: Seconds = 0.0
    moving: int = 0
    """Seconds spent by now: ``fixed`` and, for each member that moves, the instant itself."""
    least: Seconds = NEVER
    """No running member is held for its cell's minutes before so much is spent."""
    members: int = 0


class Purses:
    """Those of all cells, by the first part of their agents' keys."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        """Add up what was persisted."""
        self._purses: dict[str, _Purse] = {}
        for agent in agents:
            self.change(None, agent)

    def __contains__(self, cell: str) -> bool:
        """Whether anybody of this cell is known."""
        return cell in self._purses

    def change(self, before: Agent | None, after: Agent | None) -> bool:
        """Take in that an agent has changed, come or gone; return whether anything was spent."""
        agent = after or before
        assert agent is not None  # noqa: S101 - nobody calls it for nothing
        purse = self._purses.setdefault(cell_of(agent), _Purse())
        old, new = before.tab if before else NOTHING, after.tab if after else NOTHING
        total = purse.total.plus(old, new)
        spent, purse.total = total != purse.total, total
        for one, sign in ((before, -1), (after, 1)):
            fixed, moving = _clock(one) if one else (0.0, 0)
            purse.fixed += sign * fixed
            purse.moving += sign * moving
        if after is not None:
            purse.least = min(purse.least, _bound(after))
        purse.members += (before is None) - (after is None)
        if not purse.members:
            del self._purses[cell_of(agent)]
        return spent

    def total(self, cell: str, now: Instant) -> Total:
        """Return what the members of a cell have spent until now."""
        purse = self._purses.get(cell, _Purse())
        seconds = max(0.0, purse.fixed + purse.moving * now)
        return replace(purse.total, seconds=seconds)

    def due(self, cell: str) -> Instant:
        """Return when a member may have to be held for its cell's minutes, as things are."""
        purse = self._purses.get(cell, _Purse())
        if purse.least >= NEVER or not purse.moving:
            return NEVER
        return (purse.least - purse.fixed) / purse.moving

    def weighed(self, members: Iterator[Agent], cell: str, now: Instant) -> Instant:
        """Look at every member anew, after all that had to be held are; return what is due then."""
        if purse := self._purses.get(cell):
            purse.least = min(map(_bound, members), default=NEVER)
        return max(self.due(cell), now + LATE)


def is_spending(before: Agent, after: Agent) -> bool:
    """Whether a change can matter to a purse; most cannot."""
    return (
        before.tab is not after.tab
        or before.life is not after.life
        or before.phase is not after.phase
        or before.frozen_at != after.frozen_at
        or before.started != after.started
        or before.rules is not after.rules
    )


def cell_of(agent: Agent) -> str:
    """Return the cell in an agent's key."""
    return agent.key.partition("/")[0]


def _clock(agent: Agent) -> tuple[Seconds, int]:
    """Return the seconds that an agent has spent: the first, and the instant if it moves."""
    tab = agent.tab
    if agent.life is None:
        return tab.seconds, 0
    if agent.frozen_at or agent.phase is Phase.HELD:
        return tab.seconds + max(0.0, uptime(agent, NEVER) - tab.idle), 0
    return tab.seconds - tab.idle - agent.started, 1


def _bound(agent: Agent) -> Seconds:
    """Return how much its cell may have spent before it is held; never if it does not move."""
    moves = agent.phase is Phase.RUNNING and not agent.frozen_at
    minutes = agent.rules.mission_minutes
    return budget.times(agent.tab) * minutes * 60.0 if moves and minutes > 0.0 else NEVER
