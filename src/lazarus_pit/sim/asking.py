"""The way of a request: the shipped records, on a database in memory, and the daemon's rounds.

The records outlive every daemon, as a file does. The daemon may die before each statement that it
gives to SQLite; what SQLite then rolls back is rolled back here by SQLite itself.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from lazarus_pit.core.events import Decided, Fact
from lazarus_pit.core.model import Key, Seconds
from lazarus_pit.daemon.loop import Loop
from lazarus_pit.daemon.requests import Requests, Round
from lazarus_pit.errors import StoreError
from lazarus_pit.records import approvals
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.database import in_memory
from lazarus_pit.sim.disk import DaemonDied
from lazarus_pit.sim.machine import Machine

SWEEP: Seconds = 15.0
"""How often a round begins that nobody rang for."""


class _Fragile(sqlite3.Connection):
    """A connection whose user may die before any statement."""

    dies: Callable[[], None] | None = None

    def execute(self, *words: Any) -> sqlite3.Cursor:
        if self.dies is not None and words[0] != "ROLLBACK":
            self.dies()
        return super().execute(*words)


class Records:
    """The records of one world. A full disk refuses everybody."""

    def __init__(self, world: Machine) -> None:
        """Begin with nothing asked."""
        self._world = world
        self._db = in_memory(_Fragile)
        self.refused_at = -1.0
        """When they last refused."""

    def opened(self) -> sqlite3.Connection:
        """Return them for use at once.

        Raises:
            StoreError: the disk is full.
        """
        if self._world.disk.full:
            self.refused_at = self._world.time
            raise StoreError("No space left on device")
        return self._db

    def found(self, request: str) -> Request | None:
        """Return a request as people have it before them, whatever the disk does."""
        return approvals.find(self._db, request)

    def used_by_daemon(self, use: Callable[[sqlite3.Connection], None]) -> None:
        """Let the daemon use them, in which it may die.

        Raises:
            StoreError: the disk is full.
        """
        db = self.opened()
        self._db.dies = partial(self._world.point, "among the records")
        try:
            use(db)
        except DaemonDied:
            if db.in_transaction:
                db.rollback()
            raise
        finally:
            self._db.dies = None

    def close(self) -> None:
        """End with the world."""
        self._db.close()


class Owner(Protocol):
    """The daemon whose rounds these are."""

    loop: Loop

    @property
    def runs(self) -> bool:
        """Whether it lives."""

    def offer(self, key: Key, fact: Fact) -> None:
        """Put a fact into its inbox; once it has died it is deaf."""

    def swept(self) -> None:
        """Do whatever else is done at each sweep."""

    def guarded(self, call: Callable[[], None]) -> None:
        """Run a piece of it, in which it may die."""


class Asking:
    """One daemon's rounds: the shipped ``Requests``, with time and death of the simulator's own."""

    def __init__(self, world: Machine, records: Records, owner: Owner) -> None:
        """Wait for ``begin``."""
        self._world = world
        self._records = records
        self._owner = owner
        self.requests = Requests(owner.loop.fleet.agents)
        self._busy = False
        self._again = False

    def catch_up(self) -> None:
        """Hear what was answered while no daemon ran."""
        if not self.requests.ask_everybody():
            return
        round_ = self.requests.begin(self._world.time - self._world.clock)
        for key, fact in self._found(round_):
            self._owner.loop.offer(key, fact)

    def begin(self) -> None:
        """Sweep from now on, for as long as the daemon runs."""
        self._world.after(SWEEP, self._sweep)

    def _sweep(self) -> None:
        if self._owner.runs:
            if self.requests.wants_sweep:
                self.round()
            self._owner.swept()
            self._world.after(SWEEP, self._sweep)

    def ask(self, key: Key) -> None:
        """Have people asked about this agent."""
        self.requests.ask(key)
        self.round()

    def round(self) -> None:
        """Compare once more: soon, or as soon as the round that is under way has ended."""
        if self._busy:
            self._again = True
            return
        self._busy = True
        self._world.after(self._soon(), self._begin)

    def _soon(self) -> Seconds:
        return self._world.rng.choice((0.0, 0.01, 0.3))

    def _begin(self) -> None:
        if self._owner.runs:
            round_ = self.requests.begin(self._world.time - self._world.clock)
            self._world.after(
                self._soon(), partial(self._owner.guarded, partial(self._compare, round_))
            )

    def _compare(self, round_: Round) -> None:
        if not self._owner.runs:
            return
        found = self._found(round_)
        rng, rates = self._world.rng, self._world.rates
        late = rng.uniform(0.1, 10.0) if rng.random() < rates["late"] else self._soon()
        self._world.after(late, partial(self._end, found))

    def _found(self, round_: Round) -> list[tuple[Key, Decided]]:
        found: list[tuple[Key, Decided]] = []
        try:
            self._records.used_by_daemon(
                lambda db: found.extend(self.requests.compare(db, round_, self._world.time))
            )
        except StoreError:
            self.requests.failed(round_)
        return found

    def _end(self, found: list[tuple[Key, Decided]]) -> None:
        if not self._owner.runs:
            return
        for key, fact in found:
            self._owner.offer(key, fact)
        self._busy = False
        if self._again:
            self._again = False
            self.round()
