"""Channels: what carries a request to people and their answer back. Each is down now and then.

They are programs beside the daemon, and know the records alone. A message that is on its way while
its channel is down arrives when that is up again, which may be too late.
"""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Protocol

from lazarus_pit.channels import hearing
from lazarus_pit.channels.base import Heard
from lazarus_pit.channels.gathering import Heap, gathered
from lazarus_pit.core.model import Instant, Seconds
from lazarus_pit.errors import StoreError
from lazarus_pit.formats import reply
from lazarus_pit.formats.reply import Word
from lazarus_pit.records import approvals, carried, digests
from lazarus_pit.records.approvals import Answered, Request
from lazarus_pit.records.database import transaction
from lazarus_pit.sim import heaps, words
from lazarus_pit.sim.asking import Records
from lazarus_pit.sim.machine import Machine
from lazarus_pit.sim.words import Utterance

NAMES = ("phone", "forge")
GATHERS = "phone"
"""The one that tells many in one message; two are many here, or it would seldom be seen."""
BY_HAND = "cli"
"""The way that is never down: a command at the machine itself."""
PATIENCE: Seconds = 7.0
"""After so long a channel, or a person at a terminal, tries what was refused once more."""


class Public(Protocol):
    """Those who read and answer."""

    def hear(self, name: str, request: Request) -> None:
        """Read a request on a channel."""

    def hear_all(self, name: str, digest: str) -> None:
        """Read a digest on a channel, each request of which was read."""

    def judge(self, answered: Answered, *, approved: bool) -> None:
        """See what became of an answer."""

    def ring(self) -> None:
        """Ring for the daemon."""


class Channels:
    """The two channels of a world, and the command line."""

    def __init__(self, world: Machine, records: Records, people: Public) -> None:
        """Bring requests to people, and their answers to the records."""
        self._world = world
        self._records = records
        self._people = people
        self._heaps = heaps.Heaps()
        self._up: dict[str, Instant] = dict.fromkeys((*NAMES, BY_HAND), 0.0)
        self._looking = False
        self._sent = 0
        self._read: dict[tuple[str, str], str] = {}
        """The message in which people last read each request, on each channel."""

    def begin(self) -> None:
        """Fail now and then from here on."""
        for name in NAMES:
            self._plan(name)

    def _plan(self, name: str) -> None:
        hourly = self._world.rates["channel_down"]
        if hourly > 0.0:
            delay = self._world.rng.expovariate(hourly) * 3600.0
            self._world.after(delay, partial(self._fail, name))

    def _fail(self, name: str) -> None:
        if self._world.rates["channel_down"] > 0.0:
            self._world.count("channel down")
            self._up[name] = self._world.time + self._world.rng.choice((5.0, 60.0, 900.0, 7200.0))
            self._plan(name)

    def heal(self) -> None:
        """Calm: every channel is up."""
        self._up = dict.fromkeys(self._up, 0.0)

    # ------------------------------------------------------------ requests

    def look(self, delay: Seconds | None = None) -> None:
        """Look soon for requests that a channel has not carried yet."""
        if not self._looking:
            self._looking = True
            rng = self._world.rng
            self._world.after(rng.uniform(0.0, 3.0) if delay is None else delay, self._look)

    def _look(self) -> None:
        self._looking = False
        try:
            db = self._records.opened()
        except StoreError:
            self.look(PATIENCE)
            return
        for name in NAMES:
            waiting = carried.uncarried(db, name, self._world.time)
            if waiting and self._world.time < self._up[name]:
                self.look(PATIENCE)
                continue
            bound = digests.of_open(db, name)
            told = gathered(waiting, bound, few=1) if name == GATHERS else waiting
            if wrong := heaps.lost(waiting, told):
                self._world.fail(wrong)
            for one in told:
                if self._world.time < self._up[name]:
                    self.look(PATIENCE)
                    break
                self._tell(db, name, one)

    def _tell(self, db: sqlite3.Connection, name: str, one: Request | Heap) -> None:
        """Tell people one request, or many in one message, and note that."""
        told = one.requests if isinstance(one, Heap) else [one]
        digest = one.digest if isinstance(one, Heap) else ""
        if isinstance(one, Heap):
            digest = digest or f"{self._world.rng.getrandbits(64):016x}"
            with transaction(db):
                digests.bind(db, digest, name, [each.id for each in told])
            if wrong := self._heaps.told(digest, told):
                self._world.fail(wrong)
            self._world.count("requests told together")
        self._sent += 1
        receipt = f"{name}-{self._sent}"
        for request in told:
            self._read[name, request.id] = receipt
            self._people.hear(name, request)
        if digest:
            self._people.hear_all(name, digest)
        if self._chance("asks_for_peace"):
            wait = self._world.rng.choice((5.0, 60.0, 300.0))
            self._up[name] = max(self._up[name], self._world.time + wait)
        if self._chance("crash_point"):
            self.look(PATIENCE)  # It died before it could note that.
            return
        with transaction(db):
            for request in told:
                approvals.delivered(db, request.id, name, receipt, now=self._world.time)

    # ------------------------------------------------------------ answers

    def answer(self, name: str, request: str, by: str, *, approved: bool) -> None:
        """Bring an answer to the records, by a command or in words on a channel.

        Now and then a stranger has heard it and says the same.
        """
        if name == BY_HAND:
            self._command(request, by, approved=approved)
            return
        utterance = self._words(name, request, by, approved=approved)
        if self._world.rng.random() < self._world.rates["strangers"]:
            self._bring(name, words.by_stranger(utterance))
        self._bring(name, utterance)

    def answer_all(self, name: str, digest: str, by: str, *, approved: bool) -> None:
        """Bring one answer to all of a digest, by its button or its name."""
        way = Word(approved, None), digest
        if self._chance("mistakes"):
            way = Word(approved, digest[: reply.SHORT_ID], question=False), ""
        heard = Heard(way[0], by, self._world.time, digest=way[1])
        if self._chance("strangers"):
            stranger = heard._replace(by="mallory", forbidden="You may not answer here.")
            self._bring_all(name, digest, stranger)
        self._bring_all(name, digest, heard)

    def _bring_all(self, name: str, digest: str, heard: Heard) -> None:
        world, again = self._world, partial(self._bring_all, name, digest, heard)
        if world.time < self._up[name]:
            world.after(self._up[name] - world.time + PATIENCE, again)
            return
        try:
            db = self._records.opened()
        except StoreError:
            world.after(PATIENCE, again)
            return
        before = heaps.decisions(db)
        with transaction(db):
            hearing.hear(db, name, heard, words.NAMES, world.time)
        decided = approvals.select(db, "decision > ?", (before,))
        word = heard.word if heard.word and not heard.forbidden else None
        if wrong := self._heaps.wrong(db, digest, word, decided):
            world.fail(wrong)
        for one in decided:
            self._answered(heard.word is not None and heard.word.approved, Answered("decided", one))
        if not decided:
            world.count("words that decide nothing")

    def _words(self, name: str, request: str, by: str, *, approved: bool) -> Utterance:
        found = self._records.found(request)
        if found is None:
            return words.to_nothing(request, by, self._world.time, approved=approved)
        message = self._read.get((name, request), "another message")
        alone = name != GATHERS or not self._heaps.holds(request)
        speaker = words.Speaker(by, self._world.time, message, alone)
        draw = words.mistaken if self._chance("mistakes") else words.meant
        return draw(self._world.rng, found, speaker, approved=approved)

    def _chance(self, rate: str) -> bool:
        return self._world.rng.random() < self._world.rates[rate]

    def _command(self, request: str, by: str, *, approved: bool) -> None:
        try:
            db = self._records.opened()
        except StoreError:
            again = partial(self._command, request, by, approved=approved)
            self._world.after(PATIENCE, again)
            return
        now = self._world.time
        answered = approvals.decide(db, request, approved=approved, by=by, via=BY_HAND, now=now)
        self._answered(approved, answered)

    def _bring(self, name: str, utterance: Utterance) -> None:
        """Hear an utterance as soon as the channel is up and the records accept it."""
        world, again = self._world, partial(self._bring, name, utterance)
        if world.time < self._up[name]:
            world.after(self._up[name] - world.time + PATIENCE, again)
            return
        try:
            db = self._records.opened()
        except StoreError:
            world.after(PATIENCE, again)
            return
        told = utterance.receipt in ("", approvals.receipts(db, utterance.meant).get(name))
        with transaction(db):
            outcome = hearing.hear(db, name, utterance.heard, words.NAMES, world.time)
        wrong, answered = words.audit(db, utterance, outcome, told=told)
        if wrong:
            world.fail(wrong)
        if answered is not None:
            self._answered(utterance.approved, answered)
        else:
            world.count("words that decide nothing")

    def _answered(self, approved: bool, answered: Answered) -> None:  # noqa: FBT001
        self._world.count(f"answer {answered.reply}")
        self._people.judge(answered, approved=approved)
        if not self._chance("bell_lost"):
            self._people.ring()
