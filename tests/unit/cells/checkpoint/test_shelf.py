"""The store: names, the lock, and files that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lazarus_pit.cells.checkpoint import index, shelf
from lazarus_pit.cells.checkpoint.index import Index
from lazarus_pit.errors import RefusedError, UsageError, WorldError

FIRST, SECOND = "20260406T000000.123456Z", "20260406T000001.000000Z"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    store = tmp_path / "checkpoints"
    store.mkdir()
    for name in (FIRST, SECOND):
        (store / f"{name}.tar.gz").write_bytes(name.encode())
        (store / f"{name}.idx").touch()
    (store / "notes.tar.gz").touch()
    (store / "20269999T000000.000000Z.tar.gz").touch()
    return store


def test_a_name_is_its_instant() -> None:
    instant = 1_775_433_600_123_456_000
    assert shelf.name_of(instant) == FIRST
    assert shelf.instant_of(FIRST) == pytest.approx(instant / 1e9)


def test_checkpoints_are_listed_by_age_and_strangers_passed_over(store: Path) -> None:
    assert [one.name for one in shelf.checkpoints(store)] == [FIRST, SECOND]
    assert shelf.checkpoints(store)[0].size == len(FIRST)
    assert shelf.checkpoints(store / "none") == []


@pytest.mark.parametrize("wanted", [SECOND, SECOND + ".tar.gz", "20260406T000001", "latest"])
def test_a_checkpoint_is_found_by_what_people_type(store: Path, wanted: str) -> None:
    assert shelf.find(store, wanted).name == SECOND


@pytest.mark.parametrize(
    ("wanted", "why"), [("2026", "fits several"), ("2031", "does not exist"), ("", "fits several")]
)
def test_what_names_none_is_told_what_there_is(store: Path, wanted: str, why: str) -> None:
    with pytest.raises(UsageError, match=f"{why}; there are: {FIRST}, {SECOND}"):
        shelf.find(store, wanted)
    with pytest.raises(UsageError, match="there is no checkpoint yet"):
        shelf.find(store / "none", "latest")


def test_discarding_takes_the_index_too(store: Path) -> None:
    shelf.discard(store, FIRST)
    assert not [name for name in os.listdir(store) if name.startswith(FIRST)]
    shelf.discard(store, FIRST)
    assert len(shelf.checkpoints(store)) == 1


def test_one_writer_at_a_time_and_leftovers_go(store: Path) -> None:
    (store / ".lazarus-deadbeef.part").touch()
    (store / ".somebody-elses.part").touch()
    with shelf.locked(store):
        assert not (store / ".lazarus-deadbeef.part").exists()
        assert (store / ".somebody-elses.part").exists()
        with (
            pytest.raises(RefusedError, match="another checkpoint is being taken"),
            shelf.locked(store),
        ):
            pass
    with shelf.locked(store):
        pass


def test_a_file_has_its_old_content_or_its_new(store: Path) -> None:
    with shelf.locked(store) as fd:
        shelf.write_whole(fd, "x.idx", b"one")
        shelf.write_whole(fd, "x.idx", b"two")
        assert (store / "x.idx").read_bytes() == b"two"
        nameless = shelf.nameless(fd)
        assert os.fstat(nameless).st_nlink == 0
        os.close(nameless)
        with pytest.raises(WorldError, match=r"no room .* 1,152,921,504,606,846,976 needed"):
            shelf.room(fd, 1 << 60)


def test_the_base_is_the_archive_whose_index_is_newest_and_fits(store: Path) -> None:
    with shelf.base_of(store) as base:
        assert base is None
    first = store / f"{FIRST}.idx"
    first.write_bytes(index.encode(Index(len(FIRST), {}, [], [])))
    os.utime(first, ns=(1 << 62, 1 << 61))
    with shelf.base_of(store) as base:
        assert base is not None
        assert os.pread(base.archive, 99, 0) == FIRST.encode()
    first.write_bytes(index.encode(Index(5, {}, [], [])))
    os.utime(first, ns=(1 << 62, 1 << 61))
    with shelf.base_of(store) as base:
        assert base is None
    (store / f"{FIRST}.tar.gz").unlink()
    with shelf.base_of(store) as base:
        assert base is None


def test_the_latest_comes_last_though_the_clock_was_set_back(tmp_path: Path) -> None:
    early, late = 1_700_000_000_000_000_000, 1_800_000_000_999_999_000
    assert shelf.next_name(tmp_path, early) == shelf.name_of(early)
    (tmp_path / f"{shelf.name_of(late)}{shelf.ARCHIVE}").touch()
    assert shelf.next_name(tmp_path, early) == shelf.name_of(late + 1000)
    assert shelf.next_name(tmp_path, late) == shelf.name_of(late + 1000)
    assert shelf.next_name(tmp_path, late + 1000) == shelf.name_of(late + 1000)
