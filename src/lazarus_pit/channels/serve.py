"""Keeps every channel going, each by itself: what one cannot do now holds up none of the others.

The records are looked at when they change (inotify), and when a request ends by itself. What a
channel could not do is found there again, so nothing is queued here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import NoReturn

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels.base import (
    Channel,
    ChannelError,
    Gathering,
    MessageRefusedError,
    NotYetError,
)
from lazarus_pit.channels.desk import Desk, Settling, Work
from lazarus_pit.errors import LazarusError, StoreError
from lazarus_pit.formats.digest import Digest
from lazarus_pit.formats.question import Question
from lazarus_pit.formats.text import one_line
from lazarus_pit.linux.inotify import IN_MODIFY, IN_ONLYDIR, IN_Q_OVERFLOW, Inotify

log = logging.getLogger(__name__)

FIRST_SECONDS, LAST_SECONDS = 0.5, 60.0
"""The first delay before another try, and the longest; each is twice the one before."""
NET_SECONDS, DEAF_SECONDS = 60.0, 5.0
"""How often the records are looked at whatever was noticed; and where nothing can be noticed."""
SETTLE_SECONDS = 0.25
"""However much happens, four looks a second; the first is at once."""
GATHER_SECONDS = 1.0
"""How long a message about many waits for those who die with the first."""
LATER = 0.05
"""Seconds after a request's end at which it has ended by any clock."""
ASKING, HEARING = "asking", "hearing"
"""What a channel does; under each of them the last error stands in the channel's notes."""

Maker = Callable[[Desk], Channel]


async def serve(pit: PitPaths, makers: Mapping[str, Maker]) -> None:
    """Keep these channels going until cancelled; only the holder of the lock may do so."""
    stirring = Stirring(pit)
    try:
        async with asyncio.TaskGroup() as group:
            for name, make in makers.items():
                served = _Served(make, Desk(pit, name), stirring)
                group.create_task(served.run())
    finally:
        stirring.close()


class Stirring:
    """Wakes whoever waits when the records have changed."""

    def __init__(self, pit: PitPaths) -> None:
        """Watch from now on; where that cannot be, looking now and then must do."""
        self._aio = asyncio.get_running_loop()
        self._log_name = f"{pit.records.name}-wal".encode()
        self._waiting: list[asyncio.Event] = []
        self._inotify: Inotify | None = None
        try:
            pit.private.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._inotify = Inotify()
            # Every change is written to SQLite's log first; merely looking writes nothing there.
            self._inotify.add(str(pit.private), IN_MODIFY | IN_ONLYDIR)
        except OSError as error:
            log.warning("%s: %s; what changes is seen late", pit.private, error.strerror)
            self.close()
        else:
            self._aio.add_reader(self._inotify.fd, self._changed)

    @property
    def patience(self) -> float:
        """Seconds until a look without having been woken."""
        return DEAF_SECONDS if self._inotify is None else NET_SECONDS

    def event(self) -> asyncio.Event:
        """Return an event that is set at each change, and was set at the beginning."""
        event = asyncio.Event()
        event.set()
        self._waiting.append(event)
        return event

    def close(self) -> None:
        """Watch no more."""
        if self._inotify is not None:
            self._aio.remove_reader(self._inotify.fd)
            self._inotify.close()
            self._inotify = None

    def _changed(self) -> None:
        if self._inotify is None:
            return
        changes = self._inotify.read()
        if any(name == self._log_name or mask & IN_Q_OVERFLOW for _, mask, name in changes):
            for event in self._waiting:
                event.set()


class _Served:
    """One channel: asks and hears at the same time, and tries again what failed."""

    def __init__(self, make: Maker, desk: Desk, stirring: Stirring) -> None:
        self._make = make
        self._desk = desk
        self._stirring = stirring
        self._stirred = stirring.event()
        self._asking = asyncio.Lock()
        """Held until a question that is there is noted so: its answer may be as quick."""
        self._looked = 0.0
        self._later: dict[str, tuple[float, str]] = {}
        """Requests that cannot be carried yet: until when, by the monotonic clock, and why."""
        self._unnoted: list[Callable[[], Awaitable[None]]] = []
        """What people were told and the records have not taken yet: it is not told again."""
        self._more = False
        """Whether the last look has left others for the next."""
        self._delays: dict[str, float] = {}
        self._said: dict[str, str | None] = {ASKING: None, HEARING: None}

    async def run(self) -> None:
        await self._again(ASKING, self._entered)

    async def _entered(self) -> None:
        async with self._make(self._desk) as channel, asyncio.TaskGroup() as both:
            both.create_task(self._again(ASKING, lambda: self._ask(channel)))
            both.create_task(self._again(HEARING, lambda: self._hear(channel)))

    async def _ask(self, channel: Channel) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._looked + SETTLE_SECONDS - time.monotonic()))
            self._looked = time.monotonic()
            self._stirred.clear()
            await self._note()
            work = await self._look(channel)
            await self._do(channel, work)
            due = min((due for due, _ in self._later.values()), default=None)
            if due is None:
                await self._well(ASKING)
            else:
                await self._failed(ASKING, next(why for _, why in self._later.values()))
                wait = max(0.0, due - time.monotonic())
                work = work._replace(wake=wait if work.wake is None else min(wait, work.wake))
            if not work.more:
                await self._rest(work.wake)

    async def _look(self, channel: Channel) -> Work:
        """Return what there is to do, without what cannot be carried yet: the others are next."""
        if not self._more:  # All the others have had their turn.
            now = time.monotonic()
            self._later = {one: it for one, it in self._later.items() if it[0] > now}
        gathers = isinstance(channel, Gathering)
        work = await self._desk.work(gathers=gathers, later=self._later.keys())
        if any(isinstance(one, Digest) for one in work.ask):
            await asyncio.sleep(GATHER_SECONDS)  # What dies with them is told with them.
            work = await self._desk.work(gathers=gathers, later=self._later.keys())
        self._more = work.more
        return work

    async def _do(self, channel: Channel, work: Work) -> None:
        """Do what there is to do. What cannot be shown as ended yet holds up no question."""
        fault = await self._settle(channel, work)
        for asked in work.ask:
            async with self._asking:
                await self._carry(channel, asked)
        if fault is not None:
            raise fault

    async def _settle(self, channel: Channel, work: Work) -> ChannelError | None:
        for one in work.settle:
            try:
                with contextlib.suppress(MessageRefusedError):  # It cannot be changed: it stays.
                    if isinstance(one, Settling):
                        await channel.settle(one.question, one.ending, one.receipt)
                    elif isinstance(channel, Gathering):
                        await channel.settle_all(one.digest, one.endings, one.receipt)
            except ChannelError as error:
                if error.after:  # It wants to be left alone.
                    raise
                return error
            settled = (one.question.id,) if isinstance(one, Settling) else one.digest.requests
            self._unnoted.append(partial(self._desk.settled, settled))
            await self._note()
        return None

    async def _carry(self, channel: Channel, asked: Question | Digest) -> None:
        requests = asked.requests if isinstance(asked, Digest) else (asked.id,)
        try:
            if isinstance(asked, Question):
                receipt = await channel.carry(asked)
            elif isinstance(channel, Gathering):
                await self._desk.bind(asked)
                receipt = await channel.carry_all(asked)
            else:
                return
        except NotYetError as error:
            due = time.monotonic() + error.after
            self._later |= dict.fromkeys(requests, (due, str(error)))
        except MessageRefusedError as error:
            log.warning("%s will not take a request: %s", channel.name, error)
            await self._desk.let_go(requests)
        else:
            self._unnoted.append(partial(self._desk.carried, requests, receipt))
            await self._note()

    async def _note(self) -> None:
        """Write down what was told: a full disk refuses that, and lets us read and tell again."""
        while self._unnoted:
            await self._unnoted[0]()
            del self._unnoted[0]

    async def _rest(self, wake: float | None) -> None:
        """Wait until the records change, or a request ends by itself."""
        patience = self._stirring.patience
        wait = patience if wake is None else min(patience, max(0.0, wake) + LATER)
        # Not wait_for: before Python 3.12 it can swallow the order to end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._stirred.wait()

    async def _hear(self, channel: Channel) -> None:
        async with contextlib.aclosing(channel.listen()) as heard_ones:
            async for heard in heard_ones:
                if heard is not None:
                    async with self._asking:
                        outcome = await self._desk.hear(heard)
                    if outcome.words:
                        try:
                            await channel.answer(heard, outcome)
                        except LazarusError as error:
                            log.warning("%s: an answer had no reply: %s", channel.name, error)
                await self._well(HEARING)

    async def _again(self, what: str, act: Callable[[], Awaitable[None]]) -> NoReturn:
        """Do it for ever: what fails is said once and tried again, later each time."""
        while True:
            after = 0.0
            try:
                await act()
                why = "it ended by itself"
            except ChannelError as error:
                why, after = str(error), error.after
            except LazarusError as error:
                why = str(error)
            except Exception as error:  # One channel's fault is not another's.
                log.debug("a fault in channel %s", self._desk.channel, exc_info=error)
                why = f"a fault of ours: {error!r}"
            await self._failed(what, one_line(why, 500))
            delay = self._delays.get(what, FIRST_SECONDS)
            self._delays[what] = min(2.0 * delay, LAST_SECONDS)
            await asyncio.sleep(max(after, delay * random.uniform(0.75, 1.25)))

    async def _well(self, what: str) -> None:
        self._delays.pop(what, None)
        if self._said[what] != "":
            if self._said[what]:
                log.info("%s: %s works again", self._desk.channel, what)
            await self._say(what, "")

    async def _failed(self, what: str, why: str) -> None:
        if why != self._said[what]:
            log.warning("%s: %s, trying again: %s", self._desk.channel, what, why)
            with contextlib.suppress(StoreError):
                await self._say(what, why)

    async def _say(self, what: str, why: str) -> None:
        """Note how it is, for ``lazarus channels``."""
        self._said[what] = why
        await self._desk.note({what: why, f"{what}_since": f"{time.time():.3f}"})
