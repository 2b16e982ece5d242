"""What somebody said, held against the records: which request it answers, and what came of it.

A function of the records, who spoke and when: the desk of a channel runs it, and the simulator
drives the very same with people who err.
"""

from __future__ import annotations

import sqlite3
from typing import Protocol

from lazarus_pit.channels.base import Heard, Outcome
from lazarus_pit.formats import digest, question, reply
from lazarus_pit.formats.question import Ending
from lazarus_pit.formats.reply import Asked
from lazarus_pit.records import approvals, carried, digests
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.carried import Carried

_NOTHING = Outcome("", counts=False)
_TWO = "That name means one of them and a digest; answer in another way. Nothing was changed."
_UNKNOWN = "That request is not known here. Nothing was changed."


class Names(Protocol):
    """How people call those they are asked about."""

    def asked(self, one: Request, how: Carried | None = None) -> Asked:
        """Return a request as it was asked in one place."""


def hear(db: sqlite3.Connection, channel: str, heard: Heard, names: Names, now: float) -> Outcome:
    """Write down what was heard on a channel, and the answer if it is one.

    A part of the caller's transaction. ``now`` is Unix seconds.
    """
    carried.note(db, channel, heard.notes)
    if heard.word is None:
        return _NOTHING
    if heard.forbidden:
        return Outcome(heard.forbidden, counts=False)
    approvals.expire(db, now)
    if heard.digest:
        return _all_of(db, channel, heard.digest, heard, now)
    if heard.request:
        meant = _pressed(db, heard.request, names)
    else:
        asked = [names.asked(one.request, one) for one in carried.carried(db, channel)]
        meant = reply.tie(heard.word, asked, at=heard.at, about=heard.about, proves=heard.proves)
        many = digests.named(db, channel, heard.word.whom or "", heard.about)
        if many and heard.word.question is not True:
            if not isinstance(meant, str):
                return Outcome(_TWO, counts=False)
            return _all_of(db, channel, many, heard, now)
    if isinstance(meant, str):
        return Outcome(meant, counts=False)
    approved = heard.word.approved
    answered = approvals.decide_within(
        db,
        meant.id,
        approved=approved,
        by=heard.by,
        via=channel,
        now=now,
        comment=heard.word.comment,
    )
    asks = meant.question
    if answered.reply == "decided":
        return Outcome(question.taken(meant.agent, approved=approved, asks=asks), counts=True)
    if answered.request is None:
        return Outcome(_UNKNOWN, counts=False)
    late = question.late(meant.agent, ending_of(answered.request), asks=asks)
    return Outcome(late, counts=False)


def _all_of(db: sqlite3.Connection, channel: str, which: str, heard: Heard, now: float) -> Outcome:
    """Answer what is still open of a digest; each of its requests is decided by itself."""
    if heard.word is None:
        return _NOTHING
    approved, told = heard.word.approved, digests.members(db, channel, which)
    if not told:
        return Outcome(_UNKNOWN, counts=False)
    still = [one.id for one in told if one.outcome == "open"]
    for one in still:
        approvals.decide_within(db, one, approved=approved, by=heard.by, via=channel, now=now)
    if not still:
        return Outcome(digest.all_late(), counts=False)
    words = digest.all_taken(len(still), len(told) - len(still), approved=approved)
    return Outcome(words, counts=True)


def ending_of(one: Request) -> Ending:
    """Return how a request ended."""
    return Ending(one.outcome, one.by, one.via, one.comment)


def _pressed(db: sqlite3.Connection, request: str, names: Names) -> Asked | str:
    """Return the request of a button: its id is random, so whoever has it was shown it."""
    found = approvals.find(db, request)
    return names.asked(found) if found is not None else _UNKNOWN
