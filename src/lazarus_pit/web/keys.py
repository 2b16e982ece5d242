"""Who may come in: one-time links and the tokens they are exchanged for.

Only hashes are written down, in a file that its owner alone can read; what was given out is never
seen again. Secrets are 256 random bits, so a plain SHA-256 is as good as a slow hash.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from lazarus_pit.cells.files import durably, opened, read_hostile, replace_file
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.errors import FormatError, RefusedError

Role = Literal["viewer", "operator", "approver"]
ROLES: tuple[Role, ...] = get_args(Role)
"""From the one that may least to the one that may most."""
LINK_SECONDS = 600.0
TOKEN_SECONDS = 7 * 86400.0
_MOST = 1000
"""Keys that are kept of each kind; the oldest go first."""
_BYTES = 1024 * 1024


class Key(Struct, frozen=True, kw_only=True):
    """A secret that was given out, by its hash."""

    hash: str
    role: Role
    until: float
    """Unix seconds after which it opens nothing."""
    who: str = ""
    """For whom it was made: the name under which what they decide is written down."""


class Ring(Struct, kw_only=True):
    """All the keys of a pit."""

    links: list[Key] = []
    tokens: list[Key] = []


def may(role: Role, wanted: Role) -> bool:
    """Whether a role includes another."""
    return ROLES.index(role) >= ROLES.index(wanted)


def new_link(pit: PitPaths, role: Role, who: str = "") -> str:
    """Make a secret that can be exchanged once, within ten minutes, for a token.

    Raises:
        StoreError: it could not be written down.
    """
    with _changing(pit) as ring:
        return _give(ring.links, role, who, LINK_SECONDS)


def new_token(pit: PitPaths, role: Role, who: str, seconds: float) -> str:
    """Make a token without a link, for a program.

    Raises:
        StoreError: it could not be written down.
    """
    with _changing(pit) as ring:
        return _give(ring.tokens, role, who, seconds)


def login(pit: PitPaths, link: str) -> tuple[str, Role]:
    """Exchange a one-time secret for a token and its role.

    Raises:
        RefusedError: it is unknown, was used, or is too old.
        StoreError: the exchange could not be written down.
    """
    with _changing(pit) as ring:
        found = _find(ring.links, link)
        if found is None:
            raise RefusedError("this link was used or is too old: `lazarus web link` makes another")
        ring.links.remove(found)
        return _give(ring.tokens, found.role, found.who, TOKEN_SECONDS), found.role


def bearer(pit: PitPaths, token: str) -> Key | None:
    """Return the key that a token is, ``None`` where it opens nothing."""
    return _find(_read(pit).tokens, token)


def _give(keys: list[Key], role: Role, who: str, seconds: float) -> str:
    secret = secrets.token_urlsafe(32)
    keys.append(Key(hash=_hash(secret), role=role, who=who, until=time.time() + seconds))
    return secret


def _find(keys: list[Key], secret: str) -> Key | None:
    wanted, now = _hash(secret), time.time()
    found = (key for key in keys if secrets.compare_digest(key.hash, wanted) and key.until > now)
    return next(found, None)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


@contextmanager
def _changing(pit: PitPaths) -> Iterator[Ring]:
    """Change the keys, one program at a time; what is raised within leaves them as they were."""
    with durably("cannot be locked", pit.private):
        pit.private.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opened(pit.private, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) as directory:
            fcntl.flock(directory, fcntl.LOCK_EX)
            ring = _read(pit)
            yield ring
            now = time.time()
            for keys in (ring.links, ring.tokens):
                keys[:] = [key for key in keys if key.until > now][-_MOST:]
            replace_file(pit.web_keys, msgspec.json.encode(ring), mode=0o600)


def _read(pit: PitPaths) -> Ring:
    """Return the keys; a file that cannot be read opens nothing."""
    try:
        data = read_hostile(pit.web_keys, _BYTES)
        return msgspec.json.decode(data, type=Ring) if data else Ring()
    except (FormatError, msgspec.MsgspecError):
        return Ring()
