"""``lazarus freeze`` and ``lazarus thaw``: a cell or the whole fleet stands still, moves again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from cyclopts import Parameter
from msgspec.structs import replace

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.view import see_cell, see_cells
from lazarus_pit.cli import say
from lazarus_pit.cli.follow import journal_end
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.place import HERE, CellName, Place, who
from lazarus_pit.cli.waiting import (
    FAILED,
    GOOD,
    MOVING,
    STILL,
    WAIT,
    NoWait,
    Wait,
    await_daemon,
    with_lives,
)
from lazarus_pit.core.model import CellStatus
from lazarus_pit.errors import LazarusError, UsageError

FROM = {CellStatus.FROZEN: CellStatus.ACTIVE, CellStatus.ACTIVE: CellStatus.FROZEN}
"""Which cells ``--all`` means, by what they shall become."""
Fleet = Annotated[bool, Parameter(name="--all", negative="", help="Every cell that it concerns.")]


class _Moved(NamedTuple):
    """A cell whose wish is written down, and what to wait for."""

    paths: CellPaths
    offset: int
    agents: list[str]


def freeze(
    cell: CellName = "",
    /,
    *,
    fleet: Fleet = False,
    wait: Wait = WAIT,
    no_wait: NoWait = False,
    place: Place = HERE,
) -> int:
    """Make every agent of a cell, or of all, stand still; no silence counts meanwhile."""
    seconds = None if no_wait else wait
    return _move(place.pit(), cell, CellStatus.FROZEN, seconds, fleet=fleet)


def thaw(
    cell: CellName = "",
    /,
    *,
    fleet: Fleet = False,
    wait: Wait = WAIT,
    no_wait: NoWait = False,
    place: Place = HERE,
) -> int:
    """Let a frozen cell move again, or all of them."""
    seconds = None if no_wait else wait
    return _move(place.pit(), cell, CellStatus.ACTIVE, seconds, fleet=fleet)


def _move(pit: PitPaths, cell: str, to: CellStatus, wait: float | None, *, fleet: bool) -> int:
    if bool(cell) is fleet:
        found = f"{say.clean(cell, 80)!r} and --all" if cell else "neither"
        raise UsageError(f"expected a CELL or --all, found {found}")
    if not fleet:
        moved, code = [_want(find_cell(pit, cell).paths, cell, to)], GOOD
    else:
        # Every wish first: the last cell must not wait for the first one's agents.
        done = list(_want_all(pit, to))
        moved = [one for one in done if one is not None]
        code = GOOD if len(moved) == len(done) else FAILED
        if not done:
            say.line(f"no cell is {FROM[to].value}")
    if wait is None:
        return code
    ends = STILL if to is CellStatus.FROZEN else MOVING
    return max([code, *(await_daemon(*one, ends, wait) for one in moved)])


def _want_all(pit: PitPaths, to: CellStatus) -> Iterator[_Moved | None]:
    """Write the wish into each cell; one that cannot be moved does not keep the others back."""
    for cell in see_cells(pit):
        if cell.manifest is None:
            say.complain(f"{cell.label} is passed over: {say.clean(cell.problem)}")
            yield None
        elif cell.manifest.status is FROM[to] or (cell.asleep and to is CellStatus.ACTIVE):
            try:
                yield _want(pit.cell(cell.uuid), cell.label, to)
            except LazarusError as error:
                say.complain(f"{cell.label} is passed over: {say.clean(error)}")
                yield None


def _want(paths: CellPaths, label: str, to: CellStatus) -> _Moved:
    offset = journal_end(paths.events)
    agents = with_lives(paths)
    if to is CellStatus.ACTIVE and see_cell(paths).asleep:
        store.update_manifest(paths, lambda old: replace(old, woken=old.woken + 1))
    else:
        provision.move_cell(paths, to, by=who())
    say.line(f"cell {label} is {to.value}")
    return _Moved(paths, offset, agents)
