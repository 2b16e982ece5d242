"""What the journal means for an issue: opened at a death, told in, closed at a recovery."""

from __future__ import annotations

from typing import Any

import pytest

from lazarus_pit.channels.incidents import (
    MOST_REPEATS,
    QUESTION,
    Action,
    Close,
    Incident,
    Open,
    Say,
    Scene,
    Settings,
    code,
    follow,
    from_object,
    to_object,
)
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event


def told(
    *events: tuple[str, dict[str, Any]],
    settings: Settings = Settings(),  # noqa: B008 - it cannot be changed
    agent: str = "timmy",
    apart: float = 10.0,
) -> list[list[Action]]:
    """Follow events so many seconds apart, and return what each of them asks for."""
    incident, found = Incident(), []
    for number, (name, data) in enumerate(events):
        stamp = to_rfc3339(1_775_433_600 + number * apart)
        event = Event(ts=stamp, event=name, agent=agent, data=data)
        incident, actions = follow(incident, event, Scene(mission="save the world"), settings)
        found.append(actions)
    return found


DIED = (
    "gateway_died",
    {"dead_for": 312.4, "probes": {"tcp": "failed: refused"}, "heartbeat_age": 400.0},
)
BACK = ("gateway_recovered", {"by": "pool", "dead_for": 330.0})
ITSELF = ("gateway_recovered", {"by": "itself", "dead_for": 330.0})


def test_a_death_opens_an_issue_with_all_that_is_known() -> None:
    (opened,) = told(DIED)[0]
    assert isinstance(opened, Open)
    assert opened.title == "[pool] timmy: agent dead (312s)"
    for line in (
        "- Agent: `timmy`",
        "- Mission: `save the world`",
        "- Dead for: 312 s",
        "- Probe `tcp`: `failed: refused`",
        "- Heartbeat age: 400 s",
        "- Time: 2026-04-06T00:00:00Z",
    ):
        assert line in opened.body.splitlines()
    assert from_object(to_object(opened)) == opened


@pytest.mark.parametrize(
    ("back", "how"), [(BACK, "the pool revived it"), (ITSELF, "it came back by itself")]
)
def test_a_recovery_says_who_did_it_and_closes(back: Any, how: str) -> None:
    (closed,) = told(DIED, back)[1]
    assert isinstance(closed, Close)
    assert closed.close
    assert f"{how} after 6 min" in closed.text


def test_what_people_do_not_want_is_not_done() -> None:
    assert told(DIED, BACK, settings=Settings(open_on_death=False)) == [[], []]
    (closed,) = told(DIED, BACK, settings=Settings(close_on_revive=False))[1]
    assert isinstance(closed, Close)
    assert not closed.close


def test_who_is_asked_there_has_an_issue_whatever_people_want_told() -> None:
    settings = Settings(open_on_death=False, asks_there=True)
    died, asked = told(DIED, ("approval_requested", {"expires_in": 300.0}), settings=settings)
    assert died == []
    assert isinstance(asked[0], Open)


def test_a_death_soon_after_goes_on_in_the_same_issue_and_a_later_one_does_not() -> None:
    for apart, same in ((10.0, True), (100_000.0, False)):
        (opened,) = told(DIED, BACK, DIED, apart=apart)[2]
        assert isinstance(opened, Open)
        assert opened.reopen is same
        assert ("Death number 2" in opened.again) is same


def test_the_same_trouble_is_told_so_often_and_no_more() -> None:
    failed = ("gateway_revive_failed", {"why": "not healthy within 60 s"})
    actions = told(DIED, *[failed] * (2 * MOST_REPEATS), BACK)
    said = [one for some in actions for one in some if isinstance(one, Say)]
    assert len(said) == MOST_REPEATS - 1
    assert "not told here" in said[-1].text
    assert isinstance(actions[-1][0], Close)  # A recovery is always told.


def test_an_escalation_without_a_death_opens_an_issue_too() -> None:
    escalated = ("agent_escalated", {"reason": "cannot_start", "clear": "lazarus revive timmy"})
    opened, said = told(escalated)[0], told(DIED, escalated)[1]
    assert isinstance(opened[0], Open)
    assert isinstance(said[0], Say)
    assert "`lazarus revive timmy`" in said[0].text


def test_one_that_runs_away_has_an_issue_until_it_may_go_on() -> None:
    held = ("approval_requested", {"hold": 1, "why": "budget_turns", "expires_in": 600.0})
    granted = ("approval_granted", {"by": "ada", "via": "web", "hold": 1})
    opened, _, closed = told(held, granted, ("agent_released", {"source": "approved"}))
    assert isinstance(opened[0], Open)
    assert opened[0].title == "[pool] timmy: agent held (budget_turns)"
    assert opened[0].title.startswith(opened[0].prefix)
    assert isinstance(closed[0], Close)
    assert "it goes on, with leave of `ada`" in closed[0].text
    # One that is dead is not alive again because some other wait of it is over.
    assert told(DIED, ("agent_released", {"source": "time"}))[1] == []


def test_who_approved_it_is_said_when_it_is_back() -> None:
    granted = ("approval_granted", {"by": "ada", "via": "telegram"})
    actions = told(DIED, granted, BACK)
    assert "**Approved** by `ada` (`telegram`)." in str(actions[1])
    assert "the pool revived it after 6 min, with leave of `ada`" in str(actions[2])


def test_for_how_long_an_agent_of_a_cell_was_dead_is_reckoned() -> None:
    hung = ("agent_hung", {"beat_age": 130.0})
    actions = told(hung, ("agent_died", {"reason": "hung"}), ("agent_revived", {"took": 1.0}))
    assert "agent dead (130s)" in str(actions[1])
    assert "the pool revived it after 2 min" in str(actions[2])  # 130 s, and 10 s more.


@pytest.mark.parametrize(
    "name",
    [
        "`@everyone` closes #1",
        "**bold** [link](javascript:alert(1)) <img src=x onerror=alert(1)>",
        "two\nlines\r\n- [ ] and more",
        "--> <!-- lazarus:incident=0 -->",
        "```\ncode\n```",
        "x" * 10_000,
        "|a|b|",
        "\u202egnihton",
    ],
)
def test_whatever_an_agent_is_called_has_no_effect(name: str) -> None:
    (opened,) = told(DIED, agent=name)[0]
    assert isinstance(opened, Open)
    assert len(opened.title) < 200
    assert opened.title.isprintable()
    (line,) = (one for one in opened.body.splitlines() if one.startswith("- Agent: "))
    fence = line.removeprefix("- Agent: ").partition(line[9:].lstrip("`")[0])[0]
    inside = line.removeprefix(f"- Agent: {fence}").removesuffix(fence)
    assert line.endswith(fence)
    assert fence not in inside
    assert len(opened.body.splitlines()) == len(told(DIED)[0][0].body.splitlines())  # type: ignore[union-attr]


def test_code_holds_any_run_of_backticks() -> None:
    assert code("a``b") == "```a``b```"
    assert code("`a`") == "`` `a` ``"
    assert code("") == "` - `" or code("") == "`-`"


THERE = Settings(asks_there=True)
ASKS = (QUESTION, {"request": "3fa9c2d1", "question": "May I?"})
ANSWER = (
    "question_answered",
    {"request": "3fa9c2d1", "outcome": "denied", "by": "ada", "comment": "`no` @all"},
)


def test_a_question_has_an_issue_of_its_own_until_it_is_answered() -> None:
    opened, again, alive, over, late = told(
        ASKS, ASKS, ("agent_ready", {}), ANSWER, ANSWER, settings=THERE
    )
    (issue,) = opened
    assert isinstance(issue, Open)
    assert issue.title == "[pool] timmy: agent asks"
    assert "nobody is revived" in issue.body
    assert (again, alive, late) == ([], [], [])
    assert over == [
        Close(
            "**Over**: its question `3fa9c2d1`: `denied` by `ada`. Comment: `` `no` @all ``",
            close=True,
        )
    ]


def test_a_question_of_one_that_died_is_answered_in_its_issue_and_closes_nothing() -> None:
    _, asked, answered = told(DIED, ASKS, ANSWER, settings=THERE)
    assert asked == []
    assert isinstance(answered[0], Say)
    _, died, answered, back = told(ASKS, DIED, ANSWER, BACK, settings=THERE)
    assert [type(one) for one in (*died, *answered, *back)] == [Say, Say, Close]


def test_where_nobody_answers_in_issues_no_question_is_told_there() -> None:
    assert told(ASKS, ANSWER) == [[], []]
