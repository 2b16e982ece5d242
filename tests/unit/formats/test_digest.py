"""One message about many: how many, who, how to answer, and what came of them."""

from __future__ import annotations

import pytest

from lazarus_pit.formats.digest import NAMED, Digest, all_ended, all_taken, ask_all
from lazarus_pit.formats.question import CURBS, Ending

IDS = tuple(f"{number:016x}" for number in range(NAMED + 2))
NAMES = tuple(f"g{number}" for number in range(NAMED))


def digest(why: str = "", mission: str = "Forge") -> Digest:
    return Digest("0123456789abcdef", IDS, NAMES, why, mission, 400.0)


def test_it_says_how_many_who_and_how_to_answer() -> None:
    assert ask_all(digest(), 100.0).split("\n") == [
        "12 agents are dead",
        f"Who: {', '.join(NAMES)} and 2 more (lazarus approvals)",
        "Mission: Forge",
        "Digest: 01234567",
        (
            "Answer within 5 min: revive 01234567 brings all of them back, skip 01234567 leaves all"
            " of them dead this time; with a name in its place, that one alone."
        ),
    ]


@pytest.mark.parametrize("why", CURBS)
def test_what_each_has_run_into_is_said_of_each(why: str) -> None:
    title, *_, last = ask_all(digest(why, ""), 100.0).split("\n")
    assert title.startswith("12 agents stand still: each ") or "each one's mission" in title
    assert "lets all of them go on" in last


def test_each_way_of_ending_is_counted() -> None:
    one = Ending("approved", "ada", "telegram")
    assert "12 agents are dead: approved by ada (telegram)\n" in all_ended(digest(), [one] * 12)
    mixed = [*[one] * 9, Ending("expired", "", ""), Ending("denied", "bob", "cli"), one]
    head = all_ended(digest(), mixed).split("\n")[0]
    assert head == (
        "12 agents are dead: 10 approved by ada (telegram), 1 nobody answered in time,"
        " 1 skipped by bob (cli)"
    )


def test_who_answers_late_for_some_is_told_so() -> None:
    assert all_taken(1, 0, approved=False) == "1 agent: skipped."
    assert all_taken(3, 2, approved=True) == "3 agents: approved. 2 had ended before."
