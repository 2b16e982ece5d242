"""Mail of the daemon's own: answers, refusals, and what people said to a question.

Each id follows from its cause, so that what is said again after a crash is the same mail.
"""

from __future__ import annotations

import hashlib
import time

from lazarus_pit.formats import envelope as mail
from lazarus_pit.formats.envelope import Envelope, Kind
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.text import one_line
from lazarus_pit.records.approvals import Request

STATES = {
    "open": "waiting",
    "approved": "approved",
    "denied": "denied",
    "expired": "expired",
    "superseded": "withdrawn",
}
"""How an agent is told where its question stands."""


def answer_id(sender: str, said: Envelope) -> str:
    """Return the id of the answer to a request."""
    return f"answer-{digest(sender, said.id)}"


def answer(sender: str, said: Envelope, text: str) -> Envelope:
    """Return the answer to a request of ``sender``."""
    return Envelope(
        id=answer_id(sender, said),
        to=sender,
        sender=mail.PIT,
        subject=one_line(f"Re: {said.subject}", mail.MAX_SUBJECT),
        body=text,
        reply_to=said.id,
        sent_at=to_rfc3339(time.time(), 3),
    )


def bounce(sender: str, said: Envelope | None, why: str, cause: str) -> Envelope:
    """Return what ``sender`` is told of a mail that was not delivered."""
    subject = said.subject if said and said.subject else one_line(cause, 80)
    return Envelope(
        id=f"bounce-{digest(cause, why)}",
        to=sender,
        sender=mail.PIT,
        kind=Kind.BOUNCE,
        subject=one_line(f"not delivered: {subject}", mail.MAX_SUBJECT),
        body=one_line(why, 1000),
        reply_to=said.id if said else None,
        sent_at=to_rfc3339(time.time(), 3),
    )


def decision(sender: str, asked: Request) -> Envelope:
    """Return what ``sender`` is told of the end of its question; the subject's first word says it.

    It answers the mail in which the question was asked.
    """
    state = STATES[asked.outcome]
    by = f" by {one_line(asked.by, 120)} ({one_line(asked.via, 40)})" if asked.by else ""
    late = " Nobody answered in time." if asked.outcome == "expired" else ""
    comment = f"\nComment: {asked.comment}" if asked.comment else ""
    return Envelope(
        id=f"decision-{asked.id}",
        to=sender,
        sender=mail.PIT,
        subject=f"{state}{by}",
        body=f"{state}{by}.{late}{comment}\nYou asked: {asked.facts.get('question')}",
        reply_to=mail_of(asked),
        sent_at=to_rfc3339(time.time(), 3),
    )


def mail_of(asked: Request) -> str:
    """Return the id of the mail in which a question was asked."""
    return (asked.asked_in or "").rpartition(":")[2]


def digest(*words: str) -> str:
    """Return a short name for these words."""
    told = "\0".join(words).encode(errors="surrogateescape")
    return hashlib.sha256(told).hexdigest()[:24]
