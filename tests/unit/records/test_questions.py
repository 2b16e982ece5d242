"""A question of an agent is asked once, answered once, bounded in number, and starts nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazarus_pit.core.model import FleetRules
from lazarus_pit.errors import RefusedError
from lazarus_pit.records import approvals, questions
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.database import opened_records

ADA = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11/ada"
BEN = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11/ben"


@pytest.fixture(name="db")
def _db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with opened_records(tmp_path / "records.db") as db:
        yield db


def ask(
    db: sqlite3.Connection, mail: str = "mail-0001", who: str = ADA, now: float = 1.0
) -> Request:
    return questions.ask(db, who, 2, mail, "May I?", expires=now + 60.0, now=now)


def say(db: sqlite3.Connection, one: Request, *, yes: bool = True, now: float = 2.0) -> str:
    return approvals.decide(
        db, one.id, approved=yes, by="eve", via="cli", now=now, comment="on staging"
    ).reply


def test_asked_again_in_the_same_mail_it_is_the_same_question(db: sqlite3.Connection) -> None:
    first = ask(db)
    assert ask(db, now=30.0) == first
    assert say(db, first) == "decided"
    again = ask(db)
    assert (again.outcome, again.by, again.comment) == ("approved", "eve", "on staging")
    assert say(db, first, yes=False) == "already decided"


def test_a_question_and_a_death_of_one_life_are_two_requests(db: sqlite3.Connection) -> None:
    asked = ask(db)
    death = approvals.open_request(db, ADA, 2, {}, expires=100.0, now=1.0)
    assert death.id != asked.id
    assert say(db, asked) == "decided"
    same = approvals.open_request(db, ADA, 2, {}, expires=100.0, now=3.0)
    assert (same.id, same.outcome) == (death.id, "open"), "no answer to a question revives"


def test_a_question_outlives_deaths_and_goes_with_its_asker(db: sqlite3.Connection) -> None:
    asked = ask(db)
    approvals.open_request(db, ADA, 3, {}, expires=100.0, now=1.0)
    approvals.supersede(db, ADA, 2.0)
    approvals.retire(db, ADA, 2.0, deaths_alone=True)
    assert approvals.pending(db, 2.0) == [asked]
    approvals.retire(db, ADA, 3.0)
    assert approvals.pending(db, 3.0) == []
    assert questions.untold(db, 3.0) == ([], []), "nobody is there to be told"
    assert ask(db, now=4.0).id != asked.id, "one of its name that comes later is somebody else"


def test_what_is_not_told_is_found_again(db: sqlite3.Connection) -> None:
    one, late = ask(db), ask(db, "mail-0002")
    assert questions.untold(db, 2.0) == ([one, late], [])
    questions.told(db, one.id, questions.ASKED)
    say(db, one)
    new, over = questions.untold(db, 2.0)
    assert (new, [found.id for found in over]) == ([late], [one.id])
    questions.told(db, one.id, questions.ANSWERED)
    questions.told(db, one.id, questions.ASKED)
    new, over = questions.untold(db, 100.0)
    assert [(found.id, found.outcome) for found in (*new, *over)] == [(late.id, "expired")] * 2


def test_an_agent_cannot_flood_people(db: sqlite3.Connection) -> None:
    asked = [ask(db, f"mail-{number:04}") for number in range(questions.OPEN_MAX)]
    with pytest.raises(RefusedError, match=r"3 questions of yours wait .* ends in 1 min"):
        ask(db, "mail-more")
    assert ask(db, "mail-0000") == asked[0], "one that is there is no new one"
    ask(db, who=BEN)
    for number in range(questions.OPEN_MAX, questions.ASKED_MAX):
        say(db, ask(db, f"mail-{number:04}", now=100.0 * number), now=100.0 * number)
    with pytest.raises(RefusedError, match="10 questions of yours within 1 h"):
        ask(db, "mail-more", now=1000.0)
    ask(db, "mail-more", now=questions.ASKED_WINDOW + 2.0)


def test_the_latest_come_first(db: sqlite3.Connection) -> None:
    asked = [ask(db, f"mail-{number:04}", now=100.0 * number) for number in range(4)]
    ask(db, who=BEN)
    assert [one.id for one in questions.latest(db, ADA, 2)] == [asked[3].id, asked[2].id]


def test_no_cell_and_no_fleet_wears_people_down(db: sqlite3.Connection) -> None:
    def fill(cell: int, count: int) -> None:
        for number in range(count):
            asker = f"{cell:08}-2f64-4f0e-9d0a-6d2b7a3f1c11/agent-{number}"
            ask(db, f"mail-{number:04}", asker)

    fill(0, questions.USUAL.questions_cell)
    with pytest.raises(RefusedError, match="12 questions of your cell wait for people already"):
        ask(db, "mail-9999", "00000000-2f64-4f0e-9d0a-6d2b7a3f1c11/zoe")
    ask(db, "mail-9999", ADA)  # Another cell's question is another matter ...
    for cell in range(1, questions.USUAL.questions_fleet // questions.USUAL.questions_cell - 1):
        fill(cell, questions.USUAL.questions_cell)
    with pytest.raises(RefusedError, match="questions of all cells wait"):
        fill(50, questions.USUAL.questions_cell)  # ... up to where nobody reads them any more.
    first = next(one for one in approvals.pending(db, 2.0) if one.subject == ADA)
    assert say(db, first) == "decided"
    ask(db, "mail-9998", BEN)


def test_how_much_people_are_asked_at_once_is_a_setting(db: sqlite3.Connection) -> None:
    ask(db)
    few = FleetRules(questions_cell=1)
    with pytest.raises(RefusedError, match="1 questions of your cell"):
        questions.ask(db, BEN, 1, "mail-0001", "May I?", expires=61.0, now=1.0, fleet=few)
