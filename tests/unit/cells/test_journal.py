"""events.jsonl on the disk: torn tails, garbage, two writers, cursors."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING

import pytest

from lazarus_pit.cells import journal
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.journal import Event

if TYPE_CHECKING:
    from pathlib import Path

UUID = "d9b2d63d-a233-4123-847a-7090a1a5f6a1"
TS = "2026-04-06T00:00:00Z"


def event(seq: int | None = None, name: str = "agent_died", cell: str | None = None) -> Event:
    return Event(ts=TS, event=name, seq=seq, cell=cell)


def test_a_reader_goes_on_from_its_cursor_and_passes_over_garbage(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal.append_events(path, [event(1), event(2)])
    with path.open("ab") as file:
        file.write(b'\x00\xff{"torn')
    journal.append_events(path, [event(3)])
    with path.open("ab") as file:
        file.write(b'{"half a line')
    lines = list(journal.read_events(path))
    assert [line.event and line.event.seq for line in lines] == [1, 2, None, 3]
    assert [line.event and line.event.seq for line in journal.read_events(path, lines[1].end)] == [
        None,
        3,
    ]
    assert list(journal.read_events(path, lines[-1].end)) == []
    journal.append_events(path, [event(4)])
    rest = list(journal.read_events(path, lines[-1].end))
    assert [line.event and line.event.seq for line in rest] == [None, 4]


def test_only_lines_that_hold_what_is_looked_for_are_parsed(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    wanted = Event(ts=TS, event="agent_invited", data={"invitation": "ab12"})
    for _ in range(2):  # The second is found beyond the block that is read first.
        journal.append_events(path, [event(name="heartbeat")] * 2000)
        journal.append_events(path, [wanted])
    with path.open("ab") as file:
        file.write(b'{"torn\n{"ab12')
    found = list(journal.read_events(path, holding=b"ab12"))
    assert [line.event for line in found] == [wanted, wanted]
    assert list(journal.read_events(path, found[0].end, holding=b"ab12")) == found[1:]


def test_a_line_without_end_is_passed_over_and_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with path.open("wb") as file:
        file.write(b"x" * (3 * 1024 * 1024) + b"\n")
    journal.append_events(path, [event(1)])
    assert [line.event and line.event.seq for line in journal.read_events(path)] == [1]


def test_the_last_count_is_found_from_the_end(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert journal.last_seq(path) == 0
    journal.append_events(path, [event(), event(7), *[event() for _ in range(3000)]])
    assert journal.last_seq(path) == 7
    journal.append_events(path, [event(8)])
    with path.open("ab") as file:
        file.write(b'{"ts": "2026-04-06T00:00:00Z", "event": "torn", "seq": 9')
    assert journal.last_seq(path) == 8


def test_only_events_that_a_journal_lacks_are_owed(tmp_path: Path) -> None:
    cell, pit = CellPaths(tmp_path, UUID), PitPaths(tmp_path)
    cell.logs.mkdir(parents=True)
    pit.private.mkdir()
    gone = UUID.replace("d9", "aa")
    told = [event(n, cell=UUID) for n in (1, 2, 3)] + [event(1, cell=gone), event(1), event(2)]
    journal.append_events(cell.events, told[:2])
    journal.append_events(pit.events, [event(1)])
    owed = journal.unwritten(tmp_path, told, durable=True)
    assert [(e.cell, e.seq) for e in owed] == [(UUID, 3), (None, 2)]


@pytest.mark.timeout(10)
def test_a_journal_that_is_none_is_owed_everything_and_stops_nobody(tmp_path: Path) -> None:
    cell = CellPaths(tmp_path, UUID)
    cell.logs.mkdir(parents=True)
    os.mkfifo(cell.events)
    told = [event(n, cell=UUID) for n in (1, 2)]
    for durable in (False, True):
        assert journal.unwritten(tmp_path, told, durable=durable) == told


def test_an_event_that_cannot_be_written_leaves_the_journal_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    pending = [event(1), event(2, "Not Snake Case")]
    with pytest.raises(FormatError):
        journal.drain_events(path, pending)
    assert len(pending) == 2
    assert not path.exists()
    with pytest.raises(StoreError):
        journal.drain_events(tmp_path / "no" / "such", pending[:1])
    pending.pop()
    journal.drain_events(path, pending)
    assert pending == []
    assert journal.last_seq(path) == 1


def _write(path: Path, first: int) -> None:
    for number in range(first, first + 500):
        journal.append_events(path, [event(number)])


def test_two_writers_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(path, first)) for first in (1, 1001)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    found = [line.event.seq for line in journal.read_events(path) if line.event]
    assert sorted(seq or 0 for seq in found) == [*range(1, 501), *range(1001, 1501)]


def test_the_end_is_read_page_by_page_without_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal.append_events(path, [event(number) for number in range(5000)])
    with path.open("ab") as file:
        file.write(b'{"half a line')
    seen: list[int | None] = []
    cursor: int | None = None
    while cursor != 0:
        page = journal.read_back(path, 700, cursor)
        seen = [found.seq for found in page.events] + seen
        cursor = page.start
    assert seen == list(range(5000))


def test_a_long_journal_is_read_from_its_end_alone(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
    journal.append_events(path, [event(7)])
    page = journal.read_back(path, 2)
    assert [found.seq for found in page.events] == [7]
    assert page.start == (1 << 30) + 1
    older = journal.read_back(path, 2, page.start)
    assert older.events == []
    assert 1 << 29 < older.start < 1 << 30, "little of it was read, and the cursor moved on"


def test_the_last_that_are_wanted_are_found_behind_many_others(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    journal.append_events(path, [event(number) for number in range(9)])
    journal.append_events(path, [event(name="heartbeat")] * 9000)
    found = journal.latest(path, lambda one: one.event == "agent_died", 3)
    assert [one.seq for one in found] == [6, 7, 8]
    journal.append_events(path, [event(name="heartbeat")] * 9000)
    assert journal.latest(path, lambda one: one.event == "agent_died", 3) == []
