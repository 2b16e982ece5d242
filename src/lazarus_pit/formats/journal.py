"""One line of ``events.jsonl`` (contract 1.6): something that has happened in a cell.

The fields stand flat in one object: ``{"ts": ..., "event": ..., "agent": ..., "role": ...}``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text
from lazarus_pit.formats.instant import from_rfc3339

MAX_BYTES = 1024 * 1024
"""A longer line is no line of ours; a reader passes it over."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_OURS = ("ts", "event", "seq", "cell", "agent")


class Event(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened."""

    ts: str
    """When, RFC 3339 in UTC: for people; nothing is decided by it."""
    event: str
    """What, in past-tense snake_case, such as ``agent_joined``."""
    seq: int | None = None
    """The daemon's count of its own lines in this cell; other writers do not count."""
    cell: str | None = None
    agent: str | None = None
    data: dict[str, Any] = {}
    """Whatever else belongs to it; names of the fields above are not allowed in here."""


def check(event: Event) -> None:
    """Pass an event that the journal can hold.

    Raises:
        FormatError: a name, a time or a key in ``data`` that the journal does not allow.
    """
    if not _NAME.match(event.event):
        raise FormatError(f"event: found {text.shown(event.event)}, expected snake_case")
    from_rfc3339(event.ts, "ts")
    clash = [name for name in _OURS if name in event.data]
    if clash:
        raise FormatError(f"event {event.event}: {clash[0]} may not stand in its data")


def to_object(event: Event) -> dict[str, Any]:
    """Return the event as the flat object that is written.

    Raises:
        FormatError: the journal cannot hold it.
    """
    check(event)
    flat: dict[str, Any] = {"ts": event.ts, "event": event.event}
    for name in ("seq", "cell", "agent"):
        value = getattr(event, name)
        if value is not None:
            flat[name] = value
    return {**flat, **event.data}


def from_object(found: Mapping[str, Any]) -> Event:
    """Return the event in a flat object.

    Raises:
        FormatError: ``ts`` or ``event`` is missing, or one of our fields has the wrong type.
    """
    for name in ("ts", "event"):
        if not isinstance(found.get(name), str) or not found[name]:
            raise FormatError(
                f"event: {name}: found {text.shown(found.get(name))}, expected a text"
            )
    from_rfc3339(found["ts"], "ts")
    if not _NAME.match(found["event"]):
        raise FormatError(f"event: found {text.shown(found['event'])}, expected snake_case")
    seq, cell, agent = (found.get(name) for name in ("seq", "cell", "agent"))
    if seq is not None and (isinstance(seq, bool) or not isinstance(seq, int)):
        raise FormatError(f"event: seq: found {text.shown(seq)}, expected a whole number")
    for name, value in (("cell", cell), ("agent", agent)):
        if value is not None and not isinstance(value, str):
            raise FormatError(f"event: {name}: found {text.shown(value)}, expected a text")
    data = {name: value for name, value in found.items() if name not in _OURS}
    return Event(ts=found["ts"], event=found["event"], seq=seq, cell=cell, agent=agent, data=data)


def parse(line: bytes) -> Event:
    """Return the event on one line, with or without its newline.

    Raises:
        FormatError: it is torn, or no event.
    """
    if len(line) > MAX_BYTES:
        raise FormatError(f"event: more than {MAX_BYTES} bytes")
    return from_object(text.decode_object(line, "event"))


def encode(event: Event) -> bytes:
    """Return the line for this event, with its newline: whatever an agent said, one line it is.

    Raises:
        FormatError: a name, a time or a value that the journal does not allow.
    """
    return text.encode(to_object(event), f"event {event.event}") + b"\n"
