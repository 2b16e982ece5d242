"""The circle, in one order: drain everything pending, step, persist, act. Nothing else may turn it.

Why this order: facts before time, since a beat that has arrived is a sign of life before anybody
is judged; disk before orders, since what was ordered must be known after a crash. The simulator
drives this very file.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from lazarus_pit.core.agent import Agent, is_void
from lazarus_pit.core.events import (
    Fact,
    ObserverBlinded,
    ObserverDoubted,
    ObserverSaw,
    Order,
    Spawn,
    Spawned,
    SpawnFailed,
    Told,
)
from lazarus_pit.core.fleet import Fleet, Turn
from lazarus_pit.core.model import Instant, Key
from lazarus_pit.errors import StoreError

OBSERVER: Key = ""
"""The key under which facts about the observer itself are offered."""


class Store(Protocol):
    """Where a turn becomes durable."""

    def commit(self, turn: Turn) -> None:
        """Make the records and lines of a turn durable, all or nothing.

        Raises:
            StoreError: it could not; what was asked is kept and made durable by a later commit.
        """


class Hands(Protocol):
    """What carries orders out. It may be asked twice: it acts once per generation."""

    def act(self, order: Order, agent: Agent) -> None:
        """Begin to carry one order out; the outcome is offered to the loop as a fact."""


class Loop:
    """The inbox and the turn."""

    def __init__(self, fleet: Fleet, store: Store, hands: Hands) -> None:
        """Join a fleet to where it is kept and to what acts for it."""
        self.fleet = fleet
        self.store = store
        self.hands = hands
        self.inbox: deque[tuple[Key, Fact]] = deque()
        self.store_fault = ""
        """Why the latest turn is not on disk; empty while all is well."""

    def offer(self, key: Key, fact: Fact) -> None:
        """Put a fact into the inbox; it is seen in the next turn."""
        self.inbox.append((key, fact))

    def turn(self, now: Instant) -> Instant:
        """Turn the circle once and return when time alone will next matter.

        Orders may offer facts at once; the caller turns again while the inbox is not empty.
        """
        self._drain(now)
        self.fleet.tick(now)
        turn = self.fleet.take()
        if turn.changed or turn.told or self.store_fault:
            self._persist(turn)
        for order in turn.orders:
            agent = self.fleet.agents.get(order.key)
            if agent is not None and not is_void(order, agent):
                self.hands.act(order, agent)
        return self.fleet.wake()

    def repeat_owed(self) -> None:
        """Act on what is owed from before this daemon began.

        A start that the first turn ordered anew, and whose outcome waits in the inbox, is not
        ordered again: its failure would be believed of the second.
        """
        answered = {key for key, fact in self.inbox if isinstance(fact, Spawned | SpawnFailed)}
        for order in self.fleet.owed():
            if not (isinstance(order, Spawn) and order.key in answered):
                self.hands.act(order, self.fleet.agents[order.key])

    def _drain(self, now: Instant) -> None:
        fleet = self.fleet
        for _ in range(len(self.inbox)):
            key, fact = self.inbox.popleft()
            if isinstance(fact, ObserverBlinded | ObserverDoubted | ObserverSaw):
                fleet.observe(fact, now)
            else:
                fleet.step(key, fact, now)

    def _persist(self, turn: Turn) -> None:
        """Write the turn down. A disk that refuses does not end supervision: it is told, once."""
        try:
            self.store.commit(turn)
        except StoreError as error:
            if not self.store_fault:
                self.fleet.turn.told.append(Told(event="store_failed", data={"why": str(error)}))
            self.store_fault = str(error)
            return
        if self.store_fault:
            self.store_fault = ""
            self.fleet.turn.told.append(Told(event="store_recovered"))
