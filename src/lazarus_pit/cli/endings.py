"""``lazarus cell archive`` and ``lazarus cell destroy``: the end of a mission, and of its cell."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cells import graves, provision
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cli import say
from lazarus_pit.cli.follow import journal_end
from lazarus_pit.cli.losing import Losses, agree, find_losses
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.place import HERE, CellName, Place, owner_of, who
from lazarus_pit.cli.progress import counting, shown
from lazarus_pit.cli.pulse import feel
from lazarus_pit.cli.waiting import DOWN, WAIT, NoWait, Wait, await_daemon, with_lives
from lazarus_pit.config import Config
from lazarus_pit.core.model import CellStatus, Life, Seconds
from lazarus_pit.daemon import saving
from lazarus_pit.daemon.awaken import tree_name
from lazarus_pit.errors import RefusedError, WorldError
from lazarus_pit.linux import cgroup
from lazarus_pit.sandboxes import lives
from lazarus_pit.sandboxes.living import find_living

LOOK_AGAIN: Seconds = 0.05
"""Between two looks at lives that are ending."""
LAST = "last, at the archive"
"""The note of the checkpoint that ends a mission."""
BEFORE_THE_END = "before it is destroyed"
DESTROYABLE = (CellStatus.ARCHIVED, CellStatus.DESTROYED)


def archive(
    cell: CellName, /, *, wait: Wait = WAIT, no_wait: NoWait = False, place: Place = HERE
) -> int:
    """End a mission: its agents are stopped, a last checkpoint is taken, the cell is kept."""
    config = place.settings()
    paths, _ = find_cell(place.pit(), cell)
    offset = journal_end(paths.events)
    agents = with_lives(paths)
    provision.move_cell(paths, CellStatus.ARCHIVED, by=who())
    say.line(f"cell {cell} is archived")
    if no_wait:
        say.complain(f"no last checkpoint was taken (--no-wait): `lazarus checkpoint {cell}`")
        return 0
    code = await_daemon(paths, offset, agents, DOWN, wait)
    _save_last(config, paths, wait)
    return code


def _save_last(config: Config, paths: CellPaths, seconds: Seconds) -> None:
    """Take the checkpoint after which nothing should change; whatever still lives stands still.

    Raises:
        WorldError: it could not be taken; the cell is archived without one.
        RefusedError: another one was being taken all the while.
    """
    deadline = time.monotonic() + seconds
    while True:
        stillness = saving.Stillness(paths, partial(lives_of, config, paths))
        try:
            with shown() as bar:
                saved = asyncio.run(saving.save(paths, stillness, LAST, bar, by=who()))
        except RefusedError:  # The daemon is taking one, which may be older than the last change.
            if time.monotonic() >= deadline:
                raise
            time.sleep(LOOK_AGAIN)
        except WorldError as error:
            raise WorldError(f"archived, but without a last checkpoint: {error}") from None
        else:
            say.line(f"last checkpoint {saved.name}, {say.size(saved.size)}")
            return


def destroy(
    cell: CellName,
    /,
    *,
    force: Annotated[
        bool, Parameter(negative="", help="Also a cell that is not archived; ends what runs.")
    ] = False,
    token: Annotated[str, Parameter(help="Lose what this token names; a refusal prints it.")] = "",
    wait: Wait = WAIT,
    place: Place = HERE,
) -> int:
    """Remove an archived cell for good, unless work would be lost. No home directory is touched."""
    config = place.settings()
    pit = PitPaths(config.root)
    found = find_cell(pit, cell)
    paths, manifest = found
    if manifest.status not in DESTROYABLE:
        if not force:
            raise RefusedError(
                f"cell {cell} is {manifest.status}: `lazarus cell archive {cell}` first, or --force"
            )
        # Asked before anything ends, since no cell comes back from the archive.
        agree(cell, find_losses(config, pit, found, saved=True), token)
        provision.move_cell(paths, CellStatus.ARCHIVED, by=who())
        _await_the_end(config, paths, wait, force=force)
        _save_last(config, paths, wait)
    _await_the_end(config, paths, wait, force=force)
    kept = ""
    if manifest.status is not CellStatus.DESTROYED:  # Else its removal was cut short.
        losses = find_losses(config, pit, found)
        agree(cell, losses, token)
        last = _save_losses(config, paths, losses) or losses.unsaved.checkpoint
        grave = graves.bury(paths, last, config.cells.graves_kept)
        kept = f"; its last checkpoint is kept: {grave}" if grave else "; nothing of it is kept"
    with shown("removing"):
        provision.destroy_cell(paths, removed=counting("removed"), by=who())
    say.line(f"cell {cell} is destroyed{kept}")
    return 0


def _save_losses(config: Config, paths: CellPaths, losses: Losses) -> str:
    """Save once more what a person agreed to lose; empty where there is nothing, or it cannot be.

    The agreement stands in any case: a full disk must not keep a cell from its end.
    """
    if not losses.unsaved.paths:
        return ""
    stillness = saving.Stillness(paths, partial(lives_of, config, paths))
    try:
        with shown() as bar:
            return asyncio.run(saving.save(paths, stillness, BEFORE_THE_END, bar, by=who())).name
    except (WorldError, RefusedError) as error:
        say.complain(f"not saved once more: {say.clean(error, 300)}")
        return ""


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
        frozenset(owner.uids),
    )
    if tree is not None:
        cgroup.remove_tree(tree)  # Only what is empty; looking must leave nothing behind.
    return [life for (uuid, _, _), life in found.items() if uuid == paths.uuid]
