from __future__ import annotations

from typing import NamedTuple

import pytest

from lazarus_pit.cells.checkpoint.retention import DAY, HOUR, Kept, expired


class One(NamedTuple):
    name: str
    created: float


def every(step: int, count: int, start: int = 1_700_000_000) -> list[One]:
    return [One(f"c{number:04}", start + number * step) for number in range(count)]


def kept(checkpoints: list[One], rule: Kept, *protected: str) -> list[str]:
    gone = expired(checkpoints, rule, protected)
    return [one.name for one in checkpoints if one.name not in gone]


def test_last_keeps_the_newest() -> None:
    assert kept(every(60, 10), Kept(last=3, hourly=0, daily=0)) == ["c0007", "c0008", "c0009"]


def test_the_newest_stays_whatever_the_rule_says() -> None:
    assert kept(every(60, 3), Kept(last=0, hourly=0, daily=0)) == ["c0002"]


def test_hourly_keeps_the_newest_of_each_hour() -> None:
    checkpoints = every(HOUR // 4, 16, start=1_700_000_000 // HOUR * HOUR)
    assert kept(checkpoints, Kept(last=1, hourly=3, daily=0)) == ["c0007", "c0011", "c0015"]


def test_daily_reaches_back_over_days_without_any() -> None:
    start = 1_700_000_000 // DAY * DAY
    checkpoints = [One("old", start), One("mid", start + 9 * DAY), One("new", start + 20 * DAY)]
    assert kept(checkpoints, Kept(last=1, hourly=0, daily=2)) == ["mid", "new"]


def test_what_is_protected_stays() -> None:
    assert kept(every(1, 4), Kept(last=1, hourly=0, daily=0), "c0000") == ["c0000", "c0003"]


def test_nothing_to_do_for_none() -> None:
    assert expired([], Kept()) == []


@pytest.mark.parametrize("count", [1, 5, 50])
def test_the_oldest_is_named_first(count: int) -> None:
    gone = expired(every(DAY, count), Kept(last=1, hourly=0, daily=0))
    assert gone == sorted(gone)
    assert len(gone) == count - 1
