"""``lazarus mcp``: the team's tools for a person's own programs at the host."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cells.store import read_manifest
from lazarus_pit.cli.mail import seat_of
from lazarus_pit.cli.names import Found, find_cell
from lazarus_pit.cli.place import HERE, Place
from lazarus_pit.core.model import CellStatus
from lazarus_pit.errors import LazarusError, UsageError, WorldError
from lazarus_pit.formats.manifest import Member
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
    found = None if cell is None else find_cell(place.pit(), cell)
    seat = os.environ if found is None else seat_of(found, as_)
    if http is None:
        return main((), seat)
    if not 0 <= http <= LAST_PORT:
        raise UsageError(f"--http: found {http}, expected a port, 0 to {LAST_PORT}")
    try:
        serve(seat, http, _ready, lambda: found is None or _is_seated(found, seat))
    except OSError as error:
        raise WorldError(f"--http {http}: {error.strerror}") from None
    return 0


def _is_seated(found: Found, seat: Mapping[str, str]) -> bool:
    """Whether the member who sat down is one still, and the same."""
    name = seat["LAZARUS_AGENT"]
    try:
        now = read_manifest(found.paths)
    except LazarusError:
        return False  # Nobody is let in by what cannot be read.
    then, member = found.manifest.member(name), now.member(name)
    if member is None or then is None or now.status in (CellStatus.ARCHIVED, CellStatus.DESTROYED):
        return False
    return _who(member) == _who(then)


def _who(member: Member) -> tuple[object, ...]:
    return member.kind, member.role, member.joined_at, member.invitation


def _ready(address: str, token: str) -> None:
    print(address, flush=True)
    print(f"Authorization: Bearer {token}", flush=True)
