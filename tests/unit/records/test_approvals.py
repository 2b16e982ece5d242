"""A request is answered once, in time, or never; nobody else's answer changes it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lazarus_pit.errors import StoreError
from lazarus_pit.records import approvals, carried
from lazarus_pit.records.database import VERSION, opened_records, set_aside

ADA = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11/ada"


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "records.db"


@pytest.fixture(name="db")
def _db(path: Path) -> Iterator[sqlite3.Connection]:
    with opened_records(path) as db:
        yield db


def ask(db: sqlite3.Connection, generation: int = 1, subject: str = ADA) -> approvals.Request:
    facts = {"exit": "killed by SIGKILL"}
    return approvals.open_request(db, subject, generation, facts, expires=100.0, now=1.0)


def say(db: sqlite3.Connection, one: str, *, yes: bool = True, now: float = 2.0) -> str:
    return approvals.decide(db, one, approved=yes, by="eve", via="cli", now=now).reply


def test_a_death_is_asked_about_once(db: sqlite3.Connection) -> None:
    first = ask(db)
    assert ask(db) == first
    assert approvals.pending(db, 2.0) == [first]
    assert first.facts == {"exit": "killed by SIGKILL"}


def test_what_was_closed_long_ago_is_let_go_of(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approvals, "KEPT", 3)
    answered = ask(db, 1)
    approvals.delivered(db, answered.id, "telegram", "7", now=1.0)
    carried.settle(db, answered.id, "telegram", 1.0)
    say(db, answered.id)
    for generation in range(2, 20):
        last = ask(db, generation)  # The one before it is superseded.
    assert len(approvals.everything(db)) == 19, "all of them are young"
    say(db, last.id)
    later = 200.0 + approvals.KEPT_SECONDS
    for generation in (20, 21, 22):
        approvals.open_request(db, ADA, generation, {}, expires=2 * later, now=later)
    found = approvals.everything(db)
    assert [one.generation for one in found] == [19, 20, 21, 22]
    assert (found[0].outcome, found[0].decision) == ("approved", 2)
    assert approvals.receipts(db, answered.id) == {}


def test_the_first_answer_stands(db: sqlite3.Connection) -> None:
    one = ask(db)
    assert say(db, one.id) == "decided"
    late = approvals.decide(db, one.id, approved=False, by="mallory", via="web", now=3.0)
    assert late.reply == "already decided"
    assert late.request is not None
    assert (late.request.outcome, late.request.by, late.request.via) == ("approved", "eve", "cli")
    assert ask(db).outcome == "approved"  # Asked again after a crash: the answer is there.


def test_an_answer_after_its_time_is_none(db: sqlite3.Connection) -> None:
    one = ask(db)
    assert say(db, one.id, now=100.0) == "expired"
    assert approvals.decisions_after(db, 0) == []
    assert approvals.pending(db, 2.0) == []


def test_an_unknown_request_changes_nothing(db: sqlite3.Connection) -> None:
    one = ask(db)
    assert say(db, one.id[:4]) == "unknown"
    assert approvals.everything(db) == [one]


def test_a_later_death_supersedes_the_request_about_an_earlier_one(db: sqlite3.Connection) -> None:
    old, new = ask(db, 1), ask(db, 2)
    assert say(db, old.id) == "superseded"
    assert say(db, new.id, yes=False) == "decided"


def test_a_revive_by_hand_supersedes(db: sqlite3.Connection) -> None:
    one, other = ask(db), ask(db, subject="pool/far")
    assert approvals.supersede(db, ADA, 2.0) == 1
    assert say(db, one.id) == "superseded"
    assert approvals.pending(db, 2.0) == [other]


def test_a_newcomer_does_not_inherit_the_answer_to_its_namesake(db: sqlite3.Connection) -> None:
    old = ask(db)
    say(db, old.id)
    approvals.retire(db, ADA, 3.0)
    new = ask(db)
    assert (new.outcome, new.id == old.id) == ("open", False)
    assert approvals.decisions_after(db, 0) == []


def test_decisions_are_found_behind_a_cursor(db: sqlite3.Connection) -> None:
    one, two = ask(db), ask(db, subject="pool/far")
    say(db, two.id)
    say(db, one.id, yes=False)
    assert [found.id for found in approvals.decisions_after(db, 0)] == [two.id, one.id]
    assert [found.id for found in approvals.decisions_after(db, 1)] == [one.id]


def test_a_receipt_stands(db: sqlite3.Connection) -> None:
    one = ask(db)
    assert approvals.delivered(db, one.id, "telegram", "41", now=2.0)
    assert not approvals.delivered(db, one.id, "telegram", "42", now=3.0)
    assert approvals.receipts(db, one.id) == {"telegram": "41"}


def test_of_many_who_answer_at_once_one_decides(db: sqlite3.Connection, path: Path) -> None:
    one = ask(db)

    def answer(number: int) -> str:
        with opened_records(path) as own:
            return say(own, one.id, yes=number % 2 == 0)

    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(answer, range(6)))
    assert sorted(replies) == ["already decided"] * 5 + ["decided"]


def test_only_the_owner_can_read(db: sqlite3.Connection, path: Path) -> None:
    ask(db)
    files = [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))]
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * 3


@pytest.mark.parametrize("damage", [b"no database at all" * 100, None])
def test_a_damaged_file_is_set_aside(path: Path, damage: bytes | None) -> None:
    with opened_records(path) as db:
        ask(db)
    whole = path.read_bytes()
    path.write_bytes(damage or whole[:4096] + b"\xff" * (len(whole) - 4096))
    with contextlib.suppress(StoreError), opened_records(path) as db:
        approvals.everything(db)  # Whoever meets the damage has the file looked at once more.
    with opened_records(path) as db:
        assert approvals.everything(db) == []
        ask(db)
    assert len(set_aside(path)) == 1
    with opened_records(path) as db:
        assert len(approvals.everything(db)) == 1


def test_the_records_of_a_later_release_are_left_alone(path: Path) -> None:
    with opened_records(path) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(StoreError, match=f"version {VERSION + 1}, expected at most {VERSION}"):
        opened_records(path).__enter__()
    assert set_aside(path) == []


def test_what_is_no_file_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError, match=r"records\.db"):
        opened_records(path).__enter__()


def test_a_killed_writer_leaves_its_committed_answer(path: Path) -> None:
    with opened_records(path) as db:
        one = ask(db)
    if (child := os.fork()) == 0:
        with opened_records(path) as db:
            say(db, one.id)
            os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with opened_records(path) as db:
        assert say(db, one.id) == "already decided"
