"""Every event that is written has its sentence, whatever its data are."""

import re
from pathlib import Path

import pytest

from lazarus_pit.cli.sentences import ESCALATIONS, SENTENCES, sentence
from lazarus_pit.formats.journal import Event

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "events.md").read_text()
"""Names every event that the code can tell; tests/docs sees to that."""


def test_every_event_that_is_written_has_a_sentence() -> None:
    rows = re.findall(r"^\| (`[^|]*`) \|", PAGE, re.MULTILINE)
    events = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert {"agent_died", "cell_created", "observer_doubted", "cell_frozen"} <= events
    assert events - set(SENTENCES) == set()


def test_every_reason_of_an_escalation_has_words() -> None:
    reasons = re.search(r"^Reasons of an escalation: (.*)$", PAGE, re.MULTILINE)
    assert reasons
    assert set(re.findall(r"`(\w+)`", reasons[1])) == set(ESCALATIONS)


@pytest.mark.parametrize("name", [*sorted(SENTENCES), "something_new"])
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"reason": "\x1b[2J", "why": "\x1b[2J", "exit": "\r\n", "took": "soon", "by": "\x07"},
        {"reason": 7, "generation": [1], "took": 1e300, "beat_age": -1.0, "hold": None},
    ],
)
def test_hostile_data_are_said_inertly(name: str, data: dict[str, object]) -> None:
    event = Event(ts="2026-04-06T00:00:00Z", event=name, agent="a\x1b[31m", data=dict(data))
    said = sentence(event)
    assert said.isprintable()
    assert len(said) < 1000


def test_a_death_tells_how_and_when() -> None:
    data = {"reason": "hung", "exit": "signal 9", "uptime": 61.0, "generation": 2}
    event = Event(ts="2026-04-06T00:00:00Z", event="agent_died", agent="scribe", data=data)
    assert sentence(event) == (
        "scribe died: it had gone silent and was ended (signal 9, after 1 min)"
    )


def test_the_agent_is_the_subject_of_a_sentence_or_stands_aside() -> None:
    def said(event: str, **data: object) -> str:
        return sentence(Event(ts="2026-04-06T00:00:00Z", event=event, agent="ada", data=data))

    assert said("agent_ordered", order="stop", by="eve") == "ada: eve asked for a stop"
    assert said("agent_thawed") == "ada moves again"
    assert said("messages_delivered", times=1) == "ada sent mail that arrived (once)"
    assert said("messages_delivered", times=2) == "ada sent mail that arrived (2 times)"
