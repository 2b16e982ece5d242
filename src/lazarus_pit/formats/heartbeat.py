"""``<agent>.json``: one beat (contract 1.7), written by the agent and hostile until parsed here.

An agent may leave out any field; an empty file is a beat that says nothing more (a plain touch).
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from lazarus_pit.core.model import HoldKind
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text

MAX_BYTES = 4096

_Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# Far beyond any clock, yet small enough for every sum that is made of it.
_Unix = Annotated[float, Meta(ge=0, le=1e12)]


class Heartbeat(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agent says about itself; nothing of it is proof of anything but that it spoke."""

    agent: str | None = None
    pid: int | None = None
    """As the agent sees it: a number of another pid namespace, or a lie. Never signal it."""
    timestamp: _Unix | None = None
    """When the agent says it wrote this, in Unix seconds."""
    cycle: _Count | None = None
    """Grows as the agent makes progress."""
    model: str | None = None
    status: str | None = None
    """Free text on one line, such as ``thinking``."""
    cell_uuid: str | None = None
    generation: _Count | None = None
    """Which life writes, from ``LAZARUS_GENERATION``."""
    busy_until: _Unix | None = None
    """Until when a long step may be silent, in Unix seconds."""
    hold: HoldKind | None = None
    """Why it waits without being at fault; also taken from a ``status`` that is such a word."""
    hold_until: _Unix | None = None
    """When the wait is over, in Unix seconds."""
    tool: str | None = None
    """What runs now, or ran last, as ``lazarus hook`` and the presets say it."""
    tool_digest: str | None = None
    """Of the last finished call: its tool, arguments and result together."""
    tool_repeats: _Count | None = None
    """How many calls in a row, this one among them, had that digest; counted in this life."""
    turns: _Count | None = None
    """Turns that this life has finished."""
    tokens: _Count | None = None
    """Tokens that this life has used, where its program says so."""
    session: str | None = None
    """The conversation that this life leads, by its program's own id."""
    session_asked: str | None = None
    """The conversation that it was started to go on with."""


_HOLD_WORDS = {kind.value: kind for kind in HoldKind}
_TEXTS = {
    "agent": 64,
    "model": 100,
    "status": 200,
    "cell_uuid": 36,
    "tool": 100,
    "tool_digest": 64,
    "session": 128,
    "session_asked": 128,
}


def parse(data: bytes) -> Heartbeat:
    """Return the beat in these bytes.

    Raises:
        FormatError: more than 4 KiB, no JSON object, or a field of the wrong type or size.
    """
    if len(data) > MAX_BYTES:
        raise FormatError(f"heartbeat: more than {MAX_BYTES} bytes")
    if not data.strip():
        return Heartbeat()
    beat = text.decode(data, Heartbeat, "heartbeat")
    clean = {
        name: None if value is None else text.one_line(value, limit)
        for name, limit in _TEXTS.items()
        for value in (getattr(beat, name),)
    }
    return Heartbeat(
        **clean,
        pid=beat.pid,
        timestamp=beat.timestamp,
        cycle=beat.cycle,
        generation=beat.generation,
        busy_until=beat.busy_until,
        hold=beat.hold or _HOLD_WORDS.get(clean["status"] or ""),
        hold_until=beat.hold_until,
        tool_repeats=beat.tool_repeats,
        turns=beat.turns,
        tokens=beat.tokens,
    )


def encode(beat: Heartbeat) -> bytes:
    """Return the file for this beat.

    Raises:
        FormatError: it would be larger than 4 KiB, or holds what JSON cannot say.
    """
    data = text.encode(beat, "heartbeat") + b"\n"
    if len(data) > MAX_BYTES:
        raise FormatError(f"heartbeat: more than {MAX_BYTES} bytes")
    return data
