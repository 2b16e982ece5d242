"""Every event that is written has its sentence, whatever its data are."""

import re
from pathlib import Path

import pytest

import lazarus_pit
from lazarus_pit.cli.sentences import SENTENCES, sentence
from lazarus_pit.formats.journal import Event

SOURCE = Path(lazarus_pit.__file__).parent
TOLD = re.compile(
    r"""(?:tell\(\s*\w+,\s*|Told\(\s*event=|_event\(\s*|CellStatus\.\w+:\s*)"([a-z]+_[a-z_]+|heartbeat)\""""
)
WRITERS = ("core", "daemon", "cells")


def written() -> set[str]:
    texts = [path.read_text() for name in WRITERS for path in (SOURCE / name).rglob("*.py")]
    return {event for text in texts for event in TOLD.findall(text)}


def test_every_event_that_is_written_has_a_sentence() -> None:
    events = written()
    assert {"agent_died", "cell_created", "observer_doubted", "cell_frozen"} <= events
    assert events <= set(SENTENCES), f"no sentence for {sorted(events - set(SENTENCES))}"


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
