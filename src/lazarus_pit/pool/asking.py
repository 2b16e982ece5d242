"""The pool's requests and the records: who waits for a word is compared with what was answered.

As with the agents of cells, nothing is handed over that could be lost. Each round asks for those
nobody asked for, hears the answers of those that wait, and closes what nobody waits for. An answer
is consumed by the file that carries its gateway out of AWAITING.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.core.events import Decided
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records, transaction

SUBJECTS = "pool/"
EARLY_SECONDS = 1.0
"""A request closes this long before the pool gives up: an answer in time arrives in time."""


class Awaiting(NamedTuple):
    """A gateway that waits for a word."""

    name: str
    generation: int
    expires: float
    """Unix seconds, by the wall clock."""
    facts: Mapping[str, object]


def compare(records: Path, awaiting: Iterable[Awaiting]) -> list[tuple[str, Decided]]:
    """Ask for those who wait, close what nobody waits for, and return the answers.

    Raises:
        StoreError: the records refuse.
    """
    waiting = {f"{SUBJECTS}{one.name}": one for one in awaiting}
    if not waiting and not records.exists():
        return []
    now = time.time()
    with opened_records(records) as db, transaction(db):
        approvals.expire(db, now)
        for request in approvals.pending(db, now):
            if request.subject.startswith(SUBJECTS):
                one = waiting.get(request.subject)
                if one is None or one.generation != request.generation:
                    approvals.supersede(db, request.subject, now, upto=request.generation)
        answers = [(one.name, _answer(db, subject, one, now)) for subject, one in waiting.items()]
    return [(name, answer) for name, answer in answers if answer is not None]


def forget(records: Path, remembered: Iterable[str]) -> None:
    """Let go of every gateway that is not remembered: one that comes later starts anew.

    Its generations begin again, and must not find the answers to those of its namesake.

    Raises:
        StoreError: the records refuse.
    """
    if not records.exists():
        return
    kept = {f"{SUBJECTS}{name}" for name in remembered}
    with opened_records(records) as db, transaction(db):
        for subject in approvals.subjects(db) - kept:
            if subject.startswith(SUBJECTS):
                approvals.retire(db, subject, time.time())


def _answer(db: sqlite3.Connection, subject: str, one: Awaiting, now: float) -> Decided | None:
    request = _opened(db, subject, one, now)
    if approvals.ended_early(request, one.expires, now):
        approvals.retire(db, subject, now)
        request = _opened(db, subject, one, now)
    if request.outcome not in ("approved", "denied"):
        return None
    approved = request.outcome == "approved"
    return Decided(generation=one.generation, approved=approved, by=request.by, via=request.via)


def _opened(db: sqlite3.Connection, subject: str, one: Awaiting, now: float) -> approvals.Request:
    return approvals.open_request(
        db, subject, one.generation, one.facts, expires=one.expires - EARLY_SECONDS, now=now
    )
