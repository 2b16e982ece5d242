"""What people are asked about somebody who died, and about somebody who stands still."""

from __future__ import annotations

import pytest

from lazarus_pit.formats.question import CURBS, Question, ask

DIED = Question("a" * 16, "scribe", "cell pond", "Count limpets", 40.0, 1, {}, 400.0, "scribe")


def test_a_death_is_asked_about_as_one() -> None:
    said = ask(DIED, 100.0)
    assert said.startswith(
        "scribe is dead\nDead for: 60 s, after 1 revive\n".replace("60 s", "1 min")
    )
    assert "brings it back" in said


@pytest.mark.parametrize("why", [*CURBS, "something new"])
def test_a_hold_is_asked_about_as_one(why: str) -> None:
    said = ask(DIED._replace(died=None, attempts=0, why=why, held=70.0), 100.0)
    assert said.startswith(f"scribe stands still: {CURBS.get(why, why)}\nHeld for: 30 s\n")
    assert "revive scribe or +1 lets it go on, skip scribe ends it." in said
    assert "dead" not in said
