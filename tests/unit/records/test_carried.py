"""A channel carries each open request once, and shows how each ended."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lazarus_pit.records import approvals, carried, questions
from lazarus_pit.records.database import opened_records

ADA = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11/ada"
TELEGRAM, NOSTR = "telegram", "nostr"


@pytest.fixture(name="db")
def _db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with opened_records(tmp_path / "records.db") as db:
        yield db


def ask(db: sqlite3.Connection, generation: int = 1) -> approvals.Request:
    return approvals.open_request(db, ADA, generation, {}, expires=100.0, now=1.0)


def carry(
    db: sqlite3.Connection, one: approvals.Request, receipt: str = "41", at: float = 2.0
) -> None:
    approvals.delivered(db, one.id, TELEGRAM, receipt, now=at)


def test_each_channel_carries_what_is_open(db: sqlite3.Connection) -> None:
    one = ask(db)
    carry(db, one)
    assert carried.uncarried(db, TELEGRAM, 3.0) == []
    assert carried.uncarried(db, NOSTR, 3.0) == [one]
    assert carried.uncarried(db, NOSTR, 100.0) == []  # Its time is over.


def test_how_it_ended_is_shown_once(db: sqlite3.Connection) -> None:
    one = ask(db)
    carry(db, one)
    assert carried.unsettled(db, TELEGRAM) == []
    approvals.decide(db, one.id, approved=True, by="eve", via="cli", now=4.0)
    (found,) = carried.unsettled(db, TELEGRAM)
    assert (found.request.by, found.receipt, found.at, found.closed) == ("eve", "41", 2.0, 4.0)
    assert carried.unsettled(db, NOSTR) == []  # It has nothing to show: it carried nothing.
    carried.settle(db, one.id, TELEGRAM, 5.0)
    assert carried.unsettled(db, TELEGRAM) == []


@pytest.mark.parametrize("end", ["expired", "superseded", "retired"])
def test_any_end_is_shown(db: sqlite3.Connection, end: str) -> None:
    carry(db, ask(db))
    match end:
        case "expired":
            approvals.expire(db, 200.0)
        case "superseded":
            ask(db, 2)
        case _:
            approvals.retire(db, ADA, 3.0)
    assert len(carried.unsettled(db, TELEGRAM)) == 1


def test_what_the_service_will_not_take_is_left_alone(db: sqlite3.Connection) -> None:
    carry(db, ask(db), receipt="")
    approvals.expire(db, 200.0)
    assert carried.uncarried(db, TELEGRAM, 3.0) == []
    assert carried.unsettled(db, TELEGRAM) == []
    assert carried.carried(db, TELEGRAM) == []


def test_what_was_carried_is_remembered_when_it_is_closed(db: sqlite3.Connection) -> None:
    old = ask(db)
    carry(db, old, "41")
    carry(db, ask(db, 2), "42", 3.0)
    found = [(one.receipt, one.request.outcome) for one in carried.carried(db, TELEGRAM)]
    assert found == [("41", "superseded"), ("42", "open")]


def test_a_channel_notes_what_it_must_not_forget(db: sqlite3.Connection) -> None:
    carried.note(db, TELEGRAM, {"offset": "1", "chat": "-7"})
    carried.note(db, TELEGRAM, {"offset": "2"})
    carried.note(db, NOSTR, {"offset": "9"})
    assert carried.recall(db, TELEGRAM) == {"offset": "2", "chat": "-7"}


OF_VERSION_1 = """
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    subject TEXT NOT NULL,
    generation INTEGER NOT NULL,
    facts TEXT NOT NULL,
    asked REAL NOT NULL,
    expires REAL NOT NULL,
    outcome TEXT NOT NULL DEFAULT 'open'
        CHECK (outcome IN ('open', 'approved', 'denied', 'expired', 'superseded')),
    decided_by TEXT NOT NULL DEFAULT '',
    via TEXT NOT NULL DEFAULT '',
    closed REAL,
    decision INTEGER UNIQUE,
    retired INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX one_a_death ON approvals (subject, generation) WHERE NOT retired;
CREATE INDEX still_open ON approvals (asked) WHERE outcome = 'open';
CREATE TABLE deliveries (
    approval TEXT NOT NULL REFERENCES approvals (id),
    channel TEXT NOT NULL,
    receipt TEXT NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (approval, channel)
) STRICT;
INSERT INTO approvals (id, subject, generation, facts, asked, expires)
    VALUES ('00000000000000aa', 'cell/ada', 1, '{}', 1.0, 100.0);
INSERT INTO deliveries VALUES ('00000000000000aa', 'telegram', '41', 2.0);
"""
"""What the first release made; the second had only more tables."""


@pytest.mark.parametrize("version", [1, 2])
def test_records_of_an_earlier_release_are_brought_up_to_date(tmp_path: Path, version: int) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(f"{OF_VERSION_1} PRAGMA user_version = {version};")
    for _ in range(2):  # The second time there is nothing to do.
        with opened_records(path) as db:
            (one,) = approvals.pending(db, 2.0)
            assert (one.subject, one.comment, one.is_question) == ("cell/ada", "", False)
            assert approvals.open_request(db, "cell/ada", 1, {}, expires=9.0, now=2.0) == one
            assert carried.recall(db, TELEGRAM) == {}
            assert approvals.receipts(db, one.id) == {"telegram": "41"}
    with opened_records(path) as db:
        asked = questions.ask(db, "cell/ada", 1, "mail-0001", "May I?", expires=9.0, now=2.0)
        assert approvals.pending(db, 2.0) == [one, asked], "a life may ask beside its death"
