"""After a wish was written down: wait for the daemon to have done it, and say what happened."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cells import journal
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.view import see_cell
from lazarus_pit.cli import follow, say
from lazarus_pit.cli.pulse import feel
from lazarus_pit.cli.sentences import sentence
from lazarus_pit.core.model import Seconds
from lazarus_pit.errors import StoreError

GOOD, FAILED, LATE = 0, 1, 75
"""Exit codes: done, done badly, not done yet."""

UP: Mapping[str, int] = {
    "agent_ready": GOOD,
    "agent_revived": GOOD,
    "agent_exited": GOOD,
    "agent_died": FAILED,
    "agent_start_failed": FAILED,
    "agent_escalated": FAILED,
}
"""What ends the wait for an agent to work."""
DOWN: Mapping[str, int] = {"agent_stopped": GOOD, "agent_exited": GOOD, "agent_died": GOOD}
STILL: Mapping[str, int] = {"agent_frozen": GOOD, **DOWN}
MOVING: Mapping[str, int] = {"agent_thawed": GOOD, **DOWN}

Wait = Annotated[Seconds, Parameter(help="Seconds to wait for the daemon to have done it.")]
NoWait = Annotated[bool, Parameter(negative="", help="Write the wish down and return at once.")]
WAIT: Seconds = 15.0


BEGINS = frozenset({"agent_started", "agent_adopted"})
ENDS = frozenset({"agent_stopped", "agent_died", "agent_exited", "agent_left_waiting"})
"""The journal's words for a process that is there from then on, or is no more."""
UNSAID = ("heartbeat", "agent_ordered")
"""What whoever waits is not told: chatter, and what they themselves have just typed."""
RECENT = 200
"""Lines of a journal that may be younger than the state: that is a second behind at most."""


def with_lives(paths: CellPaths) -> list[str]:
    """Return who has a life: by the end of the journal, else by the state."""
    views = see_cell(paths).agents
    alive = {one.name: one.health is not None and one.health.pid is not None for one in views}
    with contextlib.suppress(StoreError):  # Without a journal the state is all there is.
        for event in journal.read_back(paths.events, RECENT).events:
            if event.agent in alive and event.event in BEGINS | ENDS:
                alive[event.agent] = event.event in BEGINS
    return [name for name, lives in alive.items() if lives]


def await_daemon(
    paths: CellPaths,
    offset: int,
    agents: Collection[str],
    ends: Mapping[str, int],
    seconds: Seconds,
) -> int:
    """Say what happens to these agents until each has come to one of ``ends``.

    Args:
        paths: their cell.
        offset: where the journal ended before the wish was written down.
        agents: the names to wait for; with none there is nothing to wait for.
        ends: which events end the wait, and with which exit code.
        seconds: how long to wait; 0 looks once.

    Returns:
        The gravest exit code; 75 if the time was up before all had come to an end.
    """
    if not feel(PitPaths(paths.root)).up:
        say.line("the daemon is not running: this takes effect at `lazarus up`")
        return GOOD
    codes: dict[str, int] = {}
    began: set[str] = set()
    for events in follow.watch_batches(paths.events, offset, seconds if agents else 0.0):
        waited = {name for name in agents if name not in codes}
        for event in events:  # To the end: who printed its last words was ready, and is dead.
            name = event.agent or ""
            if name not in waited or event.event in UNSAID:
                continue
            say.line(sentence(event))
            if event.event == "agent_started":
                began.add(name)
            if event.event in ends:
                codes[name] = max(ends[event.event], codes.get(name, GOOD))
        if len(codes) == len(agents):
            break
    missing = [name for name in agents if name not in codes]
    for name in missing:
        say.line(_not_yet(paths, name, seconds, started=name in began))
    if missing and not began.issuperset(missing):
        return LATE
    return max(codes.values(), default=GOOD)


def _not_yet(paths: CellPaths, name: str, seconds: Seconds, *, started: bool) -> str:
    if started:
        return (
            f"{name} runs and has not shown yet that it works (no beat, no output); if it never "
            f"does: `lazarus agent set {paths.uuid[:8]}/{name} liveness=process`"
        )
    return f"{name}: not done within {say.span(seconds)}; the daemon goes on (`lazarus status`)"
