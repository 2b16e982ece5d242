"""The names that become paths: a cell's UUID and an agent's name. Nothing else may."""

from __future__ import annotations

import re

from lazarus_pit.errors import FormatError

ACTOR = "LAZARUS_ACTOR"
"""The variable that says to a command whose wish it is: whom a link or token was made for."""
_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
# The first character keeps "." and "..", hidden files and flags ("-rf") out of paths and commands.
_AGENT = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


def is_cell_uuid(text: str) -> bool:
    """Whether this is a version-4 UUID in its canonical lower-case form (contract 1.1)."""
    return _UUID4.match(text) is not None


def is_agent_name(text: str) -> bool:
    """Whether this may name a member: 1 to 64 of ``a-z 0-9 . _ -``, a letter or digit first."""
    return _AGENT.match(text) is not None


def check_cell_uuid(text: str) -> str:
    """Return the UUID unchanged.

    Raises:
        FormatError: it is not a version-4 UUID in lower case.
    """
    if not is_cell_uuid(text):
        raise FormatError(f"uuid: found {text[:64]!r}, expected a lower-case version-4 UUID")
    return text


def check_agent_name(text: str) -> str:
    """Return the name unchanged.

    Raises:
        FormatError: it could not safely be part of a path.
    """
    if not is_agent_name(text):
        raise FormatError(
            f"name: found {text[:80]!r}, expected 1 to 64 characters of a-z 0-9 . _ - "
            "that begin with a letter or a digit"
        )
    return text
