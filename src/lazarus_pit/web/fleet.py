"""The fleet as the API says it: one shape for a list, for one cell and for the stream."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import structs

from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.files import opened, read_hostile
from lazarus_pit.cells.journal import read_back
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.view import AgentView, CellView, see_cell
from lazarus_pit.daemon import standing
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import pool_state
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event, to_object
from lazarus_pit.web.shapes import Agent, Cell, CellWhole, Checkpoint, Events, Gateway

Need = Callable[[AgentView], str]
"""Says why an agent needs a person; empty where it does not."""
Sentence = Callable[[Event], str]

_REPORT_BYTES = 64 * 1024
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def daemon(pit: PitPaths) -> dict[str, Any]:
    """Return what the daemon last said of itself, and whether it is up by its lock."""
    said: Any = {}
    try:
        said = msgspec.json.decode(read_hostile(pit.daemon, _REPORT_BYTES) or b"{}")
    except (msgspec.MsgspecError, FormatError, StoreError):
        said = {}  # What it said cannot be read; whether it lives, the lock still tells.
    return {**(said if isinstance(said, dict) else {}), "up": standing.is_held(pit.lock)}


def gateways(pit: PitPaths) -> tuple[Gateway, ...]:
    """Return the agents outside every cell, by name; none where no pool has written of any."""
    try:
        data = read_hostile(pit.pool, pool_state.MAX_BYTES)
        known = pool_state.parse(data) if data else {}
    except (FormatError, StoreError):
        return ()
    return tuple(
        Gateway(
            name=far.key,
            phase=far.phase.value,
            reason=far.reason,
            dead_since=far.first_dead_at,
            attempts=len(far.attempts),
        )
        for _, far in sorted(known.items())
    )


def one_cell(paths: CellPaths, need: Need) -> CellWhole:
    """Return one cell with its checkpoints, the oldest first."""
    saved = tuple(
        Checkpoint(found.name, to_rfc3339(found.created), found.size)
        for found in shelf.checkpoints(paths.checkpoints)
    )
    return CellWhole(**structs.asdict(look(paths, need)), checkpoints=saved)


def look(paths: CellPaths, need: Need) -> Cell:
    """Return one cell as it stands now."""
    return cell_object(see_cell(paths), need)


def has_agent(paths: CellPaths, name: str) -> bool:
    """Whether a cell has a member of this name."""
    return any(agent.name == name for agent in see_cell(paths).agents)


def cell_object(cell: CellView, need: Need) -> Cell:
    """Return a cell in the documented shape."""
    manifest = cell.manifest
    agents = tuple(agent_object(agent, need) for agent in cell.agents)
    return Cell(
        uuid=cell.uuid,
        name=manifest.name if manifest else None,
        mission=manifest.mission if manifest else None,
        status=cell.status,
        asleep=cell.asleep,
        problem=cell.problem or None,
        agents=agents,
        version=_version(cell.standing, *(agent.version for agent in agents)),
    )


def _version(*parts: str) -> str:
    return hashlib.blake2s("\0".join(parts).encode(), digest_size=8).hexdigest()


def agent_object(agent: AgentView, need: Need) -> Agent:
    """Return an agent in the documented shape; ``null`` is what no daemon has said."""
    health = agent.health
    said = Agent(
        name=agent.name,
        role=agent.role,
        kind=agent.kind,
        desired=agent.desired,
        state=agent.shown,
        heartbeat_age=None if agent.beat_age is None else round(agent.beat_age, 3),
        unread=agent.unread,
        need=need(agent) or None,
        version=f"{health.generation if health else 0}.{agent.shown}.{agent.desired}",
    )
    if health is None:
        return said
    return structs.replace(
        said,
        phase=health.phase,
        reason=health.reason,
        verdict=health.verdict,
        healthy=health.healthy,
        generation=health.generation,
        pid=health.pid,
        last_seen=health.last_seen,
        attempts=_whole(health.readings.get("attempts_used")),
        max_attempts=_whole(health.readings.get("attempts_max")),
        revive_count=health.revive_count,
        status=health.status,
    )


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) else None


def told(event: Event, uuid: str, sentence: Sentence) -> dict[str, Any]:
    """Return a line of a journal, whose cell it is, and what it says to people."""
    cell = {"cell": event.cell or uuid} if event.cell or uuid else {}
    return {**to_object(event), **cell, "sentence": sentence(event)}


def events(
    paths: CellPaths | PitPaths, limit: int, cursor: int | None, sentence: Sentence
) -> Events:
    """Return the latest lines of a journal, the newest last.

    Args:
        paths: of a cell, or of the pit for its own journal.
        limit: how many lines at most.
        cursor: bytes, as an answer gave them: lines from there on are left out.
        sentence: says an event to people.

    Raises:
        StoreError: the journal is there and cannot be read.
    """
    if not paths.events.exists():
        return Events((), None)
    uuid = paths.uuid if isinstance(paths, CellPaths) else ""
    page = read_back(paths.events, limit, cursor)
    said = tuple(told(event, uuid, sentence) for event in page.events)
    return Events(said, page.start or None)


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


def now() -> float:
    """Return Unix seconds as answers give them."""
    return round(time.time(), 3)
