"""RFC 3339 in UTC, the only way in which people are shown a time (contract 1.3)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lazarus_pit.errors import FormatError
from lazarus_pit.formats.text import shown

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|\+00:00)\Z", re.ASCII)


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
