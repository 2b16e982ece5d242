"""``sd_notify`` datagrams, as described in the manual page sd_notify(3): ``KEY=value`` lines.

Programs written for systemd speak it to us, and we speak it to systemd.
"""

from __future__ import annotations

from msgspec import Struct

from lazarus_pit.errors import FormatError
from lazarus_pit.formats.text import one_line

MAX_BYTES = 4096
_MICRO = 1_000_000
_LONGEST_US = 366 * 86_400 * _MICRO


class Notice(Struct, frozen=True, kw_only=True):
    """What one datagram says; keys that are not ours are passed over."""

    ready: bool = False
    watchdog: bool = False
    """A sign of life."""
    stopping: bool = False
    status: str | None = None
    extend_timeout: float | None = None
    """Seconds by which the present start or stop, or silence, may take longer."""


def parse(data: bytes) -> Notice:
    """Return what a datagram says.

    Raises:
        FormatError: empty, over 4 KiB, no UTF-8, a line without ``=``, or a bad time.
    """
    if not 0 < len(data) <= MAX_BYTES:
        raise FormatError(f"notify: {len(data)} bytes, expected 1 to {MAX_BYTES}")
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        raise FormatError("notify: not UTF-8") from None
    if lines[-1] == "":
        lines.pop()
    said: dict[str, str] = {}
    for line in lines:
        key, equals, value = line.partition("=")
        if not key or not equals:
            raise FormatError(f'notify: found "{one_line(line, 60)}", expected KEY=value')
        said[key] = value
    extend = said.get("EXTEND_TIMEOUT_USEC")
    return Notice(
        ready=said.get("READY") == "1",
        watchdog=said.get("WATCHDOG") == "1",
        stopping=said.get("STOPPING") == "1",
        status=one_line(said["STATUS"]) if "STATUS" in said else None,
        extend_timeout=None if extend is None else _seconds(extend),
    )


def _seconds(value: str) -> float:
    """Return a number of microseconds in seconds; more than a year is a mistake."""
    # isascii: int() would take digits of every script. The length: int() of a novel takes its time.
    if value.isascii() and value.isdigit() and len(value) < 20 and int(value) <= _LONGEST_US:
        return int(value) / _MICRO
    raise FormatError(
        f'notify: EXTEND_TIMEOUT_USEC: found "{one_line(value, 40)}", expected microseconds'
    )
