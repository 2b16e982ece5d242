"""The write-ahead ledger: what was committed is there, whatever happened to the process or file."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lazarus_pit.cells import journal, replay
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.ledger import Ledger, open_ledger
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.journal import Event

if TYPE_CHECKING:
    from pathlib import Path

UUID = "d9b2d63d-a233-4123-847a-7090a1a5f6a1"


def told(seq: int) -> Event:
    return Event(ts="2026-04-06T00:00:00Z", event="agent_died", seq=seq, cell=UUID)


def records(ledger: Ledger) -> dict[str, Any]:
    return {key: json.loads(entry.record) for key, entry in ledger.entries.items()}


def test_the_last_record_of_each_key_is_replayed(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, "boot-1").ledger
    ledger.commit({"a": {"n": 1}, "b": {"n": 1}})
    ledger.commit({"a": {"n": 2}, "c": {"n": 2}})
    ledger.commit({"b": None})
    ledger.close()
    again = open_ledger(tmp_path, "boot-2")
    assert records(again.ledger) == {"a": {"n": 2}, "c": {"n": 2}}
    assert again.ledger.turn == 3
    assert again.ledger.entries["a"].boot == "boot-1"
    assert (again.owed, again.reports) == ([], [])
    again.ledger.commit({"a": {"n": 3}})
    assert {key: entry.boot for key, entry in again.ledger.entries.items()} == {
        "a": "boot-2",
        "c": "boot-1",
    }
    again.ledger.close()


def test_a_turn_that_says_nothing_is_not_written(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, "b").ledger
    before = ledger.path.stat().st_size
    ledger.commit({})
    assert (ledger.turn, ledger.path.stat().st_size) == (0, before)
    ledger.close()


def test_what_cannot_be_encoded_is_not_taken_over(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path, "b").ledger
    with pytest.raises(FormatError):
        ledger.commit({"a": object()})
    with pytest.raises(FormatError):
        ledger.commit({"a": 1}, [Event(ts="never", event="agent_died")])
    ledger.commit({"b": 1})
    assert records(ledger) == {"b": 1}
    ledger.close()


def test_events_that_the_journal_lacks_are_owed(tmp_path: Path) -> None:
    cell = CellPaths(tmp_path, UUID)
    cell.logs.mkdir(parents=True)
    ledger = open_ledger(tmp_path, "b").ledger
    for seq in (1, 2, 3):
        ledger.commit({}, [told(seq)])
    journal.append_events(cell.events, [told(1), told(2)])
    ledger.close()  # The daemon is killed before the third is in the journal.
    again = open_ledger(tmp_path, "b")
    assert again.owed == [told(3)]
    again.ledger.close()


def test_a_grown_ledger_is_condensed_and_owes_the_same(tmp_path: Path) -> None:
    cell = CellPaths(tmp_path, UUID)
    cell.logs.mkdir(parents=True)
    ledger = open_ledger(tmp_path, "b", compact_at=20_000).ledger
    sizes = []
    for number in range(1, 301):
        ledger.commit({f"agent-{number % 100}": {"n": number, "pad": "x" * 200}}, [told(number)])
        sizes.append(ledger.path.stat().st_size)
    assert max(sizes) < 100_000
    assert sorted(sizes) != sizes  # It has shrunk at least once.
    ledger.close()
    again = open_ledger(tmp_path, "b")
    assert {key: record["n"] for key, record in records(again.ledger).items()} == {
        f"agent-{number % 100}": number for number in range(201, 301)
    }
    assert [event.seq for event in again.owed] == list(range(1, 301))
    assert again.reports == []
    assert sorted(path.name for path in ledger.path.parent.iterdir()) == ["ledger.jsonl"]
    again.ledger.close()


def written(root: Path, turns: int) -> bytes:
    """Return a ledger of so many turns; turn n says that "a" is n."""
    ledger = open_ledger(root, "b").ledger
    for number in range(1, turns + 1):
        ledger.commit({"a": number})
    ledger.close()
    return ledger.path.read_bytes()


@settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_torn_tail_never_happened(tmp_path: Path, data: st.DataObject) -> None:
    path = PitPaths(tmp_path).ledger
    for old in (path, *path.parent.glob("ledger.corrupt-*")):
        old.unlink(missing_ok=True)
    whole = written(tmp_path, 4)
    cut = data.draw(st.integers(0, len(whole)))
    tail = data.draw(st.sampled_from([b"", b"\0" * 100, b"\xff{", b'00000000 {"turn":9}\n']))
    torn = whole[:cut] + tail
    path.write_bytes(torn)
    again = open_ledger(tmp_path, "b")
    # The first line is the empty turn that a new ledger begins with.
    expected = max(0, whole[:cut].count(b"\n") - 1)
    assert bool(again.reports) == (b"\n" not in whole[:cut] and bool(torn))
    assert again.ledger.turn == expected
    assert records(again.ledger) == ({"a": expected} if expected else {})
    again.ledger.commit({"a": "after"})
    again.ledger.close()
    last = open_ledger(tmp_path, "b")
    assert (records(last.ledger), last.reports) == ({"a": "after"}, [])
    last.ledger.close()


def test_damage_in_the_middle_is_set_aside_and_reported(tmp_path: Path) -> None:
    whole = written(tmp_path, 4)
    path = PitPaths(tmp_path).ledger
    for number in (1, 2):
        lines = whole.split(b"\n")
        lines[2] = lines[2].replace(b'"a"', b'"z"')
        path.write_bytes(b"\n".join(lines))
        again = open_ledger(tmp_path, "b")
        assert records(again.ledger) == {"a": 4}
        again.ledger.close()
        (report,) = again.reports
        assert "1 damaged line, the first is line 3" in report
        assert report.endswith(f"ledger.corrupt-{number}")
        aside = path.with_name(f"ledger.corrupt-{number}")
        assert aside.read_bytes() == b"\n".join(lines)
    assert open_ledger(tmp_path, "b").reports == []


def test_a_line_that_is_missing_is_damage(tmp_path: Path) -> None:
    whole = written(tmp_path, 4)
    lines = whole.split(b"\n")
    del lines[2]
    assert replay.read(b"\n".join(lines)).damage == "turn 3 follows turn 1 in line 3"


@pytest.mark.parametrize("kind", ["fifo", "symlink", "directory"])
@pytest.mark.timeout(10)
def test_what_is_no_ledger_is_set_aside(tmp_path: Path, kind: str) -> None:
    path = PitPaths(tmp_path).ledger
    path.parent.mkdir()
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "symlink":
            path.symlink_to(other)
        case _:
            path.mkdir()
    opened = open_ledger(tmp_path, "b")
    assert "ledger.corrupt-1" in opened.reports[0]
    opened.ledger.commit({"a": 1})
    opened.ledger.close()
    assert records(open_ledger(tmp_path, "b").ledger) == {"a": 1}
    assert other.read_bytes() == b"precious"


def test_a_disk_that_cannot_sync_loses_nothing_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = open_ledger(tmp_path, "b").ledger
    ledger.commit({"a": 1})

    def broken(_fd: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(StoreError, match="the decision is not on the disk"):
            ledger.commit({"a": 2, "b": 2}, [])
        with pytest.raises(StoreError):
            ledger.commit({"c": 3})
    assert records(ledger) == {"a": 1}
    ledger.commit({})
    assert records(ledger) == {"a": 2, "b": 2, "c": 3}
    ledger.close()
    again = open_ledger(tmp_path, "b")
    assert (records(again.ledger), again.reports) == ({"a": 2, "b": 2, "c": 3}, [])
    again.ledger.close()


@pytest.mark.parametrize("stranger", [None, b"not a ledger\n"])
def test_a_ledger_that_is_taken_away_is_written_anew(
    tmp_path: Path, stranger: bytes | None
) -> None:
    CellPaths(tmp_path, UUID).logs.mkdir(parents=True)
    ledger = open_ledger(tmp_path, "b").ledger
    ledger.commit({"a": 1}, [told(1)])
    ledger.path.unlink()
    if stranger is not None:
        ledger.path.write_bytes(stranger)
    ledger.commit({"b": 2})
    ledger.close()
    again = open_ledger(tmp_path, "b")
    assert records(again.ledger) == {"a": 1, "b": 2}
    assert again.owed == [told(1)]
    assert again.reports == []
    again.ledger.close()
