"""One channel's view of the records: what to carry, what to settle, and what an answer means.

All of it is compared with what the records hold, so that a crash at any instant loses nothing.
SQLite's part is outside the loop's thread.
"""

from __future__ import annotations

import asyncio
import secrets
import sqlite3
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NamedTuple

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.store import read_manifest
from lazarus_pit.channels import hearing
from lazarus_pit.channels.base import Heard, Outcome, Receipt
from lazarus_pit.channels.gathering import Heap, gathered
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import reply
from lazarus_pit.formats.digest import NAMED, Digest
from lazarus_pit.formats.question import Ending, Question
from lazarus_pit.formats.reply import Asked
from lazarus_pit.formats.text import one_line
from lazarus_pit.records import approvals, carried, digests
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.carried import Carried
from lazarus_pit.records.database import opened_records, transaction

AT_ONCE = 10
"""Questions between two looks: what was answered is shown before all are asked."""
FAR_GATEWAYS = "pool"
_SHOWN = 40
"""Characters of a name among many."""


class Settling(NamedTuple):
    """A message of ours that must be changed, since its request has ended."""

    question: Question
    ending: Ending
    receipt: str


class SettlingAll(NamedTuple):
    """A message about many that must be changed, since all of its requests have ended."""

    digest: Digest
    endings: list[Ending]
    receipt: str


class Work(NamedTuple):
    """What a channel has to do."""

    ask: list[Question | Digest]
    """The oldest of those that wait to be asked, ``AT_ONCE`` at most."""
    more: bool
    """Whether there are others."""
    settle: list[Settling | SettlingAll]
    wake: float | None
    """Seconds until the next request ends by itself; ``None``: none will."""


class Desk:
    """Whatever a channel needs of the records of one root."""

    def __init__(self, pit: PitPaths, channel: str, clock: Callable[[], float] = time.time) -> None:
        """Open nothing yet; ``clock`` tells Unix seconds."""
        self.channel = channel
        self.pit = pit
        self._clock = clock

    async def work(self, *, gathers: bool = False, later: Collection[str] = ()) -> Work:
        """Return what is to be done now. Raises StoreError, as all of these do.

        ``gathers``: many are asked about in one message. ``later`` are requests that are left
        out, since they cannot be carried yet.
        """
        return await asyncio.to_thread(self._work, gathers, later)

    async def bind(self, digest: Digest) -> None:
        """Bind requests to the message about them, before it is sent."""
        await asyncio.to_thread(self._bind, digest)

    async def carried(self, requests: Iterable[str], receipt: Receipt) -> None:
        """Note that a question is there, or one about many."""
        await asyncio.to_thread(self._delivered, requests, receipt)

    async def let_go(self, requests: Iterable[str]) -> None:
        """Note that the service will not take a question: it is not offered again."""
        receipt = Receipt("", self._clock())
        await asyncio.to_thread(self._delivered, requests, receipt)

    async def ask_again(self) -> None:
        """Have what is open carried once more: the place where it was asked is no more."""
        await asyncio.to_thread(self._ask_again)

    async def settled(self, requests: Iterable[str]) -> None:
        """Note that how requests ended is shown."""
        await asyncio.to_thread(self._settled, requests)

    async def hear(self, heard: Heard) -> Outcome:
        """Write down what was heard, and the answer if it is one, in one transaction.

        Then whoever waits for answers is woken.
        """
        outcome = await asyncio.to_thread(self._hear, heard)
        if outcome.counts:
            approvals.ring(self.pit.bell)
        return outcome

    async def recall(self) -> dict[str, str]:
        """Return what the channel has noted."""
        return await asyncio.to_thread(self._recall)

    async def note(self, notes: Mapping[str, str]) -> None:
        """Note something, over what was noted under the same keys."""
        await asyncio.to_thread(self._note, notes)

    # ------------------------------------------------------------ in a thread

    def _work(self, gathers: bool, later: Collection[str]) -> Work:  # noqa: FBT001
        if not self.pit.records.exists():
            return Work([], more=False, settle=[], wake=None)
        now = self._clock()
        with opened_records(self.pit.records) as db:
            approvals.expire(db, now)
            names = _Names(self.pit)
            still = approvals.pending(db, now)
            waiting = carried.uncarried(db, self.channel, now)
            bound = digests.of_open(db, self.channel) if gathers else {}
            unasked = [one for one in waiting if one.id not in later]
            new = gathered(unasked, bound) if gathers else unasked
            everybody = [names.asked(one) for one in still]
            return Work(
                [names.asking(one, everybody) for one in new[:AT_ONCE]],
                more=len(new) > AT_ONCE,
                settle=_settlings(db, self.channel, names),
                wake=min((one.expires - now for one in still), default=None),
            )

    def _bind(self, digest: Digest) -> None:
        with opened_records(self.pit.records) as db, transaction(db):
            digests.bind(db, digest.id, self.channel, digest.requests)

    def _delivered(self, requests: Iterable[str], receipt: Receipt) -> None:
        with opened_records(self.pit.records) as db, transaction(db):
            for one in requests:
                approvals.delivered(db, one, self.channel, receipt.id, now=receipt.at)

    def _ask_again(self) -> None:
        with opened_records(self.pit.records) as db:
            carried.forget_open(db, self.channel)

    def _settled(self, requests: Iterable[str]) -> None:
        with opened_records(self.pit.records) as db, transaction(db):
            for one in requests:
                carried.settle(db, one, self.channel, self._clock())

    def _recall(self) -> dict[str, str]:
        if not self.pit.records.exists():
            return {}
        with opened_records(self.pit.records) as db:
            return carried.recall(db, self.channel)

    def _note(self, notes: Mapping[str, str]) -> None:
        with opened_records(self.pit.records) as db, transaction(db):
            carried.note(db, self.channel, notes)

    def _hear(self, heard: Heard) -> Outcome:
        with opened_records(self.pit.records) as db, transaction(db):
            return hearing.hear(db, self.channel, heard, _Names(self.pit), self._clock())


class _Names:
    """Cells by what people call them; each manifest is read once."""

    def __init__(self, pit: PitPaths) -> None:
        self._pit = pit
        self._cells: dict[str, tuple[str, str]] = {}

    def asked(self, one: Request, how: Carried | None = None) -> Asked:
        place = one.subject.partition("/")[0]
        cell, _ = self._cell(place)
        receipt, at, closed = (how.receipt, how.at, how.closed) if how else ("", 0.0, None)
        return Asked(one.id, one.subject, cell, receipt, at, closed, one.is_question)

    def question(self, one: Request, others: list[Asked]) -> Question:
        mine = self.asked(one)
        place = one.subject.partition("/")[0]
        cell, mission = self._cell(place)
        facts = one.facts
        probes = facts.get("probes")
        return Question(
            id=one.id,
            agent=mine.agent,
            place=f"cell {cell} {place}"
            if place != FAR_GATEWAYS
            else "a gateway outside the cells",
            mission=str(facts.get("mission") or mission),
            died=_number(facts.get("died")),
            attempts=int(_number(facts.get("attempts")) or 0),
            probes={str(k): str(v) for k, v in probes.items()} if isinstance(probes, dict) else {},
            expires=one.expires,
            answer_to=reply.name_for(mine, others),
            why=str(facts.get("why") or ""),
            held=_number(facts.get("held")),
            asks=str(facts.get("question") or "?") if one.is_question else "",
        )

    def asking(self, one: Request | Heap, others: list[Asked]) -> Question | Digest:
        """Return what is asked about one, or about many."""
        if isinstance(one, Request):
            return self.question(one, others)
        return self.digest(one.digest or secrets.token_hex(8), one.requests, others)

    def digest(self, id_: str, requests: list[Request], others: list[Asked]) -> Digest:
        """Return the one message about many."""
        missions = {self._mission(one) for one in requests}
        names = (_called(self.asked(one), others) for one in requests[:NAMED])
        return Digest(
            id=id_,
            requests=tuple(one.id for one in requests),
            names=tuple(names),
            why=str(requests[0].facts.get("why") or ""),
            mission=missions.pop() if len(missions) == 1 else "",
            expires=min(one.expires for one in requests),
        )

    def _mission(self, one: Request) -> str:
        _, mission = self._cell(one.subject.partition("/")[0])
        return str(one.facts.get("mission") or mission)

    def _cell(self, place: str) -> tuple[str, str]:
        """Return a cell's name and mission; a cell that cannot be read has neither."""
        if place == FAR_GATEWAYS:
            return "", ""
        if place not in self._cells:
            try:
                found = read_manifest(self._pit.cell(place))
                self._cells[place] = (found.name or "", found.mission)
            except (FormatError, StoreError):
                self._cells[place] = ("", "")
        return self._cells[place]


def _called(one: Asked, others: list[Asked]) -> str:
    """Return how one of many is answered; a name that cannot be typed is shown beside that."""
    name = reply.name_for(one, others)
    return name if name.endswith(one.agent) else f"{one_line(one.agent, _SHOWN)} ({name})"


def _settlings(db: sqlite3.Connection, channel: str, names: _Names) -> list[Settling | SettlingAll]:
    """Return what is over; a message about many changes once none of them is open any more."""
    found: list[Settling | SettlingAll] = []
    heaps: dict[tuple[str, str], list[Carried]] = {}
    open_still = set(digests.of_open(db, channel).values())
    for one in carried.unsettled(db, channel):
        digest = digests.of(db, channel, one.request.id)
        if not digest:
            found.append(_settling(names, one))
        elif digest not in open_still:
            heaps.setdefault((digest, one.receipt), []).append(one)
    for (digest, receipt), heap in heaps.items():
        requests = [one.request for one in heap]
        endings = [hearing.ending_of(one) for one in requests]
        found.append(SettlingAll(names.digest(digest, requests, []), endings, receipt))
    return found


def _settling(names: _Names, one: Carried) -> Settling:
    ending = hearing.ending_of(one.request)
    return Settling(names.question(one.request, []), ending, one.receipt)


def _number(found: Any) -> float | None:
    return float(found) if isinstance(found, int | float) else None
