"""How old is its heartbeat: a small JSON file with ``timestamp``, hostile to the reader."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from lazarus_pit.cells.files import read_hostile
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import text
from lazarus_pit.probes.seen import Seen, failed, from_error, passed

MAX_BYTES = 64 * 1024
AHEAD_SECONDS = 60.0
"""A beat from further in the future is a lie or a broken clock: it would never grow old."""


class _Beat(Struct):
    """The one field that counts; what stands beside it may be anything."""

    timestamp: Annotated[float, Meta(ge=0, le=1e12)]


def probe(path: str, now: float, threshold: float) -> Seen:
    """Return whether the beat is at most ``threshold`` seconds old at ``now`` (Unix seconds).

    Missing, unreadable or without a timestamp is failed (contract 3.4); a full table of
    descriptors or a broken disk says nothing about the agent.
    """
    try:
        data = read_hostile(Path(os.path.expanduser(path)), MAX_BYTES)
        if data is None:
            return failed("no heartbeat file")
        beat = text.decode(data, _Beat, "heartbeat")
    except (FormatError, ValueError) as error:
        return failed(text.one_line(str(error)))
    except StoreError as error:
        cause = error.__cause__
        return from_error(cause) if isinstance(cause, OSError) else failed(str(error))
    age = now - beat.timestamp
    if age < -AHEAD_SECONDS:
        return failed(f"its timestamp is {-age:.0f} s in the future", age)
    return passed(age=age) if age <= threshold else failed(f"{age:.0f} s old", age)
