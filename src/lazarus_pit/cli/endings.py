"""``lazarus cell archive`` and ``lazarus cell destroy``: the end of a mission, and of its cell."""

from __future__ import annotations

import time
from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.view import see_cell
from lazarus_pit.cli import say
from lazarus_pit.cli.follow import journal_end
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.place import HERE, CellName, Place, owner_of, who
from lazarus_pit.cli.pulse import feel
from lazarus_pit.cli.waiting import DOWN, WAIT, NoWait, Wait, await_daemon
from lazarus_pit.config import Config
from lazarus_pit.core.model import CellStatus, Life, Seconds
from lazarus_pit.daemon.awaken import tree_name
from lazarus_pit.errors import RefusedError
from lazarus_pit.linux import cgroup
from lazarus_pit.sandboxes import lives
from lazarus_pit.sandboxes.living import find_living

LOOK_AGAIN: Seconds = 0.05
"""Between two looks at lives that are ending."""
DESTROYABLE = (CellStatus.ARCHIVED, CellStatus.DESTROYED)


def archive(
    cell: CellName, /, *, wait: Wait = WAIT, no_wait: NoWait = False, place: Place = HERE
) -> int:
    """End a mission: its agents are stopped, the cell is kept."""
    found = find_cell(place.pit(), cell)
    offset = journal_end(found.paths.events)
    agents = _with_lives(found.paths)
    provision.move_cell(found.paths, CellStatus.ARCHIVED, by=who())
    say.line(f"cell {cell} is archived")
    return 0 if no_wait else await_daemon(found.paths, offset, agents, DOWN, wait)


def _with_lives(paths: CellPaths) -> list[str]:
    return [
        agent.name
        for agent in see_cell(paths).agents
        if agent.health is not None and agent.health.pid is not None
    ]


def destroy(
    cell: CellName,
    /,
    *,
    force: Annotated[
        bool, Parameter(negative="", help="Also a cell that is not archived; ends what runs.")
    ] = False,
    wait: Wait = WAIT,
    place: Place = HERE,
) -> int:
    """Remove an archived cell for good. No home directory is touched."""
    config = place.settings()
    pit = PitPaths(config.root)
    paths, manifest = find_cell(pit, cell)
    if manifest.status not in DESTROYABLE:
        if not force:
            raise RefusedError(
                f"cell {cell} is {manifest.status}: `lazarus cell archive {cell}` first, or --force"
            )
        provision.move_cell(paths, CellStatus.ARCHIVED, by=who())
    _await_the_end(config, paths, wait, force=force)
    provision.destroy_cell(paths)
    say.line(f"cell {cell} is destroyed")
    return 0


def _await_the_end(config: Config, paths: CellPaths, seconds: Seconds, *, force: bool) -> None:
    """Return when no life of the cell is left: a daemon ends them, without one ``force`` does.

    Raises:
        RefusedError: something still lives.
    """
    deadline = time.monotonic() + seconds
    watched = feel(PitPaths(paths.root)).up
    while left := lives_of(config, paths):
        if not watched:
            if not force:
                raise RefusedError(
                    f"{_words(left)} of this cell still live and no daemon is there to end them: "
                    "`lazarus up`, or --force"
                )
            for life in left:
                lives.destroy(life)
        if time.monotonic() >= deadline:
            raise RefusedError(
                f"{_words(left)} of this cell still live after {say.span(seconds)}: nothing removed"
            )
        time.sleep(LOOK_AGAIN)


def _words(left: list[Life]) -> str:
    pids = ", ".join(str(life.pid) for life in left)
    return f"{say.count(len(left), 'agent')} (pid {pids})"


def lives_of(config: Config, paths: CellPaths) -> list[Life]:
    """Return every life of a cell that still has a process, whoever watches it."""
    pit = PitPaths(paths.root)
    tree, _ = cgroup.find_tree(tree_name(paths.root))
    owner = owner_of(config)
    found = find_living(
        tree,
        lambda uuid, agent, generation: str(pit.cell(uuid).status(agent, generation)),
        frozenset({owner.uid}),
    )
    if tree is not None:
        cgroup.remove_tree(tree)  # Only what is empty; looking must leave nothing behind.
    return [life for (uuid, _, _), life in found.items() if uuid == paths.uuid]
