"""What can be seen from outside: manifests, the daemon's states, the beats. Changes nothing.

Everything that shows something reads this one view, so that no two pages disagree.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.cells import mailbox, store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.listing import SUPERVISED, Listed, list_cells, look_at
from lazarus_pit.core.model import CellStatus, Desired, Phase, Seconds
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.isolation import Openings
from lazarus_pit.formats.manifest import Kind, Manifest, Member, openings_of
from lazarus_pit.formats.state import Health, State

RETURNING = (Phase.BACKOFF, Phase.STARTING, Phase.FENCING)
WANTED = ("new", "wanted", "stop", "mail", "")
"""Reasons for such a phase that follow no death."""


class AgentView(Struct, frozen=True, kw_only=True):
    """One member of a cell, as people and as the daemon see it."""

    name: str
    role: str
    kind: str
    desired: str
    shown: str
    """The phase in the users' words."""
    health: Health | None = None
    """``None`` where no daemon has seen it yet."""
    beat_age: Seconds | None = None
    asleep: bool = False
    """Whether it stands still because its cell was idle."""
    openings: Openings = Openings()
    """What its cell and its own entry let it have beyond the walls."""
    unread: int = 0
    """Mails that it has not acknowledged."""


class CellView(Struct, frozen=True, kw_only=True):
    """One cell; ``problem`` says why its manifest could not be read."""

    uuid: str
    path: str
    manifest: Manifest | None = None
    state: State | None = None
    agents: tuple[AgentView, ...] = ()
    problem: str = ""
    asleep: bool = False
    """Whether it is frozen because it was idle, though people want it active."""

    @property
    def status(self) -> str:
        """The manifest's word, or ``unreadable``."""
        return self.manifest.status.value if self.manifest else "unreadable"

    @property
    def standing(self) -> str:
        """The status as it really is: ``frozen (idle)`` of a cell that is asleep."""
        return f"{CellStatus.FROZEN.value} (idle)" if self.asleep else self.status

    @property
    def label(self) -> str:
        """How people call it: its name, else the beginning of its UUID."""
        return (self.manifest.name if self.manifest else None) or self.uuid[:8]

    @property
    def is_watched(self) -> bool:
        """Whether the daemon looks after it."""
        return self.manifest is not None and self.manifest.status in SUPERVISED


def see_cells(pit: PitPaths) -> list[CellView]:
    """Return every cell below the root, the oldest first; where there is no root there is none.

    Raises:
        StoreError: the root is there and cannot be read.
    """
    now = time.time()
    return sorted((_see(listed, now) for listed in list_cells(pit.root)), key=age_order)


def see_cell(paths: CellPaths) -> CellView:
    """Return one cell as it stands now."""
    return _see(look_at(paths), time.time())


def age_order(cell: CellView) -> tuple[str, str]:
    """Return by what cells are sorted: the oldest first, unreadable ones last."""
    return (cell.manifest.created_at if cell.manifest else "~", cell.uuid)


def _see(listed: Listed, now: float) -> CellView:
    paths, manifest = listed.paths, listed.manifest
    if manifest is None:
        return CellView(uuid=paths.uuid, path=str(paths.cell), problem=listed.problem)
    state, problem = None, ""
    try:
        state = store.read_state(paths)
    except (FormatError, StoreError) as error:
        problem = str(error)
    agents = [_see_agent(paths, manifest, member, state, now) for member in manifest.agents]
    asleep = manifest.status is CellStatus.ACTIVE and paths.asleep.exists()
    if asleep:
        agents = [replace(agent, asleep=True) for agent in agents]
    return CellView(
        uuid=paths.uuid,
        path=str(paths.cell),
        manifest=manifest,
        state=state,
        agents=tuple(agents),
        problem=problem,
        asleep=asleep,
    )


def _see_agent(
    paths: CellPaths, manifest: Manifest, member: Member, state: State | None, now: float
) -> AgentView:
    health = state.agent_health.get(member.name) if state else None
    return AgentView(
        name=member.name,
        role=member.role.value,
        kind=member.kind.value,
        desired=member.desired.value,
        shown=phase_word(manifest, member, health),
        health=health,
        beat_age=_beat_age(paths, member.name, health, now),
        openings=openings_of(manifest, member, Openings()),
        unread=mailbox.unread(paths, member.name),
    )


def phase_word(manifest: Manifest, member: Member, health: Health | None) -> str:
    """Return the phase as users know it."""
    if member.found.get("joined_at") == "" and not member.command:
        return "invited"  # By a proposal; who wrote a manifest by hand may have said nothing.
    if member.kind is Kind.HUMAN:
        return "human"
    if not member.command:
        return "no command"
    if health is None:
        return "waiting" if manifest.status in SUPERVISED else "-"
    if health.phase in RETURNING and health.reason not in WANTED:
        return "reviving"
    if health.phase == Phase.FENCING:
        return "stopping"
    still = manifest.status is CellStatus.FROZEN or health.readings.get("desired") == Desired.FREEZE
    if still and health.pid is not None:
        return "frozen"
    return health.phase


def _beat_age(paths: CellPaths, agent: str, health: Health | None, now: float) -> Seconds | None:
    newest = newest_beat(paths, agent, health)
    return None if newest is None else max(0.0, now - newest)


def newest_beat(paths: CellPaths, agent: str, health: Health | None) -> float | None:
    """Return when the newest beat came, in Unix seconds; ``None`` before the first.

    The state is written now and then, the beat at once: the files of beats know better.
    """
    stamps = list(_stamps(paths, agent))
    if health is not None and health.last_seen is not None:
        stamps.append(health.last_seen)
    return max(stamps, default=None)


def _stamps(paths: CellPaths, agent: str) -> Iterator[float]:
    for path in (paths.beat(agent), paths.heartbeat(agent)):
        try:
            yield path.stat(follow_symlinks=False).st_mtime
        except OSError:
            continue
