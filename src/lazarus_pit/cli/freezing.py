"""``lazarus freeze`` and ``lazarus thaw``: a whole cell stands still, and moves again."""

from __future__ import annotations

from lazarus_pit.cells import provision
from lazarus_pit.cells.view import see_cell
from lazarus_pit.cli import say
from lazarus_pit.cli.follow import journal_end
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.place import HERE, CellName, Place, who
from lazarus_pit.cli.waiting import MOVING, STILL, WAIT, NoWait, Wait, await_daemon
from lazarus_pit.core.model import CellStatus


def freeze(
    cell: CellName, /, *, wait: Wait = WAIT, no_wait: NoWait = False, place: Place = HERE
) -> int:
    """Make every agent of a cell stand still; no silence counts meanwhile."""
    return _move(cell, CellStatus.FROZEN, wait=wait, no_wait=no_wait, place=place)


def thaw(
    cell: CellName, /, *, wait: Wait = WAIT, no_wait: NoWait = False, place: Place = HERE
) -> int:
    """Let a frozen cell move again."""
    return _move(cell, CellStatus.ACTIVE, wait=wait, no_wait=no_wait, place=place)


def _move(cell: str, to: CellStatus, *, wait: float, no_wait: bool, place: Place) -> int:
    found = find_cell(place.pit(), cell)
    offset = journal_end(found.paths.events)
    agents = [
        agent.name
        for agent in see_cell(found.paths).agents
        if agent.health is not None and agent.health.pid is not None
    ]
    provision.move_cell(found.paths, to, by=who())
    say.line(f"cell {cell} is {to.value}")
    if no_wait:
        return 0
    ends = STILL if to is CellStatus.FROZEN else MOVING
    return await_daemon(found.paths, offset, agents, ends, wait)
