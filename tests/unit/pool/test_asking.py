"""What the pool's rounds make of the records, and of a wall clock that is set."""

from __future__ import annotations

from pathlib import Path

import pytest

from lazarus_pit.pool.asking import Awaiting, compare
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records

DAY = 86_400.0


@pytest.fixture(name="clock")
def _clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    clock = [1_000.0]
    monkeypatch.setattr("time.time", lambda: clock[0])
    return clock


def still_open(records: Path, now: float) -> list[str]:
    with opened_records(records) as db:
        return [one.id for one in approvals.pending(db, now)]


def test_a_clock_set_forward_takes_nobody_s_time_to_answer(
    tmp_path: Path, clock: list[float]
) -> None:
    records = tmp_path / "records.db"
    assert compare(records, [Awaiting("timmy", 1, 1_300.0, {})]) == []
    (first,) = still_open(records, clock[0])
    clock[0] += DAY
    for _ in range(2):
        assert compare(records, [Awaiting("timmy", 1, 1_300.0 + DAY, {})]) == []
        (second,) = still_open(records, clock[0])
    assert first != second
    with opened_records(records) as db:
        approvals.decide(db, second, approved=True, by="ann", via="cli", now=clock[0])
    ((name, answer),) = compare(records, [Awaiting("timmy", 1, 1_300.0 + DAY, {})])
    assert (name, answer.approved) == ("timmy", True)


def test_time_that_is_over_stays_over(tmp_path: Path, clock: list[float]) -> None:
    records = tmp_path / "records.db"
    compare(records, [Awaiting("timmy", 1, 1_300.0, {})])
    clock[0] = 1_299.5
    assert compare(records, [Awaiting("timmy", 1, 1_300.4, {})]) == []
    assert still_open(records, clock[0]) == []
