"""What is still to be said to a forge, in order, and how far its readers have come.

A post stays until it was delivered. ``tried`` is set before its first delivery begins: a post that
was tried and is still here may have arrived, and must be looked for by its ``key`` first.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple


class Post(NamedTuple):
    """One thing to be said."""

    id: int
    subject: str
    """Posts about one subject are delivered one after the other, in the order of ``id``."""
    key: str
    """Random: what the forge is searched for, so that nothing is said twice."""
    action: dict[str, Any]
    tried: bool
    refusals: int
    """How often the forge has said no to this very post."""


class Thread(NamedTuple):
    """What is known of the issue about one subject."""

    state: dict[str, Any]
    """What its reader remembers; empty for one that nothing is known of."""
    number: int | None
    """The issue's number at the forge; ``None`` while it has none."""


def add(db: sqlite3.Connection, forge: str, subject: str, action: Mapping[str, Any]) -> str:
    """Put a post at the end and return its key."""
    key = secrets.token_hex(8)
    db.execute(
        "INSERT INTO outbox (forge, subject, key, action) VALUES (?, ?, ?, ?)",
        (forge, subject, key, json.dumps(dict(action))),
    )
    return key


def first_of_each(db: sqlite3.Connection, forge: str) -> list[Post]:
    """Return the next post of each subject, oldest first."""
    rows = db.execute(
        "SELECT id, subject, key, action, tried, refusals FROM outbox WHERE id IN"
        " (SELECT min(id) FROM outbox WHERE forge = ? GROUP BY subject) ORDER BY id",
        (forge,),
    )
    return [Post(one[0], one[1], one[2], json.loads(one[3]), bool(one[4]), one[5]) for one in rows]


def count(db: sqlite3.Connection, forge: str) -> int:
    """Return how much is still to be said, by the beginning of a queue's name."""
    query = "SELECT count(*) FROM outbox WHERE substr(forge, 1, ?) = ?"
    (found,) = db.execute(query, (len(forge), forge)).fetchone()
    return int(found)


def is_waiting(db: sqlite3.Connection, forge: str, subject: str) -> bool:
    """Whether something is still to be said about a subject."""
    query = "SELECT EXISTS (SELECT 1 FROM outbox WHERE forge = ? AND subject = ?)"
    (found,) = db.execute(query, (forge, subject)).fetchone()
    return bool(found)


def trying(db: sqlite3.Connection, post: int) -> None:
    """Note that a delivery begins."""
    db.execute("UPDATE outbox SET tried = 1 WHERE id = ?", (post,))


def refused(db: sqlite3.Connection, post: int) -> None:
    """Note that the forge said no."""
    db.execute("UPDATE outbox SET refusals = refusals + 1 WHERE id = ?", (post,))


def done(db: sqlite3.Connection, post: int) -> None:
    """Let go of a post that was delivered, or that never will be."""
    db.execute("DELETE FROM outbox WHERE id = ?", (post,))


def thread(db: sqlite3.Connection, forge: str, subject: str) -> Thread:
    """Return what is known of a subject's issue."""
    row = db.execute(
        "SELECT state, number FROM threads WHERE forge = ? AND subject = ?", (forge, subject)
    ).fetchone()
    return Thread({}, None) if row is None else Thread(json.loads(row[0]), row[1])


def numbers(db: sqlite3.Connection, forge: str) -> set[int]:
    """Return the numbers of all issues that are known."""
    query = "SELECT number FROM threads WHERE forge = ? AND number IS NOT NULL"
    return {number for (number,) in db.execute(query, (forge,))}


def threads(db: sqlite3.Connection, forge: str) -> dict[str, Thread]:
    """Return what is known of every subject's issue."""
    rows = db.execute("SELECT subject, state, number FROM threads WHERE forge = ?", (forge,))
    return {subject: Thread(json.loads(state), number) for subject, state, number in rows}


def remember(db: sqlite3.Connection, forge: str, subject: str, state: Mapping[str, Any]) -> None:
    """Keep what a reader knows of a subject."""
    db.execute(
        "INSERT INTO threads (forge, subject, state) VALUES (?, ?, ?)"
        " ON CONFLICT (forge, subject) DO UPDATE SET state = excluded.state",
        (forge, subject, json.dumps(dict(state))),
    )


def numbered(db: sqlite3.Connection, forge: str, subject: str, number: int | None) -> None:
    """Keep the number of a subject's issue; ``None``: it is gone."""
    db.execute(
        "INSERT INTO threads (forge, subject, state, number) VALUES (?, ?, '{}', ?)"
        " ON CONFLICT (forge, subject) DO UPDATE SET number = excluded.number",
        (forge, subject, number),
    )


def forget(db: sqlite3.Connection, channel: str, keys: Iterable[str]) -> None:
    """Drop notes of a channel."""
    db.executemany(
        "DELETE FROM channel_notes WHERE channel = ? AND key = ?", [(channel, key) for key in keys]
    )
