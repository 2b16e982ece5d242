"""``lazarus mcp``: the team's tools for a person's own programs at the host."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cli.mail import seat_of
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.place import HERE, Place
from lazarus_pit.errors import UsageError
from lazarus_pit.mcp.server import main


def mcp(
    *,
    cell: Annotated[str | None, Parameter(help="Whose bus: a cell's UUID or name.")] = None,
    as_: Annotated[
        str | None, Parameter(name="--as", help="Which member you are; by itself your user name.")
    ] = None,
    place: Place = HERE,
) -> int:
    """Speak MCP on standard input and output, as a member of a cell."""
    if cell is None and "LAZARUS_OUTBOX" not in os.environ:
        raise UsageError("mcp: expected --cell CELL and --as MEMBER outside a cell")
    return main((), os.environ if cell is None else seat_of(find_cell(place.pit(), cell), as_))
