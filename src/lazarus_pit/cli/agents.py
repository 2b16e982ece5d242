"""``lazarus stop``, ``start``, ``revive``: what people want of one agent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from msgspec.structs import replace

from lazarus_pit.cells import provision
from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.store import update_manifest
from lazarus_pit.cells.view import see_cell
from lazarus_pit.cli import say
from lazarus_pit.cli.follow import journal_end
from lazarus_pit.cli.names import FoundAgent, find_agent
from lazarus_pit.cli.place import HERE, AgentName, Place, who
from lazarus_pit.cli.waiting import BEGINS, DOWN, ENDS, UP, WAIT, NoWait, Wait, await_daemon
from lazarus_pit.core.model import CellStatus, Desired, Phase
from lazarus_pit.daemon import teaming
from lazarus_pit.errors import RefusedError
from lazarus_pit.formats.manifest import Kind, Manifest, Member, with_member
from lazarus_pit.formats.state import Health


def stop(
    agent: AgentName, /, *, wait: Wait = WAIT, no_wait: NoWait = False, place: Place = HERE
) -> int:
    """Stop an agent. It stays stopped, over restarts of the daemon too, until it is started."""
    found = find_agent(place.pit(), agent)
    health = _health(found)
    ended = health is not None and health.phase in (Phase.STOPPED, Phase.EXITED)
    idle = (ended or _is_stopping(found)) and not _lives(found)
    offset = journal_end(found.paths.events)
    _want(found, "stop", lambda member: replace(member, desired=Desired.STOP))
    if idle:
        say.line(f"{found.name} was not running; it stays stopped")
        return 0
    return 0 if no_wait else await_daemon(found.paths, offset, [found.name], DOWN, wait)


def start(
    agent: AgentName, /, *, wait: Wait = WAIT, no_wait: NoWait = False, place: Place = HERE
) -> int:
    """Start an agent that was stopped, has finished, or was given up."""
    found = find_agent(place.pit(), agent)
    health = _health(found)
    phase = health.phase if health else ""
    if phase in (Phase.STARTING, Phase.RUNNING, Phase.HELD) and not _is_stopping(found):
        say.line(f"{found.name} runs already (pid {health.pid if health else '?'})")
        return 0
    # Who has finished or was given up comes back by a person's word alone: a revive by hand.
    by_hand = 1 if phase in (Phase.EXITED, Phase.ESCALATED, Phase.AWAITING) else 0
    return _run(found, "start", by_hand, wait=wait, no_wait=no_wait)


def revive(
    agent: AgentName, /, *, wait: Wait = WAIT, no_wait: NoWait = False, place: Place = HERE
) -> int:
    """Give an agent a new life now: attempts and holds are cleared, a living one is replaced."""
    return _run(find_agent(place.pit(), agent), "revive", 1, wait=wait, no_wait=no_wait)


def kick(
    agent: AgentName, /, *, wait: Wait = WAIT, no_wait: NoWait = False, place: Place = HERE
) -> int:
    """Take a member out of its cell: its agent is stopped, its directories stay."""
    pit = place.pit()
    found = find_agent(pit, agent)
    lives = _lives(found)
    offset = journal_end(found.paths.events)
    teaming.remove(pit, found.paths, found.name, by=who())
    say.line(f"{found.name} has left the cell")
    if no_wait or not lives:
        return 0
    return await_daemon(found.paths, offset, [found.name], DOWN, wait)


def _run(found: FoundAgent, order: str, by_hand: int, *, wait: float, no_wait: bool) -> int:
    if found.manifest.status is CellStatus.FROZEN:
        raise RefusedError(
            f"the cell of {found.name} is frozen: `lazarus thaw {found.paths.uuid[:8]}` first"
        )
    offset = journal_end(found.paths.events)
    _want(
        found,
        order,
        lambda member: replace(member, desired=Desired.RUN, request=member.request + by_hand),
    )
    return 0 if no_wait else await_daemon(found.paths, offset, [found.name], UP, wait)


def _want(found: FoundAgent, order: str, change: Callable[[Member], Member]) -> None:
    """Write down what people want of an agent that can be started at all, and who wants it."""

    def changed(old: Manifest) -> Manifest:
        provision.refuse_ended(old)
        member = old.member(found.name)
        if member is not None and member.kind is Kind.HUMAN:
            raise RefusedError(f"{found.name} is a person, not a program")
        if member is None or not member.command:
            raise RefusedError(
                f"nobody said how {found.name} starts: `lazarus spawn {found.paths.uuid[:8]} "
                f"{found.name} -- PROGRAM …`"
            )
        return with_member(old, change(member))

    update_manifest(found.paths, changed)
    provision.note_order(found.paths, found.name, order, who())


def _health(found: FoundAgent) -> Health | None:
    state = see_cell(found.paths).state
    return state.agent_health.get(found.name) if state else None


def _lives(found: FoundAgent) -> bool:
    """Whether a life is to be waited for: by the journal, since the state may be a second old."""
    health = _health(found)
    turning = (
        line.event.event
        for line in read_events(found.paths.events)
        if line.event and line.event.agent == found.name and line.event.event in BEGINS | ENDS
    )
    last = deque(turning, maxlen=1)
    return (bool(last) and last[0] in BEGINS) or (
        health is not None and health.phase is Phase.STARTING
    )


def _is_stopping(found: FoundAgent) -> bool:
    member = found.manifest.member(found.name)
    return member is not None and member.desired is Desired.STOP
