"""``lazarus mail`` for people at the host; inside a cell the environment says who is writing."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from lazarus_pit import mail as client
from lazarus_pit.cells.provision import refuse_ended
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.place import HERE, Place, who
from lazarus_pit.errors import UsageError
from lazarus_pit.formats.manifest import Kind


def mail(
    *words: Annotated[str, Parameter(allow_leading_hyphen=True)],
    cell: Annotated[str | None, Parameter(help="Whose bus: a cell's UUID or name.")] = None,
    as_: Annotated[
        str | None, Parameter(name="--as", help="Which member you are; by itself your user name.")
    ] = None,
    place: Place = HERE,
) -> int:
    """Send, read and acknowledge mail between the members of a cell."""
    if cell is None:
        return client.main(list(words))
    found = find_cell(place.pit(), cell)
    refuse_ended(found.manifest)
    name = as_ or who()
    member = found.manifest.member(name)
    if member is None or member.kind is not Kind.HUMAN:
        people = [one.name for one in found.manifest.agents if one.kind is Kind.HUMAN]
        listed = ", ".join(people) or "none: a person needs a seat in the cell first"
        raise UsageError(f"--as: found {name!r}, expected a person of this cell ({listed})")
    seat = {
        "LAZARUS_INBOX": str(found.paths.inbox(name)),
        "LAZARUS_OUTBOX": str(found.paths.outbox(name)),
    }
    return client.main(list(words), seat)
