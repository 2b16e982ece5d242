"""A question goes to people once and its answer comes back once, wherever a daemon was killed."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit.cells.layout import QUESTIONS
from lazarus_pit.core.events import Told
from lazarus_pit.daemon import questions as rounds
from lazarus_pit.daemon.questions import Due, Questions
from lazarus_pit.daemon.router import Answer
from lazarus_pit.formats.question import ASKED_MAX
from lazarus_pit.records import approvals, questions
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.database import opened_records
from office import Office


class Desk(Office):
    """An office whose questions are looked after by a daemon that is killed at will."""

    def restart(self) -> None:
        super().restart()
        self.rounds = Questions(self.pit, self.agents)
        self.told: list[Told] = []

    def look(self) -> Due:
        """A round as the post does it, up to the delivery."""
        due = self.rounds.begin()()
        self.rounds.looked(due)
        for one in due.new:
            self.told.append(rounds.asked_event(one))
            self.rounds.told(one, questions.ASKED)
        return due

    def deliver(self, due: Due) -> None:
        pairs = [(self.desk(one.subject.partition("/")[2]), one) for one in due.over]
        for one, _ in self.rounds.deliver(self.router, pairs):
            self.told.append(rounds.answered_event(one))
            self.rounds.told(one, questions.ANSWERED)

    def requests(self) -> list[Request]:
        with opened_records(self.pit.records) as db:
            return approvals.everything(db)

    def decide(self, *, approved: bool = True) -> str:
        with opened_records(self.pit.records) as db:
            one = approvals.pending(db, time.time())[0]
            more: Any = {"by": "eve", "via": "telegram", "comment": "on staging"}
            return approvals.decide(db, one.id, approved=approved, now=time.time(), **more).reply

    def decide_again(self) -> str:
        (one,) = self.requests()
        with opened_records(self.pit.records) as db:
            return approvals.decide(
                db, one.id, approved=True, by="mallory", via="cli", now=time.time()
            ).reply

    def put(self, sender: str, mail_id: str = "mail-0001", **more: Any) -> Answer:
        found = self.ask("ask", sender, mail_id, **more)
        assert found is not None
        return found

    def shown(self, who: str) -> list[dict[str, str]]:
        found: dict[str, list[dict[str, str]]] = json.loads(
            (self.cell.published(who) / QUESTIONS).read_bytes()
        )
        return found["questions"]


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_question_is_asked_and_its_answer_comes_back(office: Desk) -> None:
    office.drop("ask", "ben", body="May I\npush?")
    office.router.route([office.desk("ben")])
    (asked,) = office.requests()
    assert (asked.generation, asked.facts, asked.is_question) == (
        3,
        {"question": "May I ⏎ push?"},
        True,
    )
    assert "people are asked until" in office.inbox("ben")[0]["body"]
    assert (
        office.shown("ben")[0] | {"id": "mail-0001", "state": "waiting"} == office.shown("ben")[0]
    )
    office.deliver(office.look())
    assert office.decide() == "decided"
    office.deliver(office.look())
    assert [one.event for one in office.told] == ["question_asked", "question_answered"]
    answer = office.inbox("ben")[1]
    assert (answer["from"], answer["reply_to"]) == ("lazarus-pit", "mail-0001")
    assert answer["subject"] == "approved by eve (telegram)"
    assert "Comment: on staging\nYou asked: May I ⏎ push?" in answer["body"]
    (shown,) = office.shown("ben")
    assert (shown["state"], shown["by"], shown["comment"]) == ("approved", "eve", "on staging")
    assert not office.agents[office.desk("ben").key].generation, "nobody was revived by it"


def test_killed_between_any_two_steps_it_is_asked_once_and_answered_once(office: Desk) -> None:
    office.drop("ask", "ben", body="May I?")
    letter = (office.cell.outbox("ben") / "1.json").read_bytes()
    office.put("ben", body="May I?")  # Killed before the answer.
    office.restart()
    office.router.route([office.desk("ben")])
    (office.cell.outbox("ben") / "1.json").write_bytes(letter)  # Killed before it was removed.
    office.restart()
    office.router.route([office.desk("ben")])
    assert len(office.requests()) == 1
    office.look()
    office.restart()  # Killed before it is noted what was told: it is told again.
    office.look()
    assert [one.event for one in office.told] == ["question_asked"]
    assert office.decide(approved=False) == "decided"
    office.restart()
    office.look()  # Killed before the answer is delivered.
    office.restart()
    office.deliver(office.look())
    office.restart()  # Killed before it is noted that it was.
    office.deliver(office.look())
    assert [one["subject"] for one in office.inbox("ben")] == [
        "Re: ask",
        "denied by eve (telegram)",
    ]
    assert office.decide_again() == "already decided"


def test_what_was_told_is_noted_and_told_no_more(
    office: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "COMMITTED", 0.0)
    assert office.put("ben", body="May I?", expires="2001-01-01T00:00:00Z").sort
    office.put("ben", body="May I?")
    assert office.look().open
    assert not office.look().new
    office.restart()
    assert not office.look().new, "the records know"
    with opened_records(office.pit.records) as db:
        db.execute("UPDATE approvals SET expires = 1.0")
    office.deliver(office.look())
    assert office.inbox("ben")[-1]["subject"] == "expired"
    office.look()
    assert not office.look().open, "there is nothing left to do"


def test_a_refusal_says_what_to_do(office: Desk) -> None:
    for number in range(questions.OPEN_MAX):
        assert not office.put("ben", f"mail-100{number}", body="May I?").sort
    why = {
        "flood": office.put("ben", "mail-more", body="May I?"),
        "empty": office.put("cat", body=" \n"),
        "long": office.put("cat", body="x" * (ASKED_MAX + 1)),
        "observer": office.put("obs", body="May I?"),
    }
    assert all(answer.sort for answer in why.values())
    assert "go on with what needs no approval" in why["flood"].text
    assert "what you want to do, and why" in why["empty"].text
    assert "file of the workspace" in why["long"].text
    assert "only coordinators, developers, reviewers may ask" in why["observer"].text
    assert len(office.requests()) == questions.OPEN_MAX


def test_one_of_the_same_name_who_came_while_no_daemon_ran_gets_nobody_elses_answer(
    office: Desk,
) -> None:
    office.put("ben", body="May I?")
    office.agents.pop(office.desk("ben").key)
    office.restart()
    office.look()
    (asked,) = office.requests()
    assert asked.outcome == "superseded"
    office.put("ben", body="May I?")
    assert [one.outcome for one in office.requests()] == ["superseded", "open"]
