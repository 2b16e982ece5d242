"""``logs/events.jsonl``: what happened in a cell, appended and never rewritten (contract 1.6)."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from lazarus_pit.cells.files import append_lines, durably, opened
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from lazarus_pit.formats.journal import Event

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BLOCK = 64 * 1024
_TAIL = 4096
_BACK = 8 * 1024 * 1024
"""Bytes of a journal that one look backwards reads at most."""
_PAGES, _PAGE_LINES = 4, 4096


class Line(NamedTuple):
    """One whole line of the journal."""

    end: int
    """Where the next line begins, in bytes: the cursor to go on from."""
    event: Event | None
    """``None`` where the line is torn or no event of ours."""


class Page(NamedTuple):
    """Some lines of the journal in a row."""

    events: list[Event]
    """The newest last; lines that cannot be read are left out."""
    start: int
    """Where the first of these lines begins, in bytes; 0: nothing is before it."""


def append_events(path: Path, events: Sequence[Event], *, durable: bool = False) -> None:
    """Append events to a journal.

    Raises:
        FormatError: an event that the journal does not allow; nothing was written.
        StoreError: not all of them could be written.
    """
    error = append_lines(path, [journal.encode(event) for event in events], durable=durable).error
    if error is not None:
        raise error


def drain_events(path: Path, pending: list[Event]) -> None:
    """Append events to a journal, and take from the list each that is written.

    Raises:
        FormatError: an event that the journal does not allow; nothing was written.
        StoreError: those still in the list could not be written.
    """
    done = append_lines(path, [journal.encode(event) for event in pending])
    del pending[: done.written]
    if done.error is not None:
        raise done.error


def read_events(path: Path, offset: int = 0, holding: bytes = b"") -> Iterator[Line]:
    """Yield the whole lines from ``offset`` on; a last line without its end is not there yet.

    Going on from the last ``end`` follows the journal. Unreadable lines are yielded as such, so
    that a reader can count them. Lines without ``holding`` in them are passed over unparsed, which
    is the cheap way to look for something in a long journal.

    Raises:
        StoreError: there is no such file or it may not be read.
    """
    with _opened(path) as fd:
        rest, begin = b"", offset
        while block := os.pread(fd, _BLOCK, begin + len(rest)):
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                begin += len(line) + 1
                if line.strip() and holding in line:
                    yield Line(begin, _event(line))
            if len(rest) > journal.MAX_BYTES:
                begin, rest = _skip_line(fd, begin + len(rest)), b""


def read_back(path: Path, limit: int, before: int | None = None) -> Page:
    """Return the last ``limit`` lines that begin before ``before`` bytes, read from the end.

    However long the journal is, no more than 8 MiB of it are read; then there are fewer lines.

    Raises:
        StoreError: there is no such file or it may not be read.
    """
    with _opened(path) as fd:
        size = os.fstat(fd).st_size
        end = size if before is None else min(before, size)
        window = _BLOCK
        while True:
            start = max(0, end - window)
            data = os.pread(fd, end - start, start)
            begin = 0 if start == 0 else data.find(b"\n") + 1
            lines = data[begin : data.rfind(b"\n") + 1].split(b"\n")[:-1]
            if len(lines) >= limit or start == 0 or window >= _BACK:
                break
            window *= 4
    kept = lines[len(lines) - limit :] if len(lines) > limit else lines
    skipped = sum(len(line) + 1 for line in lines[: len(lines) - len(kept)])
    events = [event for line in kept if (event := _event(line)) is not None]
    return Page(events, start + begin + skipped if kept else start)


def latest(path: Path, wanted: Callable[[Event], bool], count: int) -> list[Event]:
    """Return the last ``count`` events that are wanted, the newest last.

    They are looked for among the last 16,384 lines: a long journal costs no more than that.

    Raises:
        StoreError: there is no such file or it may not be read.
    """
    found: list[Event] = []
    cursor: int | None = None
    for _ in range(_PAGES):
        page = read_back(path, _PAGE_LINES, cursor)
        found = [event for event in page.events if wanted(event)] + found
        cursor = page.start
        if len(found) >= count or cursor == 0:
            break
    return found[-count:]


def last_seq(path: Path) -> int:
    """Return the daemon's last count in this journal; 0 where it has written nothing.

    The file is read from its end, as far back as the last line that counts.

    Raises:
        StoreError: it may not be read.
    """
    if not path.exists():
        return 0
    with _opened(path) as fd:
        size = os.fstat(fd).st_size
        window = _TAIL
        while True:
            start = max(0, size - window)
            lines = os.pread(fd, size - start, start).split(b"\n")
            whole = lines if start == 0 else lines[1:]
            events = [_event(line) for line in whole]
            counts = [event.seq for event in events if event and event.seq is not None]
            if counts or start == 0:
                return max(counts, default=0)
            window *= 4


def unwritten(root: Path, told: Iterable[Event], *, durable: bool = False) -> list[Event]:
    """Return those of the told events that their journals do not have, by the journals' own count.

    Events of cells that are gone are owed to nobody; a journal that cannot be read has nothing.

    Args:
        root: where the cells are.
        told: events with their ``seq``; those without a cell belong to the pit's own journal.
        durable: make what the journals do have durable; where that fails, it counts as missing.
    """
    by_cell: dict[str | None, dict[int, Event]] = {}
    for event in told:
        by_cell.setdefault(event.cell, {})[event.seq or 0] = event
    owed: list[Event] = []
    for uuid, events in by_cell.items():
        path = PitPaths(root).events if uuid is None else CellPaths(root, uuid).events
        if not path.parent.is_dir():
            continue
        last = _last_safe(path, durable=durable)
        owed.extend(event for seq, event in events.items() if seq > last)
    return owed


def _last_safe(path: Path, *, durable: bool) -> int:
    """Return the last count that a journal is sure to keep; one bad journal stops no daemon."""
    try:
        if durable and path.exists():
            with _opened(path) as fd:
                os.fdatasync(fd)
        return last_seq(path)
    except StoreError:
        return 0


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    with durably("cannot be read", path), opened(path, _READ) as fd:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise StoreError(f"{path}: not a regular file")
        yield fd


def _event(line: bytes) -> Event | None:
    try:
        return journal.parse(line)
    except FormatError:
        return None


def _skip_line(fd: int, offset: int) -> int:
    """Return where the line after the one that ``offset`` stands in begins."""
    while block := os.pread(fd, _BLOCK, offset):
        place = block.find(b"\n")
        if place >= 0:
            return offset + place + 1
        offset += len(block)
    return offset
