"""``.lazarus/state.json``: what the daemon believes about one cell (contract 1.8)."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text

MAX_BYTES = 16 * 1024 * 1024


class Health(Struct, frozen=True, kw_only=True):
    """What the daemon believes about one agent."""

    healthy: bool
    last_seen: float | None = None
    """When its last beat arrived, in Unix seconds; ``None`` before the first."""
    revive_count: int = 0
    phase: str = ""
    verdict: str = "unknown"
    generation: int = 0
    reason: str = ""
    """Why it is in this phase: one word of the journal's vocabulary."""
    status: str = ""
    """What the agent said last."""
    pid: int | None = None
    since: float | None = None
    """When the phase began, in Unix seconds."""
    sandbox: str = ""
    """What holds this life, as in force now and not as wished for."""
    limits: dict[str, str] = {}
    """What bounds this life, limit by limit, and by which means; or why it does not."""
    readings: dict[str, Any] = {}
    """The evidence behind the verdict, for ``lazarus why``."""


class State(Struct, frozen=True, kw_only=True):
    """What the daemon believes about one cell."""

    cell_uuid: str
    daemon_pid: int
    last_poll: float
    """When the daemon last looked at everything, in Unix seconds."""
    agent_health: dict[str, Health] = {}


def parse(data: bytes) -> State:
    """Return the state in these bytes.

    Raises:
        FormatError: it is none; the text names the field.
    """
    if len(data) > MAX_BYTES:
        raise FormatError(f"state: more than {MAX_BYTES} bytes")
    return text.decode(data, State, "state")


def encode(state: State) -> bytes:
    """Return the file for this state: indented JSON.

    Raises:
        FormatError: it holds what JSON cannot say.
    """
    return msgspec.json.format(text.encode(state, "state"), indent=2) + b"\n"
