"""The post: watches the outboxes and lets the router work, a round at a time, in its own thread.

It has an inotify queue of its own, and each watch ends with its first event until the outbox has
been looked at: a flood of mail is one event and cannot blind the eyes that watch beats. Events of
the same sort are told at once and then at most once a minute, with how many there were.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from lazarus_pit.cells.checkpoint.save import Saved
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Fact, Mailed, Told
from lazarus_pit.core.model import CellStatus, Key, Role
from lazarus_pit.daemon.clerk import Clerk
from lazarus_pit.daemon.questions import (
    COMMITTED,
    Due,
    Questions,
    answered_event,
    asked_event,
)
from lazarus_pit.daemon.roster import Roster, Stamp
from lazarus_pit.daemon.router import Desk, Outcome, Router
from lazarus_pit.daemon.watch import Kind, Watch
from lazarus_pit.records import questions
from lazarus_pit.records.approvals import Request

T = TypeVar("T")
log = logging.getLogger(__name__)

DESKS = 8
"""Outboxes of one round: all its mail is synced before any of it is seen."""
SWEPT = 100
"""Inboxes that are looked through for dead letters in one round."""
SWEEP_EVERY = 15.0
"""Seconds between two looks for dead letters."""
TELL_EVERY = 60.0
"""Seconds between two events of the same sort about the same member."""


@dataclass(slots=True)
class _Tally:
    """Events of one sort about one member that were not told one by one."""

    told_at: float = 0.0
    count: int = 0
    why: str = ""


class Post:
    """The loop's side of the bus; nothing here waits for a disk."""

    def __init__(  # noqa: PLR0913, PLR0917 - one for each thing that mail concerns
        self,
        loop: asyncio.AbstractEventLoop,
        roster: Roster,
        agents: Mapping[Key, Agent],
        tell: Callable[[Told], None],
        offer: Callable[[Key, Fact], None],
        take: Callable[[CellPaths, str], Awaitable[Saved]],
    ) -> None:
        """Serve the members in ``roster``; ``agents`` knows which life each of them lives.

        ``offer`` tells the loop who is to be woken by mail; ``take`` takes a checkpoint of a cell,
        with a note, for a coordinator that asks for one.
        """
        self._loop = loop
        self._roster = roster
        self._agents = agents
        self._tell = tell
        self._watch = Watch(loop, self._seen, self._blinded, batch=0.0)
        self._offer = offer
        self._take = take
        self._saves: set[asyncio.Task[None]] = set()
        pit = PitPaths(roster.root)
        self._questions = Questions(pit, agents)
        asked = partial(loop.call_soon_threadsafe, self.ask)
        self.clerk = Clerk(pit, agents, self._save, asked)
        self._router = Router(self.clerk.answer)
        self._thread = ThreadPoolExecutor(1, "bus")
        self._ready: dict[Key, None] = {}
        self._unswept: list[Key] = []
        self._sweep_at = 0.0
        self._stamps: dict[str, Stamp] = {}
        """By which manifests the outboxes were last looked into: a restore changes them."""
        self._busy = False
        self._closed = False
        self._tallies: dict[tuple[str, Key, str], _Tally] = {}
        self.heard: Callable[[str], None] = lambda _: None
        """Told the cell of a member whom mail has reached."""

    def attend(self, cells: Iterable[str]) -> None:
        """Look into the outboxes of these cells, and from then on whenever one changes."""
        for uuid in cells:
            keys = self._keys(uuid)
            stamp = self._roster.cells[uuid].stamp if keys else None
            if self._stamps.get(uuid) == stamp:  # What is watched has said nothing since.
                keys = [key for key in keys if not self._watch.is_watched(Kind.OUTBOX, key)]
            elif stamp is not None:
                self._stamps[uuid] = stamp
            self._ready.update(dict.fromkeys(keys))
        self._go()

    def forget(self, uuid: str) -> None:
        """Remember nothing of a cell that is gone; the bus's own thread does, after its round."""
        self._stamps.pop(uuid, None)
        for forget in (self._router.forget, self.clerk.forget):
            self._thread.submit(forget, uuid)

    def sweep(self) -> None:
        """Look for dead letters now and then, and tell what has been counted for a minute."""
        if not self._unswept and time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEEP_EVERY
            self._unswept = [key for uuid in self._roster.cells for key in self._keys(uuid)]
        for (event, key, sort), tally in list(self._tallies.items()):
            if time.monotonic() - tally.told_at >= TELL_EVERY:
                if not tally.count:
                    del self._tallies[event, key, sort]
                    continue
                self._say(event, key, sort, tally)
        self._questions.due = self._questions.due or self._questions.open
        self._go()

    def ask(self) -> None:
        """Look what has become of questions to people: one was asked, or the bell has rung."""
        self._questions.due = True
        self._go()

    def close(self) -> None:
        """Finish the round that is under way and look no more."""
        self._closed = True
        for task in self._saves:
            task.cancel()
        self._thread.shutdown(cancel_futures=True)
        self._router.close()
        self._watch.close()

    def _keys(self, uuid: str) -> list[Key]:
        cell = self._roster.cells.get(uuid)
        if cell is None or cell.manifest.status not in (CellStatus.ACTIVE, CellStatus.FROZEN):
            return []
        return [f"{uuid}/{name}" for name in cell.members]

    # ------------------------------------------------------------ seeing

    def _seen(self, _kind: Kind, key: str, _name: bytes) -> None:
        self._ready[key] = None
        self._go()

    def _blinded(self) -> None:
        self._stamps.clear()
        self.attend(list(self._roster.cells))

    # ------------------------------------------------------------ rounds

    def _go(self) -> None:
        """Begin a round if there is something to do and none is under way."""
        if self._busy or self._closed:
            return
        if self._questions.due:
            self._run(self._questions.begin(), self._looked)
            return
        keys = list(self._ready)[:DESKS]
        for key in keys:
            del self._ready[key]
        if desks := self._desks(keys):
            for desk in desks:  # Watched before it is looked into: nothing falls between.
                self._watch.add(Kind.OUTBOX, desk.key, str(desk.paths.outbox(desk.sender)))
            self._begin(self._router.route, desks)
        elif keys:
            self._loop.call_soon(self._go)
        elif self._unswept:
            keys, self._unswept = self._unswept[:SWEPT], self._unswept[SWEPT:]
            self._begin(self._router.sweep, self._desks(keys))

    def _begin(self, work: Callable[[list[Desk]], list[Outcome]], desks: list[Desk]) -> None:
        self._run(partial(work, desks), partial(self._routed, desks))

    def _run(self, work: Callable[[], T], then: Callable[[T], None]) -> None:
        """Do something in the bus's thread, and then the rest of it here."""

        def ended(done: asyncio.Future[T]) -> None:
            self._busy = False
            if done.cancelled() or self._closed:
                return
            if (fault := done.exception()) is not None:
                # No fault of the bus may end supervision; the next sweep of manifests tries again.
                log.error("a round of the bus failed", exc_info=fault)
                self._stamps.clear()
                return
            then(done.result())
            self._go()

        self._busy = True
        self._loop.run_in_executor(self._thread, work).add_done_callback(ended)

    def _routed(self, desks: list[Desk], outcomes: list[Outcome]) -> None:
        for desk, outcome in zip(desks, outcomes, strict=True):
            self._report(desk.key, outcome)
            if outcome.again is not None and outcome.again > 0:
                self._loop.call_later(outcome.again, self._seen, Kind.OUTBOX, desk.key, b"")
            elif outcome.again is not None:
                self._ready[desk.key] = None

    # ------------------------------------------------------------ questions to people

    def _looked(self, due: Due) -> None:
        """Tell what was asked, and have those told whose questions are over."""
        self._questions.looked(due)
        for asked in due.new:
            self._told(asked, questions.ASKED)
        desks = {desk.key: desk for desk in self._desks([one.subject for one in due.over])}
        pairs = [(desks[one.subject], one) for one in due.over if one.subject in desks]
        if pairs:
            self._run(partial(self._questions.deliver, self._router, pairs), self._answered)

    def _answered(self, done: list[tuple[Request, set[str]]]) -> None:
        for asked, reached in done:
            self._wake(asked.subject, reached)
            self._told(asked, questions.ANSWERED)

    def _told(self, asked: Request, what: int) -> None:
        """Tell it, and look again once it is certain to stand in the journal."""
        means = asked_event if what == questions.ASKED else answered_event
        self._tell(means(asked))
        self._questions.told(asked, what)
        self._loop.call_later(2.0 * COMMITTED, self.ask)

    def _desks(self, keys: list[Key]) -> list[Desk]:
        """Everything that the router must know of these senders, as it is now."""
        known = {uuid: self._neighbours(uuid) for uuid in {key.partition("/")[0] for key in keys}}
        return [
            Desk(key, self._roster.cells[uuid].paths, name, *known[uuid])
            for key in keys
            for uuid, _, name in (key.partition("/"),)
            if name in known[uuid][0]
        ]

    def _neighbours(self, uuid: str) -> tuple[dict[str, Role], dict[str, int]]:
        """Roles of a cell's members, and the newest life of each; nobody where mail rests."""
        if not self._keys(uuid):
            return {}, {}
        members = self._roster.cells[uuid].members
        lives = ((name, self._agents.get(f"{uuid}/{name}")) for name in members)
        roles = {name: member.role for name, member in members.items()}
        return roles, {name: agent.generation for name, agent in lives if agent is not None}

    # ------------------------------------------------------------ checkpoints that are asked for

    def _save(self, uuid: str, note: str, told: Callable[[str], None]) -> None:
        """Have a checkpoint taken; called in the bus's thread."""

        def begin() -> None:
            if self._closed:
                return  # The request still lies in its outbox, for the next daemon.
            task = self._loop.create_task(self._saved(uuid, note, told))
            self._saves.add(task)
            task.add_done_callback(self._saves.discard)

        self._loop.call_soon_threadsafe(begin)

    async def _saved(self, uuid: str, note: str, told: Callable[[str], None]) -> None:
        try:
            saved = await self._take(self._roster.cells[uuid].paths, note)
        except Exception as error:  # noqa: BLE001 - whatever it was, it is the answer
            told(f"no checkpoint was taken: {error}")
        else:
            told(f"checkpoint {saved.name} was taken")

    # ------------------------------------------------------------ telling

    def _report(self, key: Key, outcome: Outcome) -> None:
        self._wake(key, outcome.reached)
        if outcome.delivered:
            self._count("messages_delivered", key, "", "", outcome.delivered)
            self.heard(key.partition("/")[0])
        for sort, why in outcome.refused:
            self._count("message_refused", key, sort, why)
        for sort, why in outcome.dead:
            self._count("message_dead_lettered", key, sort, why)

    def _wake(self, key: Key, names: Iterable[str]) -> None:
        """Wake those of a cell whom mail has reached, if they are to be woken by it."""
        for name in names:
            reader = f"{key.partition('/')[0]}/{name}"
            agent = self._agents.get(reader)
            if agent is not None and agent.rules.wake_on_mail:
                self._offer(reader, Mailed())

    def _count(self, event: str, key: Key, sort: str, why: str, times: int = 1) -> None:
        tally = self._tallies.setdefault((event, key, sort), _Tally(-TELL_EVERY))
        tally.count += times
        tally.why = why
        if time.monotonic() - tally.told_at >= TELL_EVERY:
            self._say(event, key, sort, tally)

    def _say(self, event: str, key: Key, sort: str, tally: _Tally) -> None:
        data: dict[str, object] = {"times": tally.count}
        data |= {"reason": sort, "why": tally.why} if sort else {}
        tally.told_at, tally.count = time.monotonic(), 0
        self._tell(MEANS[event](key, data))


MEANS: Mapping[str, Callable[[Key, dict[str, object]], Told]] = {
    "messages_delivered": lambda key, data: Told(event="messages_delivered", key=key, data=data),
    "message_refused": lambda key, data: Told(event="message_refused", key=key, data=data),
    "message_dead_lettered": lambda key, data: Told(
        event="message_dead_lettered", key=key, data=data
    ),
}
"""How each of the bus's events is told."""
