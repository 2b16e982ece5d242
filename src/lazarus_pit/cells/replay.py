"""Read a ledger back: from its lines to the last record of each key."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import ledger
from lazarus_pit.formats.ledger import Turn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lazarus_pit.formats.journal import Event

_RECORDS_A_LINE = 64


class Entry(NamedTuple):
    """The latest record of a key."""

    record: bytes
    """JSON, as the daemon encoded it."""
    boot: str
    """The boot whose monotonic clock its instants were read from."""


class Reading(NamedTuple):
    """What the bytes of a ledger amount to."""

    turn: int
    """The number of the last whole turn."""
    entries: dict[str, Entry]
    told: list[Event]
    """Everything the journals were ever owed by these lines."""
    end: int
    """Where the last whole line ends, in bytes."""
    damage: str
    """What is wrong beyond a torn tail; empty where nothing is."""


def read(data: bytes) -> Reading:
    """Replay a ledger.

    A last line that is not whole was never committed and is passed over. Any other bad line, or
    a turn that is missing, is damage: the good lines still count.
    """
    *lines, fragment = data.split(b"\n")
    entries: dict[str, Entry] = {}
    told: list[Event] = []
    turn, end, position = 0, 0, 0
    bad: list[int] = []
    gap = ""
    for number, line in enumerate(lines, 1):
        position += len(line) + 1
        try:
            found = ledger.parse(line)
        except FormatError:
            bad.append(number)
            continue
        if end and not turn <= found.turn <= turn + 1 and not bad:
            gap = f"turn {found.turn} follows turn {turn} in line {number}"
        apply(entries, found.records, found.boot)
        told.extend(found.told)
        turn, end = found.turn, position
    if data and not end:  # Even an empty ledger begins with a whole line.
        return Reading(0, {}, [], 0, "not one whole line")
    return Reading(turn, entries, told, end, gap or _damage(bad, len(lines), fragment))


def _damage(bad: list[int], count: int, fragment: bytes) -> str:
    """Say which lines are damaged; a single bad one at the very end is merely torn."""
    if not bad or (bad == [count] and not fragment):
        return ""
    return f"{len(bad)} damaged line{'s' * (len(bad) > 1)}, the first is line {bad[0]}"


def apply(entries: dict[str, Entry], records: Mapping[str, bytes | None], boot: str) -> None:
    """Fold the records of one turn into the latest of each key."""
    for key, record in records.items():
        if record is None:
            entries.pop(key, None)
        else:
            entries[key] = Entry(record, boot)


def condense(
    entries: Mapping[str, Entry], told: Sequence[Event], turn: int, boot: str
) -> Iterator[Turn]:
    """Yield the fewest turns that replay to the same; none of them larger than need be."""
    by_boot: dict[str, dict[str, bytes]] = {}
    for key, entry in entries.items():
        by_boot.setdefault(entry.boot, {})[key] = entry.record
    for origin, records in by_boot.items():
        items = iter(records.items())
        while portion := dict(islice(items, _RECORDS_A_LINE)):
            yield Turn(turn=turn, boot=origin, records=portion)
    yield Turn(turn=turn, boot=boot, told=told)
