"""One channel's view of the records: what to carry, what to settle, and what an answer means.

All of it is compared with what the records hold, so that a crash at any instant loses nothing.
SQLite's part is outside the loop's thread.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.store import read_manifest
from lazarus_pit.channels import hearing
from lazarus_pit.channels.base import Heard, Outcome, Receipt
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import reply
from lazarus_pit.formats.question import Ending, Question
from lazarus_pit.formats.reply import Asked
from lazarus_pit.records import approvals, carried
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.carried import Carried
from lazarus_pit.records.database import opened_records, transaction

AT_ONCE = 10
"""Questions between two looks: what was answered is shown before all are asked."""
FAR_GATEWAYS = "pool"


class Settling(NamedTuple):
    """A message of ours that must be changed, since its request has ended."""

    question: Question
    ending: Ending
    receipt: str


class Work(NamedTuple):
    """What a channel has to do."""

    ask: list[Question]
    """The oldest of those that wait to be asked, ``AT_ONCE`` at most."""
    more: bool
    """Whether there are others."""
    settle: list[Settling]
    wake: float | None
    """Seconds until the next request ends by itself; ``None``: none will."""


class Desk:
    """Whatever a channel needs of the records of one root."""

    def __init__(self, pit: PitPaths, channel: str, clock: Callable[[], float] = time.time) -> None:
        """Open nothing yet; ``clock`` tells Unix seconds."""
        self.channel = channel
        self.pit = pit
        self._clock = clock

    async def work(self) -> Work:
        """Return what is to be done now. Raises StoreError, as all of these do."""
        return await asyncio.to_thread(self._work)

    async def carried(self, request: str, receipt: Receipt) -> None:
        """Note that a question is there."""
        await asyncio.to_thread(self._delivered, request, receipt)

    async def let_go(self, request: str) -> None:
        """Note that the service will not take a question: it is not offered again."""
        receipt = Receipt("", self._clock())
        await asyncio.to_thread(self._delivered, request, receipt)

    async def ask_again(self) -> None:
        """Have what is open carried once more: the place where it was asked is no more."""
        await asyncio.to_thread(self._ask_again)

    async def settled(self, request: str) -> None:
        """Note that how a request ended is shown."""
        await asyncio.to_thread(self._settled, request)

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

    def _work(self) -> Work:
        if not self.pit.records.exists():
            return Work([], more=False, settle=[], wake=None)
        now = self._clock()
        with opened_records(self.pit.records) as db:
            approvals.expire(db, now)
            names = _Names(self.pit)
            still = approvals.pending(db, now)
            new = carried.uncarried(db, self.channel, now)
            ended = carried.unsettled(db, self.channel)
            everybody = [names.asked(one) for one in still]
            return Work(
                [names.question(one, everybody) for one in new[:AT_ONCE]],
                more=len(new) > AT_ONCE,
                settle=[_settling(names, one) for one in ended],
                wake=min((one.expires - now for one in still), default=None),
            )

    def _delivered(self, request: str, receipt: Receipt) -> None:
        with opened_records(self.pit.records) as db:
            approvals.delivered(db, request, self.channel, receipt.id, now=receipt.at)

    def _ask_again(self) -> None:
        with opened_records(self.pit.records) as db:
            carried.forget_open(db, self.channel)

    def _settled(self, request: str) -> None:
        with opened_records(self.pit.records) as db:
            carried.settle(db, request, self.channel, self._clock())

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


def _settling(names: _Names, one: Carried) -> Settling:
    ending = hearing.ending_of(one.request)
    return Settling(names.question(one.request, []), ending, one.receipt)


def _number(found: Any) -> float | None:
    return float(found) if isinstance(found, int | float) else None
