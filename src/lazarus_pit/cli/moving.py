"""``lazarus cell export`` and ``lazarus cell import``: a cell moves to another machine."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from msgspec.structs import replace

from lazarus_pit.cells import arrival, provision
from lazarus_pit.cells.checkpoint.place import Trust
from lazarus_pit.cells.checkpoint.run import Still, run
from lazarus_pit.cells.checkpoint.save import PARTS, Saved
from lazarus_pit.cells.checkpoint.unpack import Unpacked, UnpackRequest
from lazarus_pit.cells.checkpoint.worker import Order
from lazarus_pit.cells.files import durably, sync_directory
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.listing import list_cells
from lazarus_pit.cells.proposed import names_of
from lazarus_pit.cells.remove import remove_tree
from lazarus_pit.cli import say
from lazarus_pit.cli.cells import check_free_name
from lazarus_pit.cli.endings import lives_of
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.pausing import resume
from lazarus_pit.cli.place import HERE, CellName, Json, Place, owner_of, who
from lazarus_pit.cli.progress import progress
from lazarus_pit.config import Config
from lazarus_pit.core.model import CellStatus
from lazarus_pit.daemon import saving
from lazarus_pit.errors import UsageError
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Manifest
from lazarus_pit.formats.names import is_agent_name

WHOLE = (*PARTS, "logs/events.jsonl")
"""What of a cell travels: all that a checkpoint holds, and the journal."""


def export(
    cell: CellName,
    file: Annotated[Path, Parameter(help="The archive to write; it must not exist.")],
    /,
    *,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Write a cell into one archive: its work as of now, mail, manifest and journal."""
    config = place.settings()
    paths, _ = find_cell(place.pit(), cell)
    if os.path.lexists(file):
        raise UsageError(f"FILE: {file} is there already, expected a new name")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"FILE: {file.absolute().parent} is no directory")
    stillness = saving.Stillness(paths, partial(lives_of, config, paths))
    with tempfile.TemporaryDirectory(dir=file.absolute().parent, prefix=".lazarus-") as folder:
        saved = asyncio.run(saving.write(paths, stillness, Path(folder), WHOLE, progress))
        _name(Path(saved.archive), file)
    saving.note_event(paths, "cell_exported", bytes=saved.size, by=who())
    if json:
        say.as_json(replace(saved, archive=str(file)))
        return 0
    say.line(f"{file}: {saved.entries} entries, {say.size(saved.size)}; the cell goes on here")
    _complain(saved)
    return 0


def _complain(saved: Saved) -> None:
    for omission in saved.left_out:
        say.complain(f"not in it: {say.clean(omission.path)}: {omission.why}")


def _name(archive: Path, file: Path) -> None:
    """Give the archive its name, whole and never over another file."""
    with durably("cannot be written", file):
        try:
            os.link(archive, file)
        except FileExistsError:
            raise UsageError(f"FILE: {file} is there already, expected a new name") from None
        except OSError:  # Not every file system has links.
            archive.rename(file)
        sync_directory(file.absolute().parent)


def import_(
    file: Annotated[Path, Parameter(help="An archive of `lazarus cell export`, or a checkpoint.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Another name for the cell.")] = None,
    start: Annotated[bool, Parameter(negative="", help="Start its agents at once.")] = False,
    keep_isolation: Annotated[
        bool,
        Parameter(negative="", help="Keep what its manifest opens of this host to its agents."),
    ] = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Make a cell of an archive from elsewhere; its agents are not started unless asked."""
    config = place.settings()
    if not file.exists() or not stat.S_ISREG(file.stat().st_mode):
        raise UsageError(f"FILE: {file}: expected an archive, found no regular file")
    if name is not None:
        check_free_name(name, names_of(config.root))
    nursery = PitPaths(config.root).nursery / secrets.token_hex(8)
    with durably("cannot be made", nursery):
        nursery.mkdir(mode=0o700, parents=True)
    try:
        tree, unpacked = _unpack(config, file, nursery)
        found = arrival.read_manifest(tree)
        kept = arrival.Closed(found, ()) if keep_isolation else arrival.closed(found)
        wanted = _named(config, arrival.at_rest(kept.manifest), name)
        made, notes = _settle(config, tree, wanted, found, unpacked)
    finally:
        remove_tree(nursery)
    if start:
        resume(made, frozenset(m.name for m in wanted.agents if m.command))
    if json:
        said = {"uuid": made.uuid, "name": wanted.name, "path": str(made.cell), "from": found.uuid}
        say.as_json(said)
    else:
        say.line(made.uuid)
        say.complain(
            f"cell {wanted.name or made.uuid[:8]} is at {made.cell}, as it was "
            f"at {say.clean(unpacked.about.created_at, 40)}"
        )
    told = (*kept.notes, *arrival.own_terms(wanted), *_renamed(found, wanted))
    for note in (*told, *notes, *unpacked.notes):
        say.complain(say.clean(note, 300))
    return 0


def _unpack(config: Config, file: Path, nursery: Path) -> tuple[Path, Unpacked]:
    """Unpack and check everything where no agent comes; owners are those of this host."""
    owner = owner_of(config)
    trust = Trust(own=False, owner=(owner.uid, owner.gid) if os.geteuid() == 0 else None)
    tree = nursery / "tree"
    request = UnpackRequest(
        archive=str(file.absolute()), target=str(tree), parts=WHOLE, trust=trust, indexed=False
    )
    try:
        return tree, asyncio.run(run(Order(request=request), Still(), progress))
    finally:
        if sys.stderr.isatty():
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _named(config: Config, found: Manifest, name: str | None) -> Manifest:
    """Return the manifest as it is to be here: the same cell, unless there is one like it."""
    kept = found.name
    if kept in names_of(config.root) or not is_agent_name(kept or "") or _begins(config, kept):
        kept = None
    there = os.path.lexists(CellPaths(config.root, found.uuid).cell)
    return replace(
        found,
        uuid=provision.new_uuid() if there else found.uuid,
        name=name or kept,
        status=CellStatus.ACTIVE,
    )


def _begins(config: Config, name: str | None) -> bool:
    """Whether people may mean another cell by this name: the beginning of its UUID."""
    return any(listed.paths.uuid.startswith(name or "-") for listed in list_cells(config.root))


def _renamed(found: Manifest, wanted: Manifest) -> list[str]:
    said = []
    if wanted.uuid != found.uuid:
        said.append(f"a cell {found.uuid} is here already: this one is {wanted.uuid}")
    if found.name and wanted.name != found.name:
        said.append(f"its name was {found.name}")
    return said


def _settle(
    config: Config, tree: Path, wanted: Manifest, found: Manifest, unpacked: Unpacked
) -> tuple[CellPaths, list[str]]:
    """Make the cell; it appears with everything in it, or not at all."""
    notes: list[str] = []

    def fill(unborn: CellPaths) -> list[Event]:
        notes.extend(arrival.furnish(unborn, tree, wanted))
        data = {"source": found.uuid, "taken": unpacked.about.created_at, "by": who()}
        imported = Event(ts=to_rfc3339(time.time(), 3), event="cell_imported", data=data)
        return [*arrival.journal_of(tree), imported]

    return (
        provision.create_cell(config.root, wanted, owner_of(config), invited=True, fill=fill),
        notes,
    )
