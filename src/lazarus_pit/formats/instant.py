"""Times as people are shown them: RFC 3339 in UTC (contract 1.3), and spans in words."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lazarus_pit.core.model import Seconds
from lazarus_pit.errors import FormatError
from lazarus_pit.formats.text import shown

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|\+00:00)\Z", re.ASCII)
_UNITS: tuple[tuple[float, str], ...] = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)\s*([a-z]+)\Z", re.ASCII)
_WORDS: dict[str, Seconds] = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}


def to_rfc3339(unix: float, digits: int = 0) -> str:
    """Return Unix seconds as ``2026-04-06T00:00:00Z``, with ``digits`` (0 to 6) of a second.

    Raises:
        FormatError: no such year can be written.
    """
    try:
        moment = datetime.fromtimestamp(unix, UTC)
    except (ValueError, OverflowError, OSError):
        raise FormatError(f"time: {unix} is out of range") from None
    whole = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0")
    part = f".{moment.microsecond:06}"[: digits + 1] if digits else ""
    return f"{whole}{part}Z"


def from_rfc3339(text: str, name: str = "time") -> float:
    """Return a time as Unix seconds.

    Raises:
        FormatError: it is not RFC 3339 in UTC, such as ``2026-04-06T00:00:00Z``.
    """
    if _RFC3339.match(text):
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            pass
    raise FormatError(f"{name}: found {shown(text)}, expected a time like 2026-04-06T00:00:00Z")


def span(seconds: Seconds | None) -> str:
    """Return a duration as people say it: ``9.5 s``, ``12 s``, ``3 min``; ``-`` for none."""
    if seconds is None:
        return "-"
    if abs(seconds) < 1.0:
        return f"{seconds * 1000:.0f} ms" if seconds else "0 s"
    if abs(seconds) < 10.0:
        return f"{seconds:.1f} s"
    unit, word = next((unit, word) for unit, word in _UNITS if abs(seconds) >= unit)
    return f"{seconds / unit:.0f} {word}"


def parse_duration(value: str) -> float | None:
    """Return the seconds in ``90 s``, ``30min``, ``8 h`` or ``2 days``; ``None``: it says none."""
    found = _DURATION.match(value)
    if found is None or found[2] not in _WORDS or float(found[1]) <= 0:
        return None
    return float(found[1]) * _WORDS[found[2]]
