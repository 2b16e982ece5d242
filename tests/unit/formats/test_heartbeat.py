"""Beats: contract row 1.7, our additions, and what a hostile agent may write."""

from __future__ import annotations

import pytest

from lazarus_pit.core.model import HoldKind
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import heartbeat
from lazarus_pit.formats.heartbeat import Heartbeat

OF_THE_CONTRACT = (
    b'{"agent": "timmy", "pid": 12345, "timestamp": 1775433600.25, "cycle": 42, "model": "m",'
    b' "status": "thinking", "cell_uuid": "d9b2d63d-a233-4123-847a-7090a1a5f6a1"}'
)


def test_the_contracts_beat_is_read_1_7() -> None:
    assert heartbeat.parse(OF_THE_CONTRACT) == Heartbeat(
        agent="timmy",
        pid=12345,
        timestamp=1775433600.25,
        cycle=42,
        model="m",
        status="thinking",
        cell_uuid="d9b2d63d-a233-4123-847a-7090a1a5f6a1",
    )


@pytest.mark.parametrize("data", [b"", b"\n", b"{}", b'{"cycle": null}', b'{"else": [1]}'])
def test_a_beat_may_say_nothing(data: bytes) -> None:
    assert heartbeat.parse(data) == Heartbeat()


@pytest.mark.parametrize("kind", HoldKind)
def test_a_status_that_is_a_hold_is_one(kind: HoldKind) -> None:
    assert heartbeat.parse(b'{"status": "%s"}' % kind.encode()).hold is kind
    assert heartbeat.parse(b'{"hold": "%s", "hold_until": 9}' % kind.encode()).hold_until == 9.0


def test_a_status_stays_on_its_line_and_is_cut() -> None:
    beat = heartbeat.parse(b'{"status": "a\\nb\\u001b[2J%s"}' % (b"x" * 3000))
    assert beat.status is not None
    assert beat.status.startswith("a\\u000ab\\u001b[2Jx")
    assert beat.status.isprintable()
    assert len(beat.status) == 200


@pytest.mark.parametrize(
    "data",
    [
        b"x",
        b"[]",
        b'{"cycle": "42"}',
        b'{"cycle": -1}',
        b'{"cycle": 9223372036854775808}',
        b'{"cycle": true}',
        b'{"timestamp": "now"}',
        b'{"timestamp": 1e13}',
        b'{"timestamp": -1}',
        b'{"busy_until": 1e999}',
        b'{"hold": "forever"}',
        b'{"status": 1}',
        b'{"status": "' + b"x" * 4096 + b'"}',
        b"\0" * 100,
        b"[" * 4000,
    ],
    ids=lambda data: repr(data)[:40],
)
def test_what_is_no_beat_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="heartbeat"):
        heartbeat.parse(data)


def test_a_beat_that_nobody_would_read_is_not_written() -> None:
    with pytest.raises(FormatError, match="4096"):
        heartbeat.encode(Heartbeat(status="x" * 5000))
