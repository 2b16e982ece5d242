"""What people say on a channel, what they mean by it, and whether it was taken for that.

The shipped ``hearing`` and ``reply`` have to find out what is meant; the auditor here knows.
"""

from __future__ import annotations

import sqlite3
from random import Random
from typing import NamedTuple, NoReturn

from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.channels.base import Heard, Outcome
from lazarus_pit.core.model import Instant
from lazarus_pit.formats import reply
from lazarus_pit.formats.reply import SHORT_ID, Asked, Word
from lazarus_pit.records import approvals
from lazarus_pit.records.approvals import Answered, Reply, Request
from lazarus_pit.records.carried import Carried

_CLOSED: dict[str, Reply] = {
    "approved": "already decided",
    "denied": "already decided",
    "expired": "expired",
    "superseded": "superseded",
}


class Utterance(Struct, frozen=True, kw_only=True):
    """Something said."""

    heard: Heard
    meant: str
    """The request; empty: it may decide nothing."""
    approved: bool
    receipt: str = ""
    """Of the message that it answers or names, which the channel must have noted."""
    exact: bool = False
    """It can be taken for nothing but what is meant."""


class Speaker(NamedTuple):
    """Who speaks, when, and in which message they read what they are asked."""

    by: str
    at: Instant
    receipt: str
    alone: bool = True
    """Whether that message is about this request alone."""


class _Names:
    """Cells without names."""

    def asked(self, one: Request, how: Carried | None = None) -> Asked:
        receipt, at, closed = (how.receipt, how.at, how.closed) if how else ("", 0.0, None)
        return Asked(one.id, one.subject, "", receipt, at, closed)


NAMES = _Names()


def to_nothing(request: str, by: str, now: Instant, *, approved: bool) -> Utterance:
    """Press a button of a request that never was."""
    heard = Heard(Word(approved, None), by, now, request=request)
    return Utterance(heard=heard, meant=request, approved=approved, exact=True)


def meant(rng: Random, request: Request, speaker: Speaker, *, approved: bool) -> Utterance:
    """Say what one means, in one of the ways that there are."""
    agent = request.subject.partition("/")[2]
    by, now, receipt, alone = speaker
    verb = "revive" if approved else "Skip"
    ways = [
        Heard(Word(approved, None), by, now, request=request.id),
        Heard(reply.read(f"{verb} {request.id[:SHORT_ID]}"), by, now),
        Heard(reply.read(f"{verb}  {agent.upper()}"), by, now),
        Heard(reply.read(f"{verb} {agent}"), by, now, about=receipt),
        Heard(reply.read("+1"), by, now, about=receipt),
        Heard(reply.read("+1"), by, now),
    ]
    way = rng.randrange(len(ways) if approved else 4)
    exact = way not in (2, 5) and (alone or way != 4)
    return Utterance(
        heard=ways[way],
        meant=request.id,
        approved=approved,
        receipt=receipt if way in (1, 3, 4) else "",
        exact=exact,
    )


def mistaken(rng: Random, request: Request, speaker: Speaker, *, approved: bool) -> Utterance:
    """Say what sounds like a command and is none, or names nobody."""
    agent = request.subject.partition("/")[2]
    by, now, receipt, _ = speaker
    verb = "revive" if approved else "skip"
    text = rng.choice((f"don't {verb} {agent}", f"{verb} {agent}2", f"{verb}", f"+1 for {agent}"))
    heard = Heard(reply.read(text), by, now, about=rng.choice(("", receipt)))
    return Utterance(heard=heard, meant="", approved=approved)


def by_stranger(utterance: Utterance) -> Utterance:
    """Have somebody say the same who may not answer."""
    heard = utterance.heard._replace(by="mallory", forbidden="You may not answer here.")
    return replace(utterance, heard=heard, meant="", exact=False)


def audit(
    db: sqlite3.Connection, utterance: Utterance, outcome: Outcome, *, told: bool
) -> tuple[str, Answered | None]:
    """Return the promise that was broken, if one was, and what became of which request.

    ``told``: the channel has noted the message that is answered or named.
    """
    exact = utterance.exact and told
    if outcome.counts:
        decided = _latest(db)
        return _wrong(utterance, decided, exact=exact), Answered("decided", decided)
    if not exact:
        return "", None
    found = approvals.find(db, utterance.meant)
    if found is None:
        return "", Answered("unknown", None)
    if found.outcome == "open":
        return f"an answer that means an open request is not taken: {outcome.words}", None
    return "", Answered(_CLOSED[found.outcome], found)


def _wrong(utterance: Utterance, decided: Request, *, exact: bool) -> str:
    """Return what is wrong with a request having been decided by this; empty if nothing is."""
    heard = utterance.heard
    if not utterance.meant:
        return f"{heard.by}'s {heard.word} has decided something"
    if exact and decided.id != utterance.meant:
        return "an answer that means one request has decided another"
    if decided.asked > heard.at:
        return "an answer of before the question has decided it"
    return ""


def _latest(db: sqlite3.Connection) -> Request:
    """Return what was decided last."""
    query = "SELECT id FROM approvals WHERE decision NOTNULL ORDER BY decision DESC LIMIT 1"
    (id_,) = db.execute(query).fetchone()
    return approvals.find(db, id_) or _no_request(id_)


def _no_request(id_: str) -> NoReturn:
    raise LookupError(id_)
