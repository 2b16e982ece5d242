"""What an agent's conversation has come to: a file in its home, hostile until parsed here."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text

MAX_BYTES = 64 * 1024
CALLS_MAX = 20
_SESSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}\Z")
"""It becomes an argument of a program: never a flag."""


class Conversation(Struct, frozen=True, kw_only=True):
    """What its last life knew of it; ``lazarus_pit.session`` writes it."""

    session: str = ""
    preset: str = ""
    """Whose conversation it is."""
    exhausted: bool = False
    lost: bool = False
    open: dict[str, str] = {}
    """Calls of tools without a result: their ids, and words for them."""

    @property
    def unanswered(self) -> tuple[str, ...]:
        """Words for the calls of tools that had no result."""
        return tuple(text.one_line(words, 120) for words in list(self.open.values())[:CALLS_MAX])


_EXPECTED: dict[str, tuple[Any, str]] = {
    "session": (str, "a text"),
    "preset": (str, "a text"),
    "exhausted": (bool, "true or false"),
    "lost": (bool, "true or false"),
    "open": (dict[str, str], "an object of texts"),
}


def parse(data: bytes) -> Conversation:
    """Return what is known of a conversation.

    Raises:
        FormatError: no JSON object, or a field that says what it may not.
    """
    if len(data) > MAX_BYTES:
        raise FormatError(f"conversation: more than {MAX_BYTES} bytes")
    found = text.decode_object(data, "conversation")
    known = {
        name: text.field(found[name], into, name, expected)
        for name, (into, expected) in _EXPECTED.items()
        if name in found
    }
    conversation = Conversation(**known)
    if conversation.session and not _SESSION.match(conversation.session):
        raise FormatError(f"session: found {text.shown(conversation.session)}, expected an id")
    return conversation
