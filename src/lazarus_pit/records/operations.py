"""What was begun over the HTTP API: so that the same wish is not done twice, whoever is killed.

A row is written before its command starts, and again when that has ended. One that was never
ended belongs to a server that has ended itself: what became of it is not known here. Times are
Unix seconds.
"""

from __future__ import annotations

import sqlite3
from typing import Literal, NamedTuple

from lazarus_pit.records.database import transaction

State = Literal["running", "done", "failed"]
KEPT = 1000
"""Operations that are remembered."""
KEPT_SECONDS = 7 * 86400.0
"""And for how long."""
_COLUMNS = "id, who, key, wish, verb, subject, state, code, said, began, ended"


class Kept(NamedTuple):
    """One operation as it was last written down."""

    id: str
    who: str
    key: str
    """The asker's own; empty: none."""
    wish: str
    """A hash of what was asked for."""
    verb: str
    subject: str
    state: State
    code: int | None
    said: str
    began: float
    ended: float | None


def begin(db: sqlite3.Connection, one: Kept) -> Kept | None:
    """Write down what is about to begin; where its key was used before, return that one instead."""
    with transaction(db):
        db.execute(
            "DELETE FROM operations WHERE began < ? OR id NOT IN"
            " (SELECT id FROM operations ORDER BY began DESC, rowid DESC LIMIT ?)",
            (one.began - KEPT_SECONDS, KEPT - 1),
        )
        if one.key:
            known = _select(db, "who = ? AND key = ?", (one.who, one.key), 1)
            if known:
                return known[0]
        marks = ", ".join("?" * len(one))
        db.execute(f"INSERT INTO operations ({_COLUMNS}) VALUES ({marks})", one)  # noqa: S608
    return None


def end(db: sqlite3.Connection, one: Kept) -> None:
    """Write down how one has ended."""
    db.execute(
        "UPDATE operations SET state = ?, code = ?, said = ?, ended = ? WHERE id = ?",
        (one.state, one.code, one.said, one.ended, one.id),
    )


def find(db: sqlite3.Connection, wanted: str) -> Kept | None:
    """Return one by its id; ``None``: there is none, or no longer."""
    found = _select(db, "id = ?", (wanted,), 1)
    return found[0] if found else None


def latest(db: sqlite3.Connection, limit: int) -> list[Kept]:
    """Return the last that were begun, the newest last."""
    return _select(db, "1", (), limit)[::-1]


def _select(
    db: sqlite3.Connection, condition: str, values: tuple[object, ...], limit: int
) -> list[Kept]:
    """Return what meets a condition of this file's own, the newest first."""
    query = f"SELECT {_COLUMNS} FROM operations WHERE {condition} ORDER BY began DESC, rowid DESC"  # noqa: S608
    return [Kept(*row) for row in db.execute(f"{query} LIMIT ?", (*values, limit))]
