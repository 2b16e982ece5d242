"""One line of the daemon's ledger: everything that one turn of its loop decided.

``<CRC-32 of the JSON, 8 hex digits> <JSON>``: a line is whole or it is not there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zlib import crc32

from msgspec import Raw, Struct

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import journal, text
from lazarus_pit.formats.journal import Event

_HEAD = 9
_NULL = b"null"


class Turn(Struct, frozen=True, kw_only=True):
    """What one turn of the loop decided."""

    turn: int
    boot: str
    """The boot whose monotonic clock the instants in these records were read from."""
    records: Mapping[str, bytes | None] = {}
    """Each changed record as JSON; ``None`` is a record that is no more."""
    told: Sequence[Event] = ()
    """What the journals are owed for this turn."""


class _Line(Struct, frozen=True, kw_only=True, omit_defaults=True):
    turn: int
    boot: str
    records: dict[str, Raw] = {}
    told: list[Event] = []


def encode(turn: Turn) -> bytes:
    """Return the line for this turn, with its newline.

    Raises:
        FormatError: an event the journal does not allow.
    """
    for event in turn.told:
        journal.check(event)
    line = _Line(
        turn=turn.turn,
        boot=turn.boot,
        records={
            key: Raw(_NULL if record is None else record) for key, record in turn.records.items()
        },
        told=list(turn.told),
    )
    body = text.encode(line, "ledger")
    return b"%08x %s\n" % (crc32(body), body)


def parse(line: bytes) -> Turn:
    """Return the turn on one line, with or without its newline.

    Raises:
        FormatError: torn, altered, or no line of a ledger.
    """
    body = line.removesuffix(b"\n")[_HEAD:]
    if line[:_HEAD] != b"%08x " % crc32(body):
        raise FormatError("ledger: the checksum does not fit the line")
    found = text.decode(body, _Line, "ledger")
    return Turn(
        turn=found.turn,
        boot=found.boot,
        records={
            key: None if bytes(raw) == _NULL else bytes(raw) for key, raw in found.records.items()
        },
        told=found.told,
    )
