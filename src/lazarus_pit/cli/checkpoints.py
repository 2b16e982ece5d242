"""``lazarus checkpoint``, ``checkpoints``, ``restore``, ``undo``, ``fork``: save and bring back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from cyclopts import Parameter

from lazarus_pit.cells import provision
from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.checkpoint.diff import Diff, DiffRequest
from lazarus_pit.cells.checkpoint.manifest import About
from lazarus_pit.cells.checkpoint.restore import WORK, Restored, RestoreRequest
from lazarus_pit.cells.checkpoint.run import Still, run
from lazarus_pit.cells.checkpoint.source import about_of
from lazarus_pit.cells.checkpoint.undo import Undone, UndoRequest
from lazarus_pit.cells.checkpoint.verify import Verified, VerifyRequest
from lazarus_pit.cells.checkpoint.worker import Order
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cli import say
from lazarus_pit.cli.endings import lives_of
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.pausing import stopped
from lazarus_pit.cli.place import HERE, CellName, Json, Place, who
from lazarus_pit.cli.progress import progress, shown
from lazarus_pit.cli.waiting import WAIT, Wait
from lazarus_pit.daemon import saving
from lazarus_pit.errors import FormatError, UsageError

Note = Annotated[str, Parameter(help="What it is for, kept with it.")]
Which = Annotated[
    str, Parameter(name="--checkpoint", help="Its name, or the beginning of it; latest by itself.")
]
T = TypeVar("T")


def checkpoint(
    cell: CellName, /, *, note: Note = "", json: Json = False, place: Place = HERE
) -> int:
    """Save a cell: its agents stand still for a moment, or not at all if none runs."""
    config = place.settings()
    paths, _ = find_cell(place.pit(), cell)
    stillness = saving.Stillness(paths, partial(lives_of, config, paths))
    saved = _work(saving.save(paths, stillness, note, progress, by=who()))
    if json:
        say.as_json(saved)
        return 0
    kind = "changed parts anew" if saved.incremental else "all anew"
    say.line(
        f"checkpoint {saved.name}: {say.count(saved.entries, 'entry').replace('entrys', 'entries')}"
        f", {say.size(saved.size)}, {kind}; agents paused {say.span(saved.pause_seconds)}, "
        f"{say.span(saved.wall_seconds)} in all"
    )
    for omission in saved.left_out:
        say.complain(f"not saved: {say.clean(omission.path)}: {omission.why}")
    return 0


def checkpoints(cell: CellName, /, *, json: Json = False, place: Place = HERE) -> int:
    """List a cell's checkpoints, the oldest first."""
    paths, _ = find_cell(place.pit(), cell)
    found = [(one, _about(one.archive)) for one in shelf.checkpoints(paths.checkpoints)]
    if json:
        say.as_json(
            [
                {
                    "name": one.name,
                    "archive": str(one.archive),
                    "created": one.created,
                    "bytes": one.size,
                    "note": about.note if about else None,
                    "rescue": about.rescue if about else None,
                }
                for one, about in found
            ]
        )
        return 0
    rows = [
        [
            one.name,
            say.size(one.size),
            say.span(time.time() - one.created) + " ago",
            say.clean(about.note, 80) if about else "cannot be read",
        ]
        for one, about in found
    ]
    head = ["CHECKPOINT", "SIZE", "TAKEN", "NOTE"]
    for text in say.table(head, rows) if rows else ["none"]:
        say.line(text)
    return 0


def _about(archive: Path) -> About | None:
    """Return what an archive says about itself; of a rotten one nothing is known."""
    try:
        return about_of(archive)
    except (FormatError, UsageError):
        return None


def verify(
    cell: CellName, /, *, checkpoint: Which = "latest", json: Json = False, place: Place = HERE
) -> int:
    """Check every byte of a checkpoint against its own list."""
    paths, _ = find_cell(place.pit(), cell)
    archive = shelf.find(paths.checkpoints, checkpoint).archive
    found: Verified = _work(_ask(VerifyRequest(archive=str(archive))))
    if json:
        say.as_json(found)
    else:
        say.line(f"{archive.name} is sound: {found.about.entries} entries, {found.size} bytes")
    return 0


def diff(
    cell: CellName,
    old: Annotated[str, Parameter(help="The older checkpoint.")],
    new: Annotated[str, Parameter(help="The newer one.")] = "latest",
    /,
    *,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Say what changed between two checkpoints."""
    paths, _ = find_cell(place.pit(), cell)
    first, second = (shelf.find(paths.checkpoints, name).archive for name in (old, new))
    found: Diff = _work(_ask(DiffRequest(old=str(first), new=str(second))))
    if json:
        say.as_json(found.differences)
        return 0
    for one in found.differences:
        say.line(f"{one.change.value:8} {say.clean(one.path)}")
    return 0


def restore(
    cell: CellName,
    /,
    *,
    checkpoint: Which = "latest",
    wait: Wait = WAIT,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Bring a checkpoint back; agents are stopped before and started after.

    What it replaces is kept in the cell until the next checkpoint.
    """
    paths, archive = _prepare(cell, checkpoint, place)
    request = RestoreRequest(
        cell=str(paths.cell), archive=archive, staging=str(paths.restoring), parts=WORK
    )
    with stopped(place.settings(), paths, wait):
        saving.make_way(paths)
        done: Restored = _work(_ask(request))
        facts = {"checkpoint": _name(archive), "replaced": done.replaced, "by": who()}
        saving.note_event(paths, "cell_restored", **facts)
    if json:
        say.as_json(done)
        return 0
    say.line(f"cell {cell} is as in {_name(archive)}; what it was is in {done.replaced}")
    _notes(done.notes)
    return 0


def undo(
    cell: CellName,
    /,
    *,
    checkpoint: Which = "latest",
    wait: Wait = WAIT,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Go back to a checkpoint of this host by touching only what differs."""
    paths, archive = _prepare(cell, checkpoint, place)
    request = UndoRequest(cell=str(paths.cell), archive=archive, staging=str(paths.restoring))
    with stopped(place.settings(), paths, wait):
        saving.make_way(paths)
        done: Undone = _work(_ask(request))
        counts = {"restored": done.restored, "removed": done.removed}
        saving.note_event(paths, "cell_undone", checkpoint=_name(archive), **counts, by=who())
    if json:
        say.as_json(done)
        return 0
    say.line(
        f"cell {cell} is as in {_name(archive)}: {done.restored} entries restored, "
        f"{done.removed} removed, {done.kept} left as they were"
    )
    _notes(done.notes)
    return 0


def _prepare(cell: str, checkpoint: str, place: Place) -> tuple[CellPaths, str]:
    """Find the cell and the archive; a cell that has ended is not brought back."""
    paths, manifest = find_cell(place.pit(), cell)
    provision.refuse_ended(manifest)
    return paths, str(saving.find(paths, checkpoint).archive)


def _name(archive: str) -> str:
    return archive.rpartition("/")[2].removesuffix(shelf.ARCHIVE)


def _ask(request: Any) -> Coroutine[Any, Any, Any]:
    """Have a worker do it to a cell in which nothing runs."""
    return run(Order(request=request), Still(), progress)


def _work(work: Coroutine[Any, Any, T]) -> T:
    with shown():
        return asyncio.run(work)


def _notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        say.complain(note)
