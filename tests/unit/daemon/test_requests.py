"""What a round brings together: the loop's table and the records."""

from __future__ import annotations

import sqlite3

import pytest
from msgspec.structs import replace

from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Decided
from lazarus_pit.core.model import Key, Phase, Rules
from lazarus_pit.daemon.requests import EARLY_SECONDS, Requests
from lazarus_pit.records import approvals
from lazarus_pit.records.database import in_memory

ADA = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11/ada"


@pytest.fixture(name="db")
def _db() -> sqlite3.Connection:
    return in_memory(sqlite3.Connection)


def awaiting(generation: int = 1) -> Agent:
    return Agent(
        key=ADA, rules=Rules(), generation=generation, phase=Phase.AWAITING, since=1.0, due=100.0
    )


def compare(
    requests: Requests, db: sqlite3.Connection, now: float = 2.0
) -> list[tuple[Key, Decided]]:
    return requests.compare(db, requests.begin(0.0), now)


def asking(agents: dict[Key, Agent]) -> Requests:
    requests = Requests(agents)
    requests.ask(ADA)
    return requests


def decide(db: sqlite3.Connection, now: float = 3.0) -> None:
    (open_one,) = approvals.pending(db, now)
    approvals.decide(db, open_one.id, approved=True, by="ann", via="cli", now=now)


def test_who_waits_is_asked_about_and_the_answer_is_heard(db: sqlite3.Connection) -> None:
    requests = asking({ADA: awaiting()})
    assert compare(requests, db) == []
    assert approvals.pending(db, 2.0)[0].expires == 100.0 - EARLY_SECONDS
    decide(db)
    yes = Decided(generation=1, approved=True, by="ann", via="cli")
    assert compare(requests, db) == [(ADA, yes)]


def test_a_request_that_nobody_waits_for_is_closed(db: sqlite3.Connection) -> None:
    agents = {ADA: awaiting()}
    requests = asking(agents)
    compare(requests, db)
    agents[ADA] = Agent(key=ADA, rules=Rules(), generation=2, phase=Phase.RUNNING)
    assert requests.wants_sweep
    compare(requests, db)
    assert approvals.pending(db, 2.0) == []


def test_a_namesake_that_came_while_no_daemon_ran_inherits_nothing(db: sqlite3.Connection) -> None:
    """Removed, and the daemon killed before a round; its name came back before the next began."""
    compare(asking({ADA: awaiting()}), db)
    decide(db)
    agents: dict[Key, Agent] = {}  # What the ledger knows.
    requests = Requests(agents)
    agents[ADA] = awaiting()  # The newcomer, which has died at once.
    requests.ask(ADA)
    assert compare(requests, db) == []
    assert len(approvals.pending(db, 2.0)) == 1


def test_who_was_dismissed_is_let_go_of_even_if_the_records_refuse_at_first(
    db: sqlite3.Connection,
) -> None:
    requests = asking({ADA: awaiting()})
    compare(requests, db)
    requests.dismissed(ADA)
    requests.failed(requests.begin(0.0))
    assert requests.wants_sweep
    before = approvals.pending(db, 2.0)[0].id
    compare(requests, db)
    assert [one.id for one in approvals.pending(db, 2.0)] != [before]


def test_many_are_asked_about_in_one_write(db: sqlite3.Connection) -> None:
    agents = {f"{ADA}-{number}": awaiting() for number in range(50)}
    agents = {key: replace(agent, key=key) for key, agent in agents.items()}
    requests = Requests(agents)
    said: list[str] = []
    db.set_trace_callback(said.append)
    for round_ in (1, 2):
        assert requests.ask_everybody()
        assert compare(requests, db) == []
        assert said.count("COMMIT") == round_
        assert sum(one.startswith("INSERT") for one in said) == 50
    assert len(approvals.pending(db, 2.0)) == 50


def test_what_the_records_refuse_in_the_middle_is_not_done_at_all(db: sqlite3.Connection) -> None:
    agents = {ADA: awaiting(), f"{ADA}-2": replace(awaiting(), key=f"{ADA}-2")}
    requests = Requests(agents)
    assert requests.ask_everybody()
    db.execute(
        "CREATE TRIGGER full BEFORE INSERT ON approvals WHEN (SELECT count(*) FROM approvals) = 1"
        " BEGIN SELECT RAISE(ABORT, 'full'); END"
    )
    with pytest.raises(sqlite3.IntegrityError, match="full"):
        compare(requests, db)
    assert approvals.pending(db, 2.0) == []
    db.execute("DROP TRIGGER full")
    compare(requests, db)
    assert len(approvals.pending(db, 2.0)) == 2


DAY = 86_400.0


def test_a_clock_set_forward_takes_nobody_s_time_to_answer(db: sqlite3.Connection) -> None:
    requests = asking({ADA: awaiting()})
    assert compare(requests, db, 2.0) == []
    (first,) = approvals.pending(db, 2.0)
    assert approvals.expire(db, DAY + 3.0) == 1, "a channel has looked"
    assert requests.compare(db, requests.begin(DAY), DAY + 3.0) == []
    (second,) = approvals.pending(db, DAY + 3.0)
    assert second.id != first.id, "what was shown as expired is asked anew"
    assert second.expires == DAY + 100.0 - EARLY_SECONDS
    assert requests.compare(db, requests.begin(DAY), DAY + 4.0) == []
    assert approvals.pending(db, DAY + 4.0) == [second], "once"
    approvals.decide(db, second.id, approved=True, by="ann", via="cli", now=DAY + 5.0)
    ((_, answer),) = requests.compare(db, requests.begin(DAY), DAY + 6.0)
    assert answer.approved


def test_a_clock_set_back_leaves_no_request_open_that_nobody_waits_for(
    db: sqlite3.Connection,
) -> None:
    agents = {ADA: awaiting()}
    requests = asking(agents)
    assert requests.compare(db, requests.begin(DAY), DAY + 2.0) == []
    assert requests.compare(db, requests.begin(DAY - 3600.0), DAY - 3598.0) == []
    assert len(approvals.pending(db, DAY - 3598.0)) == 1, "asked once"
    agents[ADA] = Agent(key=ADA, rules=Rules(), generation=1, phase=Phase.ESCALATED)
    assert requests.compare(db, requests.begin(DAY - 3600.0), DAY - 3500.0) == []
    assert approvals.pending(db, DAY - 3500.0) == []


def test_time_that_is_over_stays_over(db: sqlite3.Connection) -> None:
    requests = asking({ADA: awaiting()})
    assert compare(requests, db, 2.0) == []
    assert requests.compare(db, requests.begin(0.4), 99.2) == []  # A clock that is slewed.
    assert approvals.pending(db, 99.2) == []
    assert len(approvals.everything(db)) == 1
