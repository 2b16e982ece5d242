"""Mail between the members of a cell: the envelope, the acknowledgement, and a mail's file name.

What lies in an outbox is hostile until it is parsed here. ``from`` is a claim: who sent a mail is
said by the outbox in which it lay, and the router compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import Struct

from lazarus_pit.core.model import Role
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text
from lazarus_pit.formats.instant import from_rfc3339
from lazarus_pit.formats.names import is_agent_name

MAX_BYTES = 128 * 1024
"""Bytes of one file in an outbox."""
MAX_BODY = 64 * 1024
"""Characters of a body."""
MAX_SUBJECT = 200
"""Characters of a subject, which is one line."""
MAX_ACKS = 1000
"""Mails that one acknowledgement may name."""
EVERYONE = "*"
PIT = "lazarus-pit"
"""From whom mail of the daemon's own comes; it is of kind ``bounce``, which no member may send."""
ADDRESSES = (PIT, "pit")
"""To whom a request to the daemon is sent; no member may have such a name."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{7,63}\Z")
_FILE = re.compile(r"(\d{20})\+(\d{1,19})\+(\d{1,13})\+([^+]+)\+([^+]+)\.json\Z", re.ASCII)


class Kind(StrEnum):
    """What a mail is to its reader."""

    NOTE = "note"
    """Information."""
    ORDER = "order"
    """Asks its reader to do something; an observer may not send one."""
    BOUNCE = "bounce"
    """The daemon's answer to a mail that it did not deliver, or that nobody acknowledged."""


class Envelope(Struct, frozen=True, kw_only=True):
    """One mail."""

    id: str
    """Of the sender's making: the same id from the same sender is the same mail."""
    to: str
    """A member's name, a role, or ``*``; a member's name wins over a role."""
    sender: str | None = None
    """``from``: whom the sender claims to be, and after delivery who it is."""
    kind: Kind = Kind.NOTE
    subject: str = ""
    body: str = ""
    reply_to: str | None = None
    """The id of the mail that this one answers."""
    sent_at: str = ""
    """RFC 3339 in UTC, by the sender's clock."""
    expires: str | None = None
    """RFC 3339 in UTC: from then on it is of no use to anybody."""
    found: dict[str, Any] = {}
    """The object as it was found, with what is not ours."""


class Ack(Struct, frozen=True, kw_only=True):
    """A reader's word that it is done with these mails: names of files in its inbox."""

    names: tuple[str, ...]


class MailName(NamedTuple):
    """What a mail's file name says: all that the router must know without reading the mail."""

    sequence: int
    """Grows within an inbox: nanoseconds since 1970 unless that would not grow."""
    generation: int
    """Which life of the receiver was the newest when it was delivered; 0 for one without lives."""
    expires: int
    """Unix seconds; 0 is never."""
    sender: str
    id: str

    def file(self) -> str:
        """Return it as the name of a file; names sort in the order of delivery."""
        return f"{self.sequence:020d}+{self.generation}+{self.expires}+{self.sender}+{self.id}.json"


def parse_name(name: str) -> MailName:
    """Return what a file name says.

    Raises:
        FormatError: the router has made no such name.
    """
    found = _FILE.match(name)
    if found is None or not (is_agent_name(found[4]) and _ID.match(found[5])):
        raise FormatError(f"mail: found {text.shown(name)}, expected the name of a mail")
    return MailName(int(found[1]), int(found[2]), int(found[3]), found[4], found[5])


_TEXT = "a text"
_FIELDS: Mapping[str, tuple[Any, str]] = {
    "id": (str, _TEXT),
    "from": (str | None, "a member's name or nothing"),
    "to": (str, _TEXT),
    "kind": (Kind, "note, order or bounce"),
    "subject": (str, _TEXT),
    "body": (str, _TEXT),
    "reply_to": (str | None, "the id of a mail or null"),
    "sent_at": (str, _TEXT),
    "expires": (str | None, "a time or null"),
}


def parse(data: bytes) -> Envelope | Ack:
    """Return the mail or the acknowledgement in these bytes.

    Raises:
        FormatError: too large, no JSON object, or a field that says what it may not.
    """
    if len(data) > MAX_BYTES:
        raise FormatError(f"envelope: {len(data)} bytes, expected at most {MAX_BYTES}")
    found = text.decode_object(data, "envelope")
    return _ack(found["ack"]) if "ack" in found else _envelope(found)


def parse_delivered(data: bytes) -> Envelope:
    """Return a mail that the router has written; escapes may have made it longer than it came.

    Raises:
        FormatError: it is not as the router writes them.
    """
    return _envelope(text.decode_object(data, "envelope"))


def _envelope(found: dict[str, Any]) -> Envelope:
    known = {
        name: text.field(found[name], into, name, expected)
        for name, (into, expected) in _FIELDS.items()
        if name in found
    }
    for name in ("id", "to"):
        if name not in known:
            raise FormatError(f"{name}: missing")
    if "from" in known:
        known["sender"] = known.pop("from")
    envelope = Envelope(**known, found=found)
    _check(envelope)
    return envelope


def _ack(names: object) -> Ack:
    wanted = text.field(names, tuple[str, ...], "ack", "a list of mails' names")
    if len(wanted) > MAX_ACKS:
        raise FormatError(f"ack: {len(wanted)} names, expected at most {MAX_ACKS}")
    for name in wanted:
        parse_name(name)
    return Ack(names=wanted)


def _check(envelope: Envelope) -> None:
    """Refuse what has the right type and yet cannot be."""
    for name, value in (("id", envelope.id), ("reply_to", envelope.reply_to)):
        if value is not None and not _ID.match(value):
            raise FormatError(
                f"{name}: found {text.shown(value)}, expected 8 to 64 of A-Z a-z 0-9 _ -"
            )
    if envelope.to != EVERYONE and not is_agent_name(envelope.to):
        raise FormatError(f"to: found {text.shown(envelope.to)}, expected a name, a role or *")
    if envelope.sender is not None and not is_agent_name(envelope.sender):
        raise FormatError(f"from: found {text.shown(envelope.sender)}, expected a member's name")
    if text.one_line(envelope.subject, MAX_SUBJECT) != envelope.subject:
        raise FormatError(f"subject: expected one line of at most {MAX_SUBJECT} characters")
    if len(envelope.body) > MAX_BODY:
        raise FormatError(
            f"body: {len(envelope.body)} characters, expected at most {MAX_BODY}: "
            "put it into a file of the workspace and name that"
        )
    if envelope.sent_at:
        from_rfc3339(envelope.sent_at, "sent_at")
    if envelope.expires is not None:
        from_rfc3339(envelope.expires, "expires")


def encode(envelope: Envelope) -> bytes:
    """Return the file of a mail; what was found in it and is not ours is kept.

    Raises:
        FormatError: it holds what JSON cannot say.
    """
    ours = {
        "id": envelope.id,
        "from": envelope.sender,
        "to": envelope.to,
        "kind": envelope.kind.value,
        "subject": envelope.subject,
        "body": envelope.body,
        "reply_to": envelope.reply_to,
        "sent_at": envelope.sent_at,
        "expires": envelope.expires,
    }
    return text.encode(
        ours | {k: v for k, v in envelope.found.items() if k not in ours}, "envelope"
    )


def expiry(envelope: Envelope) -> int:
    """Return when a mail is of no more use, in Unix seconds rounded up; 0 is never."""
    if envelope.expires is None:
        return 0
    return max(1, -int(-from_rfc3339(envelope.expires) // 1))


def receivers(to: str, sender: str, members: Mapping[str, Role]) -> list[str]:
    """Return who is meant: never the sender, but for one who writes to itself by name."""
    if to in members:
        return [to]
    meant = members if to == EVERYONE else [n for n, role in members.items() if role.value == to]
    return [name for name in meant if name != sender]


def why_refused(envelope: Envelope, sender: str, role: Role) -> str:
    """Return why this member may not send this mail; empty if it may."""
    if envelope.sender not in (None, sender):
        return f"from: found {envelope.sender}, but it lay in the outbox of {sender}"
    if envelope.kind is Kind.BOUNCE:
        return "kind: only the daemon sends a bounce"
    if envelope.kind is Kind.ORDER and role is Role.OBSERVER:
        return "kind: an observer sends notes, not orders"
    return ""
