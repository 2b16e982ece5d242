"""The pool's circle: drain, step, persist, act; sweeps, people and time only put facts into it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.core.events import (
    Ask,
    Decided,
    Fact,
    LookAt,
    Order,
    Spawn,
    SpawnFailed,
    Tick,
    Told,
)
from lazarus_pit.core.far import Far, FarPhase, Probed, resumed, wake
from lazarus_pit.core.model import Instant, Key, Rules, Verdict
from lazarus_pit.core.revival import step
from lazarus_pit.errors import LazarusError, SpawnError, StoreError
from lazarus_pit.formats.pool_config import Gateway, PoolConfig, falls_back, policies, rules_of
from lazarus_pit.pool import asking, memory, reviving
from lazarus_pit.pool.journal import Journal, shown_name
from lazarus_pit.pool.memory import Clock
from lazarus_pit.pool.plans import plan_of
from lazarus_pit.pool.sweep import Prober, Sight

log = logging.getLogger(__name__)

RECORDS_PATIENCE = 30.0
"""Seconds that a round with the records may take."""
RECORDS_RETRY = 5.0
"""Seconds until records that refused are tried again."""


class Pool:
    """Every gateway, what is believed about it, and what is under way for it."""

    def __init__(self, config: PoolConfig, pit: PitPaths, environ: Mapping[str, str]) -> None:
        """Take up what was remembered; only the holder of the pool's lock may do so.

        Raises:
            StoreError: the memory cannot be read.
        """
        self.clock = Clock()
        self.config = config
        self.sights: dict[Key, Sight] = {}
        self._pit = pit
        self._environ = environ
        self._prober = Prober(config, environ)
        self._journal = Journal(pit.events)
        self._gateways = {one.name: one for one in config.gateways}
        words = policies(config)
        self._rules: dict[Key, Rules] = {
            name: rules_of(config, words[name]) for name in self._gateways
        }
        self._unasked = {name for name in self._gateways if falls_back(config, words[name])}
        remembered = memory.recall_or_set_aside(pit.pool)
        self._remembered: set[Key] | None = remembered.keys() & self._gateways.keys()
        """Who is remembered, until the records have let go of everybody else."""
        self._left = bool(remembered.keys() - self._gateways.keys())
        """Whether somebody is written down who has left the configuration."""
        now = self.clock.now()
        self.fars = {
            name: resumed(
                remembered.get(name, Far(key=name)),
                self._rules[name],
                plan_of(one, self._rules[name].revive_policy),
                now,
            )
            for name, one in self._gateways.items()
        }
        self._inbox: deque[tuple[Key, Fact]] = deque()
        self._bell = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: set[Key] = set()
        self._asking: asyncio.Task[None] | None = None
        self._ask_again = False
        self._ask_after: Instant = 0.0
        self._unheard = ""
        """Why people cannot be asked; empty: they can."""
        self._refused = ""

    @property
    def all_healthy(self) -> bool:
        """Whether the latest look at each of them found it healthy."""
        return all(far.verdict is Verdict.HEALTHY for far in self.fars.values())

    def answered(self) -> None:
        """Hear that somebody may have answered."""
        self._ask_again = True
        self._bell.set()

    async def once(self) -> None:
        """Look at everybody once, and do what follows from it; nobody's word is waited for."""
        await self._compared()
        await self._settle()
        self._look(list(self._gateways))
        await self._settle()

    async def run(self, stop: asyncio.Event) -> None:
        """Watch until it is time to stop."""
        stopped = asyncio.create_task(stop.wait())
        stopped.add_done_callback(lambda _: self._bell.set())
        next_sweep = self.clock.now()
        try:
            await self._compared()  # An answer that came while we were away is before its end.
            while not stop.is_set():
                self._bell.clear()
                if self.clock.now() >= next_sweep:
                    self._look(list(self._gateways))
                    next_sweep = self.clock.now() + self.config.poll_interval
                    self._ask_again = True
                await self._turn()
                self._ask()
                await self._rest(next_sweep)
        finally:
            stopped.cancel()
            for task in self._tasks:
                task.cancel()

    async def _rest(self, next_sweep: Instant) -> None:
        """Wait until something has happened, or time alone matters."""
        if self._inbox and not self._refused:
            return
        due = [wake(far, self._rules[key]) for key, far in self.fars.items()]
        soonest = min([next_sweep, *due])
        if self._ask_again and self._asking is None:
            soonest = min(soonest, max(self._ask_after, self.clock.now()))
        # A disk that refuses is not asked again in one breath.
        wait = max(1.0 if self._refused else 0.0, soonest - self.clock.now())
        try:
            await asyncio.wait_for(self._bell.wait(), wait)
        except TimeoutError:
            return

    async def _settle(self) -> None:
        """Turn until nothing is under way any more."""
        while True:
            await self._turn()
            self._ask()
            if self._tasks:
                await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            elif not self._inbox or self._refused:
                return

    async def _turn(self) -> None:
        """Step everything pending; what cannot be remembered is not done, and comes again.

        Facts before time: an answer that has arrived is heard before its request expires.
        """
        now = self.clock.now()
        fars, told, orders = dict(self.fars), list[Told](), list[Order]()
        facts = list(self._inbox)
        self._inbox.clear()
        ticks = ((key, Tick()) for key in fars)
        for key, fact in (*facts, *ticks):
            if isinstance(fact, Tick) and now < wake(fars[key], self._rules[key]):
                continue
            fars[key], lines, wanted = step(fars[key], self._rules[key], fact, now)
            told += lines
            orders += wanted
        news = memory.is_news(self.fars, fars) or (self._left and self._remembered is None)
        if news and not self._remember(fars):
            return
        self.fars = fars
        for line in told:
            self._journal.tell(line, self.sights.get(line.key), self._mission(line.key))
        for order in orders:
            self._act(order)

    def _remember(self, fars: Mapping[Key, Far]) -> bool:
        try:
            memory.remember(self._pit.pool, fars.values())
        except LazarusError as error:
            if not self._refused:
                log.warning("nothing is done until this can be remembered: %s", error)
            self._refused = str(error)
            return False
        if self._refused:
            log.info("%s is written again", self._pit.pool)
        self._refused, self._left = "", False
        return True

    def _act(self, order: Order) -> None:
        match order:
            case LookAt(key=key):
                self._look([key])
            case Ask():
                self._ask_again = True
            case Spawn(key=key, generation=generation):
                self._revive(self._gateways[key], generation)

    def _revive(self, one: Gateway, generation: int) -> None:
        name = shown_name(one.name)
        if one.name in self._unasked:
            log.warning("%s: its policy is ask, but no channel is configured: reviving", name)
        environ = {
            **self._environ,
            "LAZARUS_GATEWAY": one.name,
            "LAZARUS_GENERATION": str(generation),
        }
        try:
            pid = reviving.launch(one.revive_cmd, environ, self._pit.pool_log(one.name))
        except SpawnError as error:
            failed = SpawnFailed(generation=generation, why=str(error), fatal=error.fatal)
            self._offer(one.name, failed)
        else:
            log.info("%s: its revive command runs as %d", name, pid)
            reviving.collect(pid, name)

    def _offer(self, key: Key, fact: Fact) -> None:
        self._inbox.append((key, fact))
        self._bell.set()

    def _look(self, keys: Sequence[Key]) -> None:
        """Begin to look at those whom nobody is looking at."""
        wanted = [self._gateways[key] for key in keys if key not in self._looking]
        if wanted:
            self._looking.update(one.name for one in wanted)
            self._begin(lambda: self._looked(wanted))

    async def _looked(self, wanted: Sequence[Gateway]) -> None:
        try:
            sights = await self._prober.look(wanted)
        finally:
            self._looking.difference_update(one.name for one in wanted)
        self.sights.update(sights)
        for key, sight in sights.items():
            log.debug("%s: %s", shown_name(key), sight.words())
            self._offer(key, Probed(readings=sight.readings, luck=random.random()))

    def _ask(self) -> None:
        """Begin to compare with the records, unless that is under way or was refused just now."""
        ready = self._asking is None and self.clock.now() >= self._ask_after
        if self._ask_again and ready:
            self._ask_again = False
            self._asking = self._begin(self._compared)

    async def _compared(self) -> None:
        awaiting = [
            asking.Awaiting(far.key, far.generation, self.clock.to_wall(far.due), self._facts(far))
            for far in self.fars.values()
            if far.phase is FarPhase.AWAITING
        ]
        try:
            answers = await self._prober.crew.call(
                lambda: self._with_records(awaiting), RECORDS_PATIENCE
            )
        except (StoreError, TimeoutError) as error:
            said = str(error) or "not in time"
            if said != self._unheard:
                log.warning("people cannot be asked, trying again: %s", said)
            self._unheard = said
            self._ask_again, self._ask_after = True, self.clock.now() + RECORDS_RETRY
            answers = []
        else:
            if self._unheard:
                log.info("people can be asked again")
            self._unheard = ""
        finally:
            self._asking = None
        for key, answer in answers:
            self._offer(key, answer)

    def _with_records(self, awaiting: list[asking.Awaiting]) -> list[tuple[Key, Decided]]:
        if self._remembered is not None:
            asking.forget(self._pit.records, self._remembered)
            self._remembered = None
        return asking.compare(self._pit.records, awaiting)

    def _facts(self, far: Far) -> dict[str, object]:
        """What whoever is asked should know."""
        first = far.first_dead_at
        sight = self.sights.get(far.key)
        return {
            "died": None if first is None else round(first, 3),
            "attempts": len(far.attempts),
            "mission": self._mission(far.key),
            "probes": sight.words() if sight else {},
        }

    def _mission(self, key: Key) -> str:
        """Return the label of the mission whose policy holds."""
        named = (one.label for one in self.config.missions.values() if key in one.agents)
        return next(named, "")

    def _begin(self, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        async def done() -> None:
            try:
                await work()
            finally:
                self._bell.set()

        task = asyncio.create_task(done())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the pool failed, it is done again: %r", error)
