"""Requests that were told in one message: which, bound before it is sent, by an id of its own.

The id is random: who has not seen the message cannot name it. Each request in it stays a record
of its own and may be answered by itself; who answers the digest answers those still open.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable

from lazarus_pit.records.approvals import Request, find

_NAMED = re.compile(r"[0-9a-f]{8,16}\Z")


def bind(db: sqlite3.Connection, digest: str, channel: str, requests: Iterable[str]) -> None:
    """Bind requests to a digest of a channel, for good; in the caller's transaction."""
    db.executemany(
        "INSERT INTO digests (id, channel, approval) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [(digest, channel, one) for one in requests],
    )


def of_open(db: sqlite3.Connection, channel: str) -> dict[str, str]:
    """Return the open requests that are bound on a channel, and the digest of each."""
    rows = db.execute(
        "SELECT approval, digests.id FROM digests JOIN approvals ON approval = approvals.id"
        " WHERE channel = ? AND outcome = 'open'",
        (channel,),
    )
    return dict(rows.fetchall())


def of(db: sqlite3.Connection, channel: str, request: str) -> str:
    """Return the digest of a request on a channel; empty if it was told by itself."""
    found = db.execute(
        "SELECT id FROM digests WHERE channel = ? AND approval = ?", (channel, request)
    ).fetchone()
    return found[0] if found else ""


def members(db: sqlite3.Connection, channel: str, digest: str) -> list[Request]:
    """Return the requests of a digest, as they stand now."""
    rows = db.execute(
        "SELECT approval FROM digests WHERE id = ? AND channel = ? ORDER BY rowid",
        (digest, channel),
    ).fetchall()
    return [one for (id_,) in rows if (one := find(db, id_)) is not None]


def named(db: sqlite3.Connection, channel: str, name: str, about: str) -> str:
    """Return the digest of a channel that goes by this name: its id, or the first eight of it.

    ``about`` is the receipt of a message that was answered with it: not of another request's.
    Empty if there is none.
    """
    if not _NAMED.match(name):
        return ""
    rows = db.execute(
        "SELECT DISTINCT id FROM digests WHERE channel = ? AND substr(id, 1, ?) = ?",
        (channel, len(name), name),
    ).fetchall()
    if len(rows) != 1:
        return ""
    other = db.execute(
        "SELECT 1 FROM deliveries WHERE channel = ? AND receipt = ? AND approval NOT IN"
        " (SELECT approval FROM digests WHERE id = ?)",
        (channel, about, rows[0][0]),
    ).fetchone()
    return "" if about and other else str(rows[0][0])
