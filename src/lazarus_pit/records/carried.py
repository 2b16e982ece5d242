"""What each channel to people has carried, shown as settled, and must not forget.

A channel is a name such as ``telegram``. A receipt is what it knows a message by; an empty one
says that the service will not take this message, so that it is not tried for ever.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from lazarus_pit.records.approvals import COLUMNS, WIDTH, Request, made

_KEPT = 500
"""How many of the latest requests a late answer may be meant for, beside those still open."""


class Carried(NamedTuple):
    """A request that a channel has carried."""

    request: Request
    receipt: str
    at: float
    """When the message was there, Unix seconds by the clock of the channel's service."""
    closed: float | None
    """When the request was answered or otherwise ended, by our own clock."""


def uncarried(db: sqlite3.Connection, channel: str, now: float) -> list[Request]:
    """Return the open requests that this channel has not carried yet, oldest first."""
    rows = db.execute(
        f"SELECT {COLUMNS} FROM approvals WHERE outcome = 'open' AND expires > ? AND NOT EXISTS"  # noqa: S608
        " (SELECT 1 FROM deliveries WHERE approval = id AND channel = ?) ORDER BY asked, rowid",
        (now, channel),
    )
    return [made(row) for row in rows]


def carried(db: sqlite3.Connection, channel: str) -> list[Carried]:
    """Return what this channel has carried, the open and the latest of the closed, oldest first."""
    rows = db.execute(
        f"SELECT * FROM (SELECT {COLUMNS}, receipt, at, closed FROM approvals"  # noqa: S608
        " JOIN deliveries ON approval = id WHERE channel = ? AND receipt != ''"
        " ORDER BY outcome = 'open' DESC, at DESC"
        " LIMIT ? + (SELECT count(*) FROM approvals WHERE outcome = 'open')) ORDER BY at",
        (channel, _KEPT),
    )
    return [Carried(made(row), *row[WIDTH:]) for row in rows]


def unsettled(db: sqlite3.Connection, channel: str) -> list[Carried]:
    """Return what is closed and not yet shown so where this channel carried it, oldest first."""
    rows = db.execute(
        f"SELECT {COLUMNS}, receipt, at, closed FROM approvals"  # noqa: S608
        " JOIN deliveries ON approval = id WHERE channel = ? AND receipt != ''"
        " AND outcome != 'open' AND NOT EXISTS (SELECT 1 FROM settlements"
        " WHERE settlements.approval = id AND settlements.channel = deliveries.channel)"
        " ORDER BY at",
        (channel,),
    )
    return [Carried(made(row), *row[WIDTH:]) for row in rows]


def forget_open(db: sqlite3.Connection, channel: str) -> None:
    """Forget that this channel has carried what is still open."""
    db.execute(
        "DELETE FROM deliveries WHERE channel = ?"
        " AND approval IN (SELECT id FROM approvals WHERE outcome = 'open')",
        (channel,),
    )


def settle(db: sqlite3.Connection, request: str, channel: str, now: float) -> None:
    """Note that the channel has shown how a request ended."""
    db.execute(
        "INSERT INTO settlements (approval, channel, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        (request, channel, now),
    )


def recall(db: sqlite3.Connection, channel: str) -> dict[str, str]:
    """Return what this channel has noted for itself."""
    rows = db.execute("SELECT key, value FROM channel_notes WHERE channel = ?", (channel,))
    return dict(rows.fetchall())


def note(db: sqlite3.Connection, channel: str, notes: Mapping[str, str]) -> None:
    """Note for a channel, over what was noted under the same keys; in the caller's transaction."""
    db.executemany(
        "INSERT INTO channel_notes (channel, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (channel, key) DO UPDATE SET value = excluded.value",
        [(channel, key, value) for key, value in notes.items()],
    )


def with_note(db: sqlite3.Connection, key: str) -> list[str]:
    """Return the channels that have noted something under a key."""
    rows = db.execute("SELECT channel FROM channel_notes WHERE key = ? ORDER BY channel", (key,))
    return [channel for (channel,) in rows]
