"""Questions of agents to people: requests of another sort, beside those about deaths.

A question belongs to the mail in which it was asked: heard again after a crash, it is the same
one. It outlives the death of whoever asked, starts nothing, and ends with its answer, with its
time, or when its asker leaves. Times are Unix seconds.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Collection

from lazarus_pit.core.model import FleetRules
from lazarus_pit.errors import RefusedError
from lazarus_pit.formats.instant import span
from lazarus_pit.permission import FLOODED
from lazarus_pit.records import approvals
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.database import transaction

USUAL = FleetRules()
OPEN_MAX = 3
"""Questions of one agent that may be open at once."""
ASKED_MAX = 10
"""Questions of one agent within ``ASKED_WINDOW``: people are not to be worn down."""
ASKED_WINDOW = 3600.0
UNTOLD, ASKED, ANSWERED = 0, 1, 2
"""How much of a question stands in the journal: nothing, that it was asked, what came of it."""


def ask(  # noqa: PLR0913 - a question is these facts
    db: sqlite3.Connection,
    subject: str,
    generation: int,
    mail: str,
    question: str,
    *,
    expires: float,
    now: float,
    fleet: FleetRules = USUAL,
) -> Request:
    """Ask people; asked again in the same mail, the same question is returned, answered or not.

    Raises:
        RefusedError: this agent, its cell or all cells together have asked enough.
    """
    asked_in = f"{subject}:{mail}"
    with transaction(db):
        approvals.expire(db, now)
        if known := find(db, asked_in):
            return known
        _refuse_crowd(db, subject, fleet, now)
        _refuse_flood(db, subject, now)
        db.execute(
            "INSERT INTO approvals (id, subject, generation, facts, asked, expires, asked_in)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                secrets.token_hex(8),
                subject,
                generation,
                json.dumps({"question": question}),
                now,
                expires,
                asked_in,
            ),
        )
        approvals.let_go(db, now)
        return approvals.select(db, "asked_in = ? AND NOT retired", (asked_in,))[0]


def find(db: sqlite3.Connection, asked_in: str) -> Request | None:
    """Return the question that was asked in a mail; one whose asker has left is forgotten."""
    found = approvals.select(db, "asked_in = ? AND NOT retired", (asked_in,))
    return found[0] if found else None


def _refuse_flood(db: sqlite3.Connection, subject: str, now: float) -> None:
    lately = approvals.select(
        db,
        "subject = ? AND asked_in IS NOT NULL AND NOT retired AND (outcome = 'open' OR asked > ?)",
        (subject, now - ASKED_WINDOW),
    )
    still = [one for one in lately if one.outcome == "open"]
    if len(still) >= OPEN_MAX:
        raise RefusedError(
            f"{len(still)} {FLOODED} wait for people already: wait for an answer (the "
            f"next one ends in {span(min(one.expires for one in still) - now)} at the latest), "
            "or go on with what needs no approval"
        )
    recent = [one for one in lately if one.asked > now - ASKED_WINDOW]
    if len(recent) >= ASKED_MAX:
        again = span(min(one.asked for one in recent) + ASKED_WINDOW - now)
        raise RefusedError(
            f"{len(recent)} {FLOODED} within {span(ASKED_WINDOW)}: ask again in {again}, or go "
            "on with what needs no approval"
        )


def _refuse_crowd(db: sqlite3.Connection, subject: str, fleet: FleetRules, now: float) -> None:
    """Refuse what would be one too many for people, whoever asked the others."""
    still = approvals.select(db, "asked_in IS NOT NULL AND NOT retired AND outcome = 'open'", ())
    cell = subject.partition("/")[0] + "/"
    here = [one for one in still if one.subject.startswith(cell)]
    for found, most, whose in (
        (here, fleet.questions_cell, "of your cell"),
        (still, fleet.questions_fleet, "of all cells"),
    ):
        if len(found) >= most:
            raise RefusedError(
                f"{len(found)} questions {whose} wait for people already: ask again in "
                f"{span(min(one.expires for one in found) - now)} at the latest, or go on with "
                "what needs no approval"
            )


def latest(db: sqlite3.Connection, subject: str, limit: int) -> list[Request]:
    """Return the last questions of one agent, the latest first."""
    found = approvals.select(
        db,
        "subject = ? AND asked_in IS NOT NULL AND NOT retired AND rowid IN (SELECT rowid FROM"
        " approvals WHERE subject = ? AND asked_in IS NOT NULL ORDER BY rowid DESC LIMIT ?)",
        (subject, subject, limit),
    )
    return found[::-1]


def withdraw_all_but(db: sqlite3.Connection, subjects: Collection[str], now: float) -> None:
    """Let go of the questions of everybody else: they are no more, or others of their names."""
    with transaction(db):
        found = approvals.select(db, "asked_in IS NOT NULL AND NOT retired", ())
        gone = [(now, one.id) for one in found if one.subject not in subjects]
        db.executemany(
            "UPDATE approvals SET retired = 1, closed = coalesce(closed, ?),"
            " outcome = iif(outcome = 'open', 'superseded', outcome) WHERE id = ?",
            gone,
        )


def untold(db: sqlite3.Connection, now: float) -> tuple[list[Request], list[Request]]:
    """Return the questions of which the journal does not know, and those that have ended unheard.

    Both oldest first. What has had its time is closed by this.
    """
    approvals.expire(db, now)
    ours = "asked_in IS NOT NULL AND NOT retired AND told"
    new = approvals.select(db, f"{ours} = ?", (UNTOLD,))
    over = approvals.select(db, f"{ours} < ? AND outcome != 'open'", (ANSWERED,))
    return new, over


def told(db: sqlite3.Connection, request: str, what: int) -> None:
    """Note how much of a question stands in the journal."""
    db.execute("UPDATE approvals SET told = max(told, ?) WHERE id = ?", (what, request))


def some_open(db: sqlite3.Connection, now: float) -> bool:
    """Whether people are still asked anything by agents."""
    return any(one.is_question for one in approvals.pending(db, now))
