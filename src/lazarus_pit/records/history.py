"""What became of requests lately, for eyes."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from lazarus_pit.records.approvals import Request, find


class Closed(NamedTuple):
    """A request that needs no answer any more, and since when (Unix seconds)."""

    request: Request
    at: float


def latest(db: sqlite3.Connection, limit: int) -> list[Closed]:
    """Return the requests that were closed last, the latest first."""
    rows = db.execute(
        "SELECT id, closed FROM approvals WHERE closed IS NOT NULL"
        " ORDER BY closed DESC, rowid DESC LIMIT ?",
        (limit,),
    ).fetchall()
    return [Closed(found, at) for name, at in rows if (found := find(db, name)) is not None]
