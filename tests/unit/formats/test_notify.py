"""sd_notify(3) datagrams."""

from __future__ import annotations

import pytest

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import notify
from lazarus_pit.formats.notify import Notice


@pytest.mark.parametrize(
    ("data", "notice"),
    [
        (b"READY=1", Notice(ready=True)),
        (b"READY=1\nSTATUS=serving\n", Notice(ready=True, status="serving")),
        (b"WATCHDOG=1", Notice(watchdog=True)),
        (b"WATCHDOG=trigger", Notice()),
        (b"STOPPING=1\nMAINPID=7", Notice(stopping=True)),
        (b"EXTEND_TIMEOUT_USEC=1500000", Notice(extend_timeout=1.5)),
        (b"STATUS=a=b\x1b", Notice(status="a=b\\u001b")),
        (b"READY=0", Notice()),
    ],
)
def test_what_a_datagram_says(data: bytes, notice: Notice) -> None:
    assert notify.parse(data) == notice


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"READY",
        b"=1",
        b"READY=1\n\nSTATUS=x",
        b"\xff=1",
        b"x=" + b"y" * 4096,
        b"EXTEND_TIMEOUT_USEC=-1",
        b"EXTEND_TIMEOUT_USEC=1e6",
        b"EXTEND_TIMEOUT_USEC=31622400000001",
        "EXTEND_TIMEOUT_USEC=٣".encode(),
    ],
    ids=lambda data: repr(data)[:40],
)
def test_what_is_no_datagram_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match="notify"):
        notify.parse(data)
