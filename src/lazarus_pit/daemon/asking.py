"""Asking people: when a round compares what the loop waits for with what the records say.

Nothing is handed over that could be lost: each round compares the agents that await a word with
the records, whatever happened before it. An order ``Ask``, the bell, the sweep and a fresh start
all begin the same round. SQLite's part is outside the loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Mapping

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Decided, Fact, Told
from lazarus_pit.core.model import Key
from lazarus_pit.daemon.requests import Requests, Round
from lazarus_pit.daemon.watch import Kind, Watch
from lazarus_pit.errors import StoreError
from lazarus_pit.records.database import opened_records, set_aside

log = logging.getLogger(__name__)


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
        self._requests = Requests(agents)
        self._offer = offer
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._aside = len(set_aside(pit.records))
        self._refused = ""

    def listen(self, watch: Watch) -> None:
        """Hear the bell from now on; where it cannot be hung up, the sweep must do."""
        bell = self._pit.bell
        try:
            os.close(os.open(bell, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        except OSError as error:
            log.warning("%s: %s; answers are seen at the next sweep", bell, error.strerror)
        else:
            watch.add(Kind.BELL, "", str(bell))

    def catch_up(self) -> None:
        """Hear what was answered while no daemon ran, before the first turn lets time pass.

        Whoever answered in time was told that it counts, however long nobody was here to hear it.
        """
        if not (self._requests.ask_everybody() and self._pit.records.exists()):
            return
        round_ = self._requests.begin(time.time() - time.monotonic())
        try:
            found = self._compare(round_)
        except StoreError as error:
            self._requests.failed(round_)
            log.warning("cannot look for people's answers: %s", error)
            return
        for key, fact in found:
            self._offer(key, fact)

    def dismissed(self, key: Key) -> None:
        """Let go of an agent that is no more: a later one of its name is somebody else."""
        self._requests.dismissed(key)

    def ask(self, key: Key) -> None:
        """Have people asked about this agent; asked before, nothing is asked twice."""
        self._requests.ask(key)
        self.round()

    def sweep(self) -> None:
        """Find what was missed, where anything can have been."""
        if self._requests.wants_sweep:
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
        round_ = self._requests.begin(time.time() - time.monotonic())
        try:
            if round_.awaiting or self._pit.records.exists():
                for key, fact in await asyncio.to_thread(self._compare, round_):
                    self._offer(key, fact)
            else:
                self._requests.nothing_asked()
        except StoreError as error:
            self._requests.failed(round_)
            if str(error) != self._refused:
                log.warning("cannot ask people, trying again: %s", error)
            self._refused = str(error)
        else:
            self._refused = ""
        finally:
            self._task = None
        self._say_damage()
        if self._again:
            self._again = False
            self.round()

    def _compare(self, round_: Round) -> list[tuple[Key, Decided]]:
        with opened_records(self._pit.records) as db:
            return self._requests.compare(db, round_, time.time())

    def _say_damage(self) -> None:
        aside = set_aside(self._pit.records)
        for path in aside[self._aside :]:
            self._tell(Told(event="records_damaged", data={"kept": path.name}))
        self._aside = len(aside)
