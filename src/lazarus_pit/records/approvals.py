"""Requests for a person's word, and their answers: each is answered once or never.

A request to revive somebody belongs to one death: a subject (``<uuid>/<agent>`` or
``pool/<gateway>``) and the generation that died. A question of an agent (``questions``) belongs to
the mail in which it was asked. Times are Unix seconds. Every change compares and sets in one
transaction, so that of two who answer at once one decides and the other is told who did.
"""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple

from lazarus_pit.records.database import transaction

Outcome = Literal["open", "approved", "denied", "expired", "superseded"]
Reply = Literal["decided", "already decided", "expired", "superseded", "unknown"]
_REPLIES: dict[str, Reply] = {
    "approved": "already decided",
    "denied": "already decided",
    "expired": "expired",
    "superseded": "superseded",
}
_OWN = ("approvals", "id")
COLUMNS = (
    "id, subject, generation, facts, asked, expires, outcome, decided_by, via, decision,"
    " comment, asked_in"
)
"""What ``made`` makes a request of, in this order."""
WIDTH = COLUMNS.count(",") + 1
SET_SECONDS = 30.0
"""By so much the wall clock must have been set forward to have ended a request too early."""
COMMENT_MAX = 500
"""Characters of a comment that are kept."""

KEPT_SECONDS = 30 * 86_400.0
KEPT = 1000
"""How long a request is kept that is closed, and how many of the latest are, however old."""


class Request(NamedTuple):
    """One request as it stands."""

    id: str
    """Random: who has not seen the request cannot name it."""
    subject: str
    generation: int
    facts: dict[str, object]
    """What the asked should know of the death; JSON."""
    asked: float
    expires: float
    outcome: Outcome
    by: str
    via: str
    decision: int | None
    """The place of the answer among all answers, from 1; ``None`` while there is none."""
    comment: str = ""
    """What whoever decided had to say."""
    asked_in: str | None = None
    """Of a question: which mail it was asked in, ``<uuid>/<agent>:<id>``; of a death ``None``."""

    @property
    def is_question(self) -> bool:
        """Whether an agent asks, and nobody is to be revived."""
        return self.asked_in is not None


class Answered(NamedTuple):
    """What became of an answer, and the request as it stands now."""

    reply: Reply
    request: Request | None


def open_request(  # noqa: PLR0913 - a request is these facts
    db: sqlite3.Connection,
    subject: str,
    generation: int,
    facts: Mapping[str, object],
    *,
    expires: float,
    now: float,
) -> Request:
    """Ask about one death and return the request; asked again, the same one, answered or not.

    Open requests of the same subject about earlier deaths are superseded by it. What was closed
    long ago is let go of.
    """
    which = "subject = ? AND generation = ? AND NOT retired AND asked_in IS NULL"
    with transaction(db):
        if known := select(db, which, (subject, generation)):
            return known[0]
        supersede(db, subject, now, upto=generation - 1)
        db.execute(
            "INSERT INTO approvals (id, subject, generation, facts, asked, expires)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (secrets.token_hex(8), subject, generation, json.dumps(dict(facts)), now, expires),
        )
        let_go(db, now)
        return select(db, which, (subject, generation))[0]


def ended_early(request: Request, expires: float, now: float) -> bool:
    """Whether the wall clock has ended a request, being set, whose asker waits until ``expires``.

    That is by the clock as it is now. Such a death is asked about anew.
    """
    late = request.expires + SET_SECONDS
    return request.outcome == "expired" and expires > max(now, late)


def let_go(db: sqlite3.Connection, now: float) -> None:
    """Forget a few that were closed long ago: the first look of a process at the records is at all.

    The latest answer stays, whatever its age: the next one is numbered after it.
    """
    before = now - KEPT_SECONDS
    old = db.execute(
        "SELECT id FROM approvals WHERE outcome != 'open' AND closed < ? AND asked < ?"
        " AND rowid IN (SELECT rowid FROM approvals ORDER BY rowid LIMIT 10)"
        " AND rowid <= (SELECT max(rowid) FROM approvals) - ?"
        " AND (decision IS NULL OR decision < (SELECT max(decision) FROM approvals))",
        (before, before, KEPT),
    ).fetchall()
    tables = (*((table, "approval") for table in ("deliveries", "settlements", "digests")), _OWN)
    for table, column in tables:
        db.executemany(f"DELETE FROM {table} WHERE {column} = ?", old)  # noqa: S608 - of our own


def pending(db: sqlite3.Connection, now: float) -> list[Request]:
    """Return the requests that can still be answered, oldest first."""
    return select(db, "outcome = 'open' AND expires > ?", (now,))


def everything(db: sqlite3.Connection) -> list[Request]:
    """Return every request there ever was, oldest first."""
    return select(db, "1", ())


def find(db: sqlite3.Connection, request: str) -> Request | None:
    """Return a request by its whole id."""
    found = select(db, "id = ?", (request,))
    return found[0] if found else None


def decide(  # noqa: PLR0913 - an answer is these facts
    db: sqlite3.Connection,
    request: str,
    *,
    approved: bool,
    by: str,
    via: str,
    now: float,
    comment: str = "",
) -> Answered:
    """Answer an open request, once; whoever comes later changes nothing and is told why.

    ``by`` names the person and ``via`` the channel. A request past its time becomes ``expired``.
    """
    with transaction(db):
        return decide_within(
            db, request, approved=approved, by=by, via=via, now=now, comment=comment
        )


def decide_within(  # noqa: PLR0913 - an answer is these facts
    db: sqlite3.Connection,
    request: str,
    *,
    approved: bool,
    by: str,
    via: str,
    now: float,
    comment: str = "",
) -> Answered:
    """Answer as ``decide`` does, as a part of the caller's transaction."""
    expire(db, now)
    wanted = "approved" if approved else "denied"
    changed = db.execute(
        "UPDATE approvals SET outcome = ?, decided_by = ?, via = ?, closed = ?, comment = ?,"
        " decision = (SELECT coalesce(max(decision), 0) + 1 FROM approvals)"
        " WHERE id = ? AND outcome = 'open'",
        (wanted, by, via, now, comment[:COMMENT_MAX], request),
    ).rowcount
    known = find(db, request)
    if known is None:
        return Answered("unknown", None)
    return Answered("decided" if changed else _REPLIES[known.outcome], known)


def ring(bell: Path) -> None:
    """Have whoever waits for answers look at once; nobody there looks when it comes."""
    with suppress(OSError):
        os.close(os.open(bell, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC))


def expire(db: sqlite3.Connection, now: float) -> int:
    """Close what nobody answered in time; return how many requests those were."""
    return db.execute(
        "UPDATE approvals SET outcome = 'expired', closed = expires"
        " WHERE outcome = 'open' AND expires <= ?",
        (now,),
    ).rowcount


def subjects(db: sqlite3.Connection) -> set[str]:
    """Return all who were ever asked about and have not been let go of."""
    rows = db.execute("SELECT DISTINCT subject FROM approvals WHERE NOT retired")
    return {subject for (subject,) in rows}


def supersede(db: sqlite3.Connection, subject: str, now: float, *, upto: int | None = None) -> int:
    """Close the open requests about deaths that need no answer any more; return how many.

    ``upto`` spares the deaths of later generations. Questions stay: they outlive a death.
    """
    return db.execute(
        "UPDATE approvals SET outcome = 'superseded', closed = ? WHERE subject = ?"
        " AND outcome = 'open' AND generation <= coalesce(?, generation) AND asked_in IS NULL",
        (now, subject, upto),
    ).rowcount


def retire(db: sqlite3.Connection, subject: str, now: float, *, deaths_alone: bool = False) -> None:
    """Let go of a subject that is no more: one of its name that comes later starts anew.

    Without this, the first death of a newcomer could find the answer to its namesake's, and its
    first question likewise. ``deaths_alone`` leaves the questions as they are.
    """
    with transaction(db):
        which = "subject = ? AND (asked_in IS NULL OR NOT ?)"
        db.execute(
            f"UPDATE approvals SET outcome = 'superseded', closed = ?"  # noqa: S608 - of our own
            f" WHERE {which} AND outcome = 'open'",
            (now, subject, deaths_alone),
        )
        db.execute(
            f"UPDATE approvals SET retired = 1 WHERE {which}",  # noqa: S608 - of our own
            (subject, deaths_alone),
        )


def decisions_after(db: sqlite3.Connection, cursor: int) -> list[Request]:
    """Return the answers whose ``decision`` is greater than ``cursor``, in their order."""
    found = select(db, "decision > ? AND NOT retired", (cursor,))
    return sorted(found, key=lambda one: one.decision or 0)


def delivered(
    db: sqlite3.Connection, request: str, channel: str, receipt: str, *, now: float
) -> bool:
    """Note that a channel has carried a request; ``False``: it had done so before, which stands.

    ``receipt`` is what the channel knows the message by.
    """
    return bool(
        db.execute(
            "INSERT INTO deliveries (approval, channel, receipt, at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (request, channel, receipt, now),
        ).rowcount
    )


def receipts(db: sqlite3.Connection, request: str) -> dict[str, str]:
    """Return the receipts of a request by channel."""
    rows = db.execute("SELECT channel, receipt FROM deliveries WHERE approval = ?", (request,))
    return dict(rows.fetchall())


def made(row: tuple[Any, ...]) -> Request:
    """Return the request in a row that begins with the columns above."""
    return Request(row[0], row[1], row[2], json.loads(row[3]), *row[4:WIDTH])


def select(db: sqlite3.Connection, condition: str, values: tuple[object, ...]) -> list[Request]:
    """Return the requests that meet a condition of the caller's own code, oldest first."""
    query = f"SELECT {COLUMNS} FROM approvals WHERE {condition} ORDER BY asked, rowid"  # noqa: S608
    return [made(one) for one in db.execute(query, values)]
