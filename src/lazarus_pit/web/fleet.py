"""The fleet as the API says it: one shape for a list, for one cell and for the stream."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import Any

import msgspec

from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.files import opened, read_hostile
from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.view import AgentView, CellView, see_cell, see_cells
from lazarus_pit.daemon import standing
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import to_object

_REPORT_BYTES = 64 * 1024
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def fleet(pit: PitPaths) -> dict[str, Any]:
    """Return every cell and its agents as they stand now.

    Raises:
        StoreError: the root cannot be read.
    """
    cells = [cell_object(cell) for cell in see_cells(pit)]
    return {"now": round(time.time(), 3), "daemon": daemon(pit), "cells": cells}


def daemon(pit: PitPaths) -> dict[str, Any]:
    """Return what the daemon last said of itself, and whether it is up by its lock."""
    said: Any = {}
    try:
        said = msgspec.json.decode(read_hostile(pit.daemon, _REPORT_BYTES) or b"{}")
    except (msgspec.MsgspecError, FormatError, StoreError):
        said = {}  # What it said cannot be read; whether it lives, the lock still tells.
    return {**(said if isinstance(said, dict) else {}), "up": standing.is_held(pit.lock)}


def one_cell(paths: CellPaths) -> dict[str, Any]:
    """Return one cell with its checkpoints, the oldest first."""
    saved = [
        {"id": found.name, "at": to_rfc3339(found.created), "size": found.size}
        for found in shelf.checkpoints(paths.checkpoints)
    ]
    return {**cell_object(see_cell(paths)), "checkpoints": saved}


def has_agent(paths: CellPaths, name: str) -> bool:
    """Whether a cell has a member of this name."""
    return any(agent.name == name for agent in see_cell(paths).agents)


def cell_object(cell: CellView) -> dict[str, Any]:
    """Return a cell in the documented shape."""
    manifest = cell.manifest
    return {
        "uuid": cell.uuid,
        "name": manifest.name if manifest else None,
        "mission": manifest.mission if manifest else None,
        "status": cell.status,
        "problem": cell.problem or None,
        "agents": [agent_object(agent) for agent in cell.agents],
    }


def agent_object(agent: AgentView) -> dict[str, Any]:
    """Return an agent in the documented shape; ``null`` is what no daemon has said."""
    health = agent.health
    readings = health.readings if health else {}
    return {
        "name": agent.name,
        "role": agent.role,
        "kind": agent.kind,
        "desired": agent.desired,
        "state": agent.shown,
        "phase": health.phase if health else None,
        "reason": health.reason if health else None,
        "verdict": health.verdict if health else None,
        "healthy": health.healthy if health else None,
        "generation": health.generation if health else None,
        "pid": health.pid if health else None,
        "last_seen": health.last_seen if health else None,
        "heartbeat_age": None if agent.beat_age is None else round(agent.beat_age, 3),
        "attempts": readings.get("attempts_used"),
        "max_attempts": readings.get("attempts_max"),
        "revive_count": health.revive_count if health else None,
        "status": health.status if health else None,
    }


def events(paths: CellPaths, limit: int, before: str = "") -> list[dict[str, Any]]:
    """Return the latest events of a cell, the newest last.

    Args:
        paths: the cell.
        limit: how many at most.
        before: an RFC 3339 time; events from then on are left out. Empty: nothing is left out.

    Raises:
        StoreError: the journal is there and cannot be read.
    """
    if not paths.events.exists():
        return []
    told = (line.event for line in read_events(paths.events) if line.event)
    wanted = (event for event in told if not before or event.ts < before)
    return [to_object(event) for event in deque(wanted, maxlen=limit)]


def log_tail(paths: CellPaths, agent: str, size: int) -> bytes:
    """Return the last ``size`` bytes of what an agent printed; no link is followed.

    Raises:
        FormatError: the agent's name is none.
        StoreError: the log cannot be read, or is no regular file.
    """
    path = paths.log(agent)
    try:
        with opened(path, _OPEN) as fd:
            if not os.path.isfile(f"/proc/self/fd/{fd}"):
                raise StoreError(f"{path}: not a regular file")
            end = os.fstat(fd).st_size
            return os.pread(fd, size, max(0, end - size))
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
