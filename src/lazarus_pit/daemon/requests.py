"""Whom people are asked about: what the loop waits for, against what the records hold.

No task, no file and no clock: ``asking`` drives this in the daemon, and the simulator drives the
very same over days of crashes. A round begins, compares and ends; the daemon may die in between.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Decided
from lazarus_pit.core.model import Instant, Key, Phase, Seconds
from lazarus_pit.records import approvals
from lazarus_pit.records.database import transaction

EARLY_SECONDS = 1.0
"""A request closes this long before the loop gives up: an answer in time arrives in time."""
FAR_GATEWAYS = "pool/"
"""Subjects that are not ours to close."""


class _Awaiting(NamedTuple):
    key: Key
    generation: int
    expires: float
    facts: dict[str, object]
    hold: int
    """Which curb it is about; 0: a death."""


class Round(NamedTuple):
    """What one round compares."""

    awaiting: list[_Awaiting]
    left: set[Key]


class Requests:
    """Whom the loop has named since it began, and whom it has let go of."""

    def __init__(self, agents: Mapping[Key, Agent]) -> None:
        """Name nobody yet; ``agents`` is the loop's own table, before its first turn."""
        self._agents = agents
        self._remembered: frozenset[Key] | None = frozenset(agents)
        """Whom the ledger knew: until a round has let go of everybody else.

        One who was removed, and whose name came back while no daemon ran, is not among them.
        """
        self._asked: set[Key] = set()
        """Whom the loop has ordered to ask for; who awaits no word any more leaves at a round."""
        self._left: set[Key] = set()
        self._ahead: Seconds | None = None
        self._was_set = False
        """Whether the wall clock was set since we began, or stood still with the machine."""
        self._open = True  # Until the first round has looked: there may be old requests.

    def ask(self, key: Key) -> None:
        """Have people asked about this agent from the next round on."""
        self._asked.add(key)

    def ask_everybody(self) -> bool:
        """Have people asked about all who await a word; return whether there are any."""
        waiting = {key for key, agent in self._agents.items() if _waits(agent)}
        self._asked |= waiting - self._left
        return bool(self._asked)

    def dismissed(self, key: Key) -> None:
        """Let go of an agent that is no more: a later one of its name is somebody else.

        The loop may learn it a turn later: until then the agent seems to wait, and must not be
        asked about once more.
        """
        self._left.add(key)
        self._asked.discard(key)

    @property
    def wants_sweep(self) -> bool:
        """Whether there is anything that a round can have missed."""
        return bool(self._open or self._left or self._asked)

    def begin(self, ahead: Seconds) -> Round:
        """Begin a round; Unix time is ``ahead`` of the loop's clock."""
        left, self._left = self._left, set()
        before, self._ahead = self._ahead, ahead
        if before is not None and ahead - before > approvals.SET_SECONDS:
            self._was_set = True
        asked = [
            agent for key in sorted(self._asked) if (agent := self._agents.get(key)) is not None
        ]
        waiting = [agent for agent in asked if _waits(agent)]
        self._asked = {agent.key for agent in waiting}
        return Round([_wants(agent, ahead) for agent in waiting], left)

    def compare(
        self, db: sqlite3.Connection, round_: Round, now: Instant
    ) -> list[tuple[Key, Decided]]:
        """Bring the records up to date, and return the answers that somebody waits for.

        In one transaction: each costs a write that waits for the disk, and many may have died.
        ``now`` is Unix time. This may run beside the loop: whether an agent is known is one
        look-up in its table.
        """
        with transaction(db):
            found = self._compared(db, round_, now)
        self._remembered = None
        return found

    def _compared(
        self, db: sqlite3.Connection, round_: Round, now: Instant
    ) -> list[tuple[Key, Decided]]:
        gone = {one for one in approvals.subjects(db) if self._is_gone(one)}
        for key in sorted(round_.left | gone):
            # Of one who is here, and was not when we began, the questions are new (``questions``).
            is_new = key in self._agents and key not in round_.left
            approvals.retire(db, key, now, deaths_alone=is_new)
        approvals.expire(db, now)
        was_set = self._was_set
        found = [answer for one in round_.awaiting if (answer := _answer(db, one, now, was_set))]
        waiting = {(one.key, one.generation) for one in round_.awaiting}
        asked = [one for one in approvals.pending(db, now) if not one.is_question]
        mine = [one for one in asked if not _is_far(one.subject)]
        for one in mine:
            if (one.subject, one.generation) not in waiting:
                approvals.supersede(db, one.subject, now, upto=one.generation)
        self._open = bool(mine)
        return found

    def nothing_asked(self) -> None:
        """End a round that found no records at all."""
        self._open = False

    def failed(self, round_: Round) -> None:
        """End a round that the records refused: the next one has its work to do as well."""
        self._left |= round_.left
        self._open = True

    def _is_gone(self, subject: str) -> bool:
        known = self._agents if self._remembered is None else self._remembered
        return not (subject in known or _is_far(subject))


def _waits(agent: Agent) -> bool:
    return agent.phase is Phase.AWAITING or agent.curb is not None


def _wants(agent: Agent, ahead: Seconds) -> _Awaiting:
    since, hold = round(agent.since + ahead, 3), agent.curb.number if agent.curb else 0
    facts: dict[str, object] = {"died": since, "attempts": len(agent.attempts)}
    if hold:
        facts = {"held": since, "hold": hold, "why": agent.reason}
    expires = agent.due + ahead - EARLY_SECONDS
    return _Awaiting(agent.key, agent.generation, expires, facts, hold)


def _answer(
    db: sqlite3.Connection,
    one: _Awaiting,
    now: float,
    was_set: bool,  # noqa: FBT001
) -> tuple[Key, Decided] | None:
    """Ask, unless it was asked before, and return the answer where there is one."""
    request = _opened(db, one, now)
    # The same life was asked about before, and that is over: its answer is not this one's.
    is_other = request.facts.get("hold", 0) != one.hold
    if is_other or (was_set and approvals.ended_early(request, one.expires, now)):
        approvals.retire(db, one.key, now, deaths_alone=True)
        request = _opened(db, one, now)
    if request.outcome not in ("approved", "denied"):
        return None
    approved = request.outcome == "approved"
    answer = Decided(
        generation=one.generation,
        approved=approved,
        by=request.by,
        via=request.via,
        hold=one.hold,
    )
    return one.key, answer


def _opened(db: sqlite3.Connection, one: _Awaiting, now: float) -> approvals.Request:
    return approvals.open_request(
        db, one.key, one.generation, one.facts, expires=one.expires, now=now
    )


def _is_far(subject: str) -> bool:
    return subject.startswith(FAR_GATEWAYS)
