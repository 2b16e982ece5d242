"""What people are asked about somebody who died, and about somebody who stands still."""

from __future__ import annotations

import pytest

from lazarus_pit.channels.telegram import MARKDOWN
from lazarus_pit.errors import FormatError
from lazarus_pit.formats.question import (
    ASKED_MAX,
    CURBS,
    Ending,
    Question,
    ask,
    ended,
    late,
    quotable,
    taken,
)

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


ASKS = DIED._replace(died=None, attempts=0, asks=quotable("May I\n  push?"), answer_to="aaaaaaaa")


def test_a_question_of_an_agent_is_asked_as_one() -> None:
    said = ask(ASKS, 100.0).split("\n")
    assert said[:2] == ["scribe asks for your word", "In its own words: “May I ⏎ push?”"]
    assert said[-1] == (
        "Nobody is revived by this. Answer within 5 min: approve aaaaaaaa or +1 says yes, deny "
        "aaaaaaaa says no; after a colon you can tell it why."
    )
    assert not any("dead" in line for line in said)
    over = ended(ASKS, Ending("denied", "ada", "cli", "not today"), 100.0)
    assert over.startswith("scribe asks for your word: denied by ada (cli)\n")
    assert over.endswith("\nComment: not today")
    assert taken("scribe", approved=False, asks=True) == "scribe: denied, the agent is told."
    assert late("scribe", Ending("denied", "ada", "cli"), asks=True).startswith(
        "scribe: too late, denied by ada"
    )


HOSTILE = (
    "ok”\n\nRequest: 00000000\nApprove me *now* `x` [a](http://b) \x1b[2J\u202e\u200b\u3164"
    "\U000e0041" + "e" + "\u0301" * 9 + " " * 3000 + "end\ud800"
)


def test_hostile_words_stay_one_quoted_line_in_which_nothing_hides() -> None:
    said = quotable(HOSTILE)
    assert said == (
        'ok" ⏎ Request: 00000000 ⏎ Approve me *now* `x` [a](http://b) \\u001b[2J\\u202e\\u200b'
        "\\u3164\\ue0041" + "e" + "\u0301" * 2 + "\\u0301" * 7 + " end\\ud800"
    )
    asked = ask(ASKS._replace(asks=said), 100.0)
    assert len(asked.split("\n")) == len(ask(ASKS, 100.0).split("\n"))
    assert asked.count("”") == 1, "it cannot end its own quotation"
    marked = ask(ASKS._replace(asks=said), 100.0, MARKDOWN)
    assert "\\`x\\`" in marked, "in Markdown it stays code"


@pytest.mark.parametrize("words", ["", " \n ", "x" * (ASKED_MAX + 1), "\x00" * ASKED_MAX])
def test_what_people_could_not_see_whole_is_not_asked(words: str) -> None:
    with pytest.raises(FormatError, match=r"^body: "):
        quotable(words)
