"""``lazarus fork``: a new cell from a checkpoint of another one."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from msgspec.structs import replace

from lazarus_pit.cells import provision
from lazarus_pit.cells.checkpoint.place import Trust
from lazarus_pit.cells.checkpoint.restore import WORK, remove_tree
from lazarus_pit.cells.checkpoint.run import Still, run
from lazarus_pit.cells.checkpoint.unpack import UnpackRequest
from lazarus_pit.cells.checkpoint.worker import Order
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.proposed import names_of
from lazarus_pit.cli import say
from lazarus_pit.cli.cells import check_free_name
from lazarus_pit.cli.checkpoints import Which
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.pausing import resume
from lazarus_pit.cli.place import HERE, CellName, Json, Place, owner_of, who
from lazarus_pit.core.model import CellStatus, Desired
from lazarus_pit.daemon import saving
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event


def fork(
    cell: CellName,
    /,
    *,
    checkpoint: Which = "latest",
    name: Annotated[str | None, Parameter(help="A short name for the new cell.")] = None,
    start: Annotated[bool, Parameter(negative="", help="Start its agents at once.")] = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Make a new cell of a checkpoint; its agents are not started unless asked."""
    config = place.settings()
    pit = place.pit()
    paths, manifest = find_cell(pit, cell)
    archive = saving.find(paths, checkpoint).archive
    if name is not None:
        check_free_name(name, names_of(config.root))
    wanted = replace(
        manifest,
        uuid=provision.new_uuid(),
        name=name,
        status=CellStatus.ACTIVE,
        created_at="",
        created_by=who(),
        agents=tuple(
            replace(m, desired=Desired.STOP, request=0, joined_at="") for m in manifest.agents
        ),
        found={k: v for k, v in manifest.found.items() if k not in ("uuid", "name", "created_at")},
    )
    stopped = replace(wanted, agents=tuple(replace(m, desired=Desired.STOP) for m in wanted.agents))
    facts = {"source": manifest.uuid, "checkpoint": archive.name, "by": wanted.created_by}

    def fill(unborn: CellPaths) -> list[Event]:
        _fill(unborn, archive)
        created = {"by": wanted.created_by, "uuid": wanted.uuid}
        now = to_rfc3339(time.time(), 3)
        return [
            Event(ts=now, event="cell_created", data=created),
            *(provision.joined(member, by=wanted.created_by) for member in stopped.agents),
            Event(ts=now, event="cell_forked", data=facts),
        ]

    made = provision.create_cell(config.root, stopped, owner_of(config), fill=fill)
    if start:
        resume(made, frozenset(member.name for member in wanted.agents))
    if json:
        say.as_json({"uuid": made.uuid, "name": name, "path": str(made.cell)})
    else:
        say.line(made.uuid)
        say.complain(f"forked from {cell} at {made.cell}")
    return 0


def _fill(made: CellPaths, archive: Path) -> None:
    """Put the work of the checkpoint into the new cell, through a directory nobody else sees."""
    with tempfile.TemporaryDirectory(dir=made.private, prefix="fork-") as folder:
        target = Path(folder) / "tree"
        request = UnpackRequest(archive=str(archive), target=str(target), trust=Trust(own=True))
        asyncio.run(run(Order(request=request), Still(), lambda _: None))
        for part in WORK:
            source, place = target / part, made.cell / part
            if source.is_dir():
                if place.is_dir():
                    remove_tree(place)
                source.rename(place)
