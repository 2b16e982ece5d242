"""``lazarus mcp``: the team's tools for a person's own programs at the host."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cli.mail import seat_of
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.place import HERE, Place
from lazarus_pit.errors import UsageError, WorldError
from lazarus_pit.mcp.http import serve
from lazarus_pit.mcp.server import main

LAST_PORT = 65535


def mcp(
    *,
    cell: Annotated[str | None, Parameter(help="Whose bus: a cell's UUID or name.")] = None,
    as_: Annotated[
        str | None, Parameter(name="--as", help="Which member you are; by itself your user name.")
    ] = None,
    http: Annotated[
        int | None,
        Parameter(help="Over HTTP on this PORT of loopback instead, with a token; 0 picks one."),
    ] = None,
    place: Place = HERE,
) -> int:
    """Speak MCP on standard input and output, as a member of a cell."""
    if cell is None and "LAZARUS_OUTBOX" not in os.environ:
        raise UsageError("mcp: expected --cell CELL and --as MEMBER outside a cell")
    seat = os.environ if cell is None else seat_of(find_cell(place.pit(), cell), as_)
    if http is None:
        return main((), seat)
    if not 0 <= http <= LAST_PORT:
        raise UsageError(f"--http: found {http}, expected a port, 0 to {LAST_PORT}")
    try:
        serve(seat, http, _ready)
    except OSError as error:
        raise WorldError(f"--http {http}: {error.strerror}") from None
    return 0


def _ready(address: str, token: str) -> None:
    print(address, flush=True)
    print(f"Authorization: Bearer {token}", flush=True)
