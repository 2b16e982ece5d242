"""Invitations into cells: each may be accepted once, before its time is over.

Only a hash of the token is kept: who reads the records cannot join. Times are Unix seconds. That
somebody has joined is said by ``cell.json``, where the member names the invitation; what stands
here follows it, so that a ``join`` that was killed in between can be repeated.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from typing import Literal, NamedTuple

from lazarus_pit.core.model import Role
from lazarus_pit.errors import RefusedError
from lazarus_pit.records.database import transaction

State = Literal["open", "accepted", "revoked", "expired"]
PREFIX = "invite-"
"""How a token begins: it is no flag of a command, and people see what it is."""
TOKEN_MAX = 200
"""Characters of a token that are looked at."""
_COLUMNS = "id, cell, name, role, human, invited_by, invited, expires, state, closed"


class Invitation(NamedTuple):
    """One invitation as it stands."""

    id: str
    cell: str
    name: str
    role: Role
    human: bool
    by: str
    invited: float
    expires: float
    state: State
    closed: float | None


class Given(NamedTuple):
    """An invitation and its token, which is never seen again."""

    invitation: Invitation
    token: str


def invite(  # noqa: PLR0913 - an invitation is these facts
    db: sqlite3.Connection,
    cell: str,
    name: str,
    role: Role,
    *,
    human: bool,
    by: str,
    expires: float,
    now: float,
    asked_in: str | None = None,
) -> Given:
    """Invite somebody.

    ``asked_in`` names the request that this answers, if any: asked again after a crash, the same
    invitation is returned with a new token, for the old one was never told.

    Raises:
        RefusedError: an invitation of this name is open.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    fresh = (secrets.token_hex(6), _digest(token))
    with transaction(db):
        expire(db, now)
        if asked_in is not None:
            again = "UPDATE invitations SET digest = ? WHERE asked_in = ? AND state = 'open'"
            if db.execute(again, (fresh[1], asked_in)).rowcount:
                return Given(_select(db, "asked_in = ?", (asked_in,))[0], token)
        known = _select(db, "cell = ? AND name = ? AND state = 'open'", (cell, name))
        if known:
            raise RefusedError(
                f"{name} is invited already: `lazarus invitations --revoke {known[0].id}` first"
            )
        db.execute(
            "INSERT INTO invitations"
            " (id, digest, cell, name, role, human, invited_by, asked_in, invited, expires)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*fresh, cell, name, role.value, int(human), by, asked_in, now, expires),
        )
        return Given(_select(db, "id = ?", (fresh[0],))[0], token)


def of_token(db: sqlite3.Connection, token: str, now: float) -> Invitation | None:
    """Return the invitation of a token, whatever its state; ``None``: there is none."""
    expire(db, now)
    found = _select(db, "digest = ?", (_digest(token[:TOKEN_MAX]),))
    return found[0] if found else None


def everything(db: sqlite3.Connection) -> list[Invitation]:
    """Return every invitation there ever was, oldest first."""
    return _select(db, "1", ())


def pending(db: sqlite3.Connection, now: float) -> list[Invitation]:
    """Return the invitations that can still be accepted, oldest first."""
    return _select(db, "state = 'open' AND expires > ?", (now,))


def close(db: sqlite3.Connection, invitation: str, state: State, now: float) -> bool:
    """Close an open invitation; ``False``: it was closed before, and stays as it is."""
    return bool(
        db.execute(
            "UPDATE invitations SET state = ?, closed = ? WHERE id = ? AND state = 'open'",
            (state, now, invitation),
        ).rowcount
    )


def close_for(db: sqlite3.Connection, cell: str, name: str, state: State, now: float) -> bool:
    """Close the open invitation of a name; ``False``: there is none."""
    return bool(
        db.execute(
            "UPDATE invitations SET state = ?, closed = ?"
            " WHERE cell = ? AND name = ? AND state = 'open'",
            (state, now, cell, name),
        ).rowcount
    )


def expire(db: sqlite3.Connection, now: float) -> int:
    """Close what nobody accepted in time; return how many invitations those were."""
    return db.execute(
        "UPDATE invitations SET state = 'expired', closed = expires"
        " WHERE state = 'open' AND expires <= ?",
        (now,),
    ).rowcount


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def _select(db: sqlite3.Connection, condition: str, values: tuple[object, ...]) -> list[Invitation]:
    """Return the invitations that meet a condition of this file's own, oldest first."""
    query = f"SELECT {_COLUMNS} FROM invitations WHERE {condition} ORDER BY invited, rowid"  # noqa: S608
    return [
        Invitation(one[0], one[1], one[2], Role(one[3]), bool(one[4]), *one[5:])
        for one in db.execute(query, values)
    ]
