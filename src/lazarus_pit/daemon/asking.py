"""Asking people: what the loop waits for and what the records say are brought together.

Nothing is handed over that could be lost: each round compares the agents that await a word with
the records, whatever happened before it. An order ``Ask``, the bell, the sweep and a fresh start
all begin the same round. SQLite's part is outside the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Decided, Fact, Told
from lazarus_pit.core.model import Key, Phase
from lazarus_pit.daemon.watch import Kind, Watch
from lazarus_pit.errors import StoreError
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records, set_aside

log = logging.getLogger(__name__)

EARLY_SECONDS = 1.0
"""A request closes this long before the loop gives up: an answer in time arrives in time."""
FAR_GATEWAYS = "pool/"
"""Subjects that are not ours to close."""


class _Awaiting(NamedTuple):
    key: Key
    generation: int
    expires: float
    facts: dict[str, object]


class Asking:
    """Opens, hears and closes the requests of the cells' agents."""

    def __init__(
        self,
        pit: PitPaths,
        agents: Mapping[Key, Agent],
        offer: Callable[[Key, Fact], None],
        tell: Callable[[Told], None],
    ) -> None:
        """Nothing is opened before the first round."""
        self._pit = pit
        self._agents = agents
        self._offer = offer
        self._tell = tell
        self._asked: set[Key] = set()
        """Whom the loop has ordered to ask for; who awaits no word any more leaves at a round."""
        self._left: set[Key] = set()
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._open = True  # Until the first round has looked: there may be old requests.
        self._aside = len(set_aside(pit.records))

    def listen(self, watch: Watch) -> None:
        """Hear the bell from now on; where it cannot be hung up, the sweep must do."""
        bell = self._pit.bell
        try:
            os.close(os.open(bell, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        except OSError as error:
            log.warning("%s: %s; answers are seen at the next sweep", bell, error.strerror)
        else:
            watch.add(Kind.BELL, "", str(bell))

    def dismissed(self, key: Key) -> None:
        """Let go of an agent that is no more: a later one of its name is somebody else."""
        self._left.add(key)

    def ask(self, key: Key) -> None:
        """Have people asked about this agent; asked before, nothing is asked twice."""
        self._asked.add(key)
        self.round()

    def sweep(self) -> None:
        """Find what was missed, where anything can have been."""
        if self._open or self._left or self._asked:
            self.round()

    def round(self) -> None:
        """Compare once more: now, or as soon as the round that is under way has ended."""
        if self._task is None:
            self._task = asyncio.create_task(self._round())
        else:
            self._again = True

    def close(self) -> None:
        """Compare no more."""
        if self._task is not None:
            self._task.cancel()

    async def _round(self) -> None:
        left, self._left = self._left, set()
        try:
            awaiting = self._awaiting()
            if awaiting or self._pit.records.exists():
                found, self._open = await asyncio.to_thread(self._compare, awaiting, left)
                for key, fact in found:
                    self._offer(key, fact)
            else:
                self._open = False
        except StoreError as error:
            self._left |= left
            self._open = True
            log.warning("cannot ask people, trying again: %s", error)
        finally:
            self._task = None
        self._say_damage()
        if self._again:
            self._again = False
            self.round()

    def _awaiting(self) -> list[_Awaiting]:
        wall = time.time() - time.monotonic()
        asked = [agent for key in self._asked if (agent := self._agents.get(key)) is not None]
        waiting = [agent for agent in asked if agent.phase is Phase.AWAITING]
        self._asked = {agent.key for agent in waiting}
        return [
            _Awaiting(
                agent.key,
                agent.generation,
                agent.due + wall - EARLY_SECONDS,
                {"died": round(agent.since + wall, 3), "attempts": len(agent.attempts)},
            )
            for agent in waiting
        ]

    def _compare(
        self, awaiting: list[_Awaiting], left: set[Key]
    ) -> tuple[list[tuple[Key, Decided]], bool]:
        """Return the answers that somebody waits for, and whether requests are still open."""
        now = time.time()
        with opened_records(self._pit.records) as db:
            # Whether an agent is known is one look-up, so the loop's own table may be asked here.
            gone = {one for one in approvals.subjects(db) if _is_gone(one, self._agents)}
            for key in left | gone:
                approvals.retire(db, key, now)
            approvals.expire(db, now)
            found = [answer for one in awaiting if (answer := _answer(db, one, now))]
            waiting = {(one.key, one.generation) for one in awaiting}
            mine = [one for one in approvals.pending(db, now) if not _is_far(one.subject)]
            for one in mine:
                if (one.subject, one.generation) not in waiting:
                    approvals.supersede(db, one.subject, now, upto=one.generation)
        return found, bool(mine)

    def _say_damage(self) -> None:
        aside = set_aside(self._pit.records)
        for path in aside[self._aside :]:
            self._tell(Told(event="records_damaged", data={"kept": path.name}))
        self._aside = len(aside)


def _answer(db: sqlite3.Connection, one: _Awaiting, now: float) -> tuple[Key, Decided] | None:
    """Ask, unless it was asked before, and return the answer where there is one."""
    request = approvals.open_request(
        db, one.key, one.generation, one.facts, expires=one.expires, now=now
    )
    if request.outcome not in ("approved", "denied"):
        return None
    approved = request.outcome == "approved"
    answer = Decided(generation=one.generation, approved=approved, by=request.by, via=request.via)
    return one.key, answer


def _is_far(subject: str) -> bool:
    return subject.startswith(FAR_GATEWAYS)


def _is_gone(subject: str, known: Mapping[Key, Agent]) -> bool:
    return subject not in known and not _is_far(subject)
