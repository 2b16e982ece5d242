"""Whatever happened at once is one notice, and whatever a name holds it stays one line."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.notices import LINES, News, compose


def news(event: str, agent: str = "scribe", place: str = "pond", **data: Any) -> News:
    return News(place, Event(ts="2026-04-06T00:00:00Z", event=event, agent=agent, data=data))


DIED = news("agent_died", reason="exited", exit="exit 3")


def test_a_death_alone() -> None:
    notice = compose([DIED])
    assert notice is not None
    assert notice == ("pond/scribe died", "pond/scribe: died: exited exit 3", True)


def test_a_death_and_what_follows_are_one() -> None:
    clear = "lazarus revive pond/scribe"
    notice = compose(
        [DIED, news("approval_requested"), news("agent_escalated", reason="denied", clear=clear)]
    )
    assert notice is not None
    assert notice.title == "pond/scribe died and was given up"
    assert notice.text == f"pond/scribe: died: exited exit 3; given up: denied; {clear}"
    asked = compose([news("approval_requested", "timmy", "")])
    assert asked == (
        "timmy waits for a word",
        "timmy: lazarus approve timmy, or deny",
        False,
    )


def test_what_was_answered_meanwhile_is_not_asked() -> None:
    notice = compose([DIED, news("approval_requested"), news("approval_granted"), DIED])
    assert notice is not None
    assert "approve" not in notice.text
    assert "died 2 times, last: exited exit 3" in notice.text


def test_a_question_is_told_as_one_and_outlives_a_death() -> None:
    asked = news("question_asked", request="3fa9c2d1", question="May I?\n*now*")
    notice = compose([asked, asked, DIED])
    assert notice is not None
    assert notice.title == "pond/scribe died and waits for a word"
    assert notice.text.endswith("; asks you: lazarus approvals, then approve or deny 3fa9c2d1")
    assert compose([asked, news("question_answered", request="3fa9c2d1")]) is None
    assert compose([news("approval_granted")]) is None, "that nobody waits is no news"


def test_a_mass_death_is_one_notice() -> None:
    notice = compose(
        [news("agent_died", f"agent-{number}", exit="signal 9") for number in range(1000)]
        + [news("approval_requested", f"agent-{number}") for number in range(7)]
    )
    assert notice is not None
    assert notice.title == "1000 agents: 1000 died, 7 wait for a word"
    assert len(notice.text.splitlines()) == LINES + 1
    assert "990 more" in notice.text


def test_other_events_are_nobodys_business() -> None:
    assert compose([news("agent_started"), news("heartbeat_stale")]) is None
    assert compose([]) is None


@given(
    st.text(min_size=1), st.text(), st.text(), st.sampled_from(["agent_died", "agent_escalated"])
)
def test_a_name_may_hold_anything(agent: str, place: str, reason: str, event: str) -> None:
    notice = compose([news(event, agent, place, reason=reason, clear=reason)])
    assert notice is not None
    assert len(notice.title.splitlines()) == 1
    assert len(notice.text.splitlines()) == 1
    assert len(notice.title) + len(notice.text) < 800
