"""One line of events.jsonl: contract row 1.6; times as RFC 3339; text from strangers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import instant, journal, text
from lazarus_pit.formats.journal import Event

TS = "2026-04-06T00:00:00Z"


@pytest.mark.parametrize(
    ("line", "event", "agent", "data"),
    [
        ({"event": "cell_created", "by": "ann", "uuid": "u"}, "cell_created", None, ["by", "uuid"]),
        ({"event": "agent_joined", "agent": "t", "role": "x"}, "agent_joined", "t", ["role"]),
        ({"event": "heartbeat", "agent": "t", "status": "x"}, "heartbeat", "t", ["status"]),
        ({"event": "agent_left", "agent": "t"}, "agent_left", "t", []),
        ({"event": "agent_invited"}, "agent_invited", None, []),
        ({"event": "cell_archived"}, "cell_archived", None, []),
    ],
)
def test_the_contracts_events_are_read_1_6(
    line: dict[str, Any], event: str, agent: str | None, data: list[str]
) -> None:
    found = journal.parse(json.dumps({"ts": TS, **line}).encode())
    assert (found.ts, found.event, found.agent, list(found.data)) == (TS, event, agent, data)
    assert json.loads(journal.encode(found)) == {"ts": TS, **line}


def test_hostile_text_stays_on_its_line_and_is_inert() -> None:
    said = "a\nb\r\x1b[2J\x9b0m\u2028\u202e\x7f"
    line = journal.encode(Event(ts=TS, event="agent_died", data={"said": said, said: 1}))
    assert line.endswith(b"}\n")
    assert line[:-1].decode().isprintable()
    assert journal.parse(line).data == {"said": said, said: 1}


@pytest.mark.parametrize(
    "event",
    [
        Event(ts=TS, event="Agent Died"),
        Event(ts=TS, event="agent_died\n"),
        Event(ts="yesterday", event="agent_died"),
        Event(ts=TS, event="agent_died", data={"ts": 1}),
        Event(ts=TS, event="agent_died", data={"seq": 1}),
        Event(ts=TS, event="agent_died", data={"x": object()}),
        Event(ts=TS, event="agent_died", data={"x": "\ud800"}),
    ],
)
def test_what_the_journal_cannot_hold_is_refused(event: Event) -> None:
    with pytest.raises(FormatError):
        journal.encode(event)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'{"ts": "2026-04-06T00:00:00Z", "event": "agent_',
        b"[]",
        b'{"event": "agent_died"}',
        b'{"ts": "2026-04-06T00:00:00Z"}',
        b'{"ts": 5, "event": "agent_died"}',
        b'{"ts": "2026-04-06T00:00:00Z", "event": "agent_died", "seq": true}',
        b'{"ts": "2026-04-06T00:00:00Z", "event": "agent_died", "agent": 3}',
        b'{"a": 1}' + b" " * journal.MAX_BYTES,
    ],
    ids=lambda line: repr(line)[:40],
)
def test_what_is_no_event_is_refused(line: bytes) -> None:
    with pytest.raises(FormatError, match="event"):
        journal.parse(line)


@pytest.mark.parametrize(
    ("unix", "digits", "shown"),
    [
        (1775433600.0, 0, "2026-04-06T00:00:00Z"),
        (1775433600.9996, 3, "2026-04-06T00:00:00.999Z"),
        (0.000001, 6, "1970-01-01T00:00:00.000001Z"),
        (-62135596800.0, 0, "0001-01-01T00:00:00Z"),
    ],
)
def test_a_time_is_shown_in_utc(unix: float, digits: int, shown: str) -> None:
    assert instant.to_rfc3339(unix, digits) == shown
    assert abs(instant.from_rfc3339(shown) - unix) < 10**-digits


@pytest.mark.parametrize("unix", [1e300, -1e300, float("inf"), float("nan")])
def test_a_time_without_a_year_is_refused(unix: float) -> None:
    with pytest.raises(FormatError):
        instant.to_rfc3339(unix)


def test_a_cut_text_says_that_it_is_cut() -> None:
    assert text.one_line("abcdef", 6) == "abcdef"
    assert text.one_line("abcdefg", 6) == "abcde…"
    assert text.one_line("\x1b\x1b", 6) == "\\u001…"
