"""What routes are made of: what they work with, how one is described, how it answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.view import AgentView
from lazarus_pit.errors import FormatError, UsageError
from lazarus_pit.formats.journal import Event
from lazarus_pit.web import fleet
from lazarus_pit.web.keys import Role
from lazarus_pit.web.operations import Operations
from lazarus_pit.web.picture import Picture
from lazarus_pit.web.ring import Ring


class Words(NamedTuple):
    """How things are said to people; one way for commands and API."""

    explain: Callable[[str, str], list[str]]
    """The lines of ``lazarus why`` for a cell's UUID and an agent's name."""
    sentence: Callable[[Event], str]
    need: Callable[[AgentView], str]
    """Why an agent needs a person; empty where it does not."""


class Server(NamedTuple):
    """What the routes work with."""

    pit: PitPaths
    words: Words
    command: tuple[str, ...]
    """How ``lazarus`` is started; a verb and its arguments follow."""
    where: tuple[str, ...]
    """The flags that name the root and the configuration; they end a command line."""
    operations: Operations
    ring: Ring | None = None
    """What the stream reads from; it is made where the event loop runs."""
    picture: Picture | None = None
    """The fleet as it is known; ``None``: it is read anew for each request."""


Answer = Callable[[Server, Request], Response]
Reader = Callable[[Server, Request], Coroutine[Any, Any, Response]]
"""One that reads the body itself, a file."""


class Query(NamedTuple):
    """A whole number, or a text of so many characters, that may stand in the query."""

    name: str
    what: str
    default: int | None
    least: int
    most: int
    is_text: bool = False


class Spot(NamedTuple):
    """One route: how it is asked, who may ask, and what answers."""

    method: str
    path: str
    what: str
    role: Role | None
    """``None``: everybody, without a token."""
    answer: Answer | Reader
    gives: Any = None
    """The type of the answer; ``None``: it is not JSON."""
    query: tuple[Query, ...] = ()
    takes: Mapping[str, Any] | None = None
    """The schema of the body; ``None``: none is read."""
    kind: str = "application/json"
    """The media type of the answer."""
    codes: tuple[int, ...] = ()
    """Statuses that are its own, beside those that its kind of route can have."""


def refuse(status: int, why: str) -> Response:
    """Say no, and why."""
    return JSONResponse({"error": why}, status)


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a value of one of the documented shapes."""
    data = msgspec.json.encode(value)
    return Response(data, status, headers, media_type="application/json")


def cell_of(server: Server, request: Request) -> CellPaths | None:
    """Return the cell that a path names; ``None`` where there is none."""
    try:
        paths = server.pit.cell(request.path_params["uuid"])
    except FormatError:
        return None
    return paths if paths.manifest.is_file() else None


def agent_of(server: Server, request: Request) -> tuple[CellPaths, str] | None:
    """Return the agent that a path names; ``None`` where there is none."""
    paths = cell_of(server, request)
    name = request.path_params["name"]
    return (paths, name) if paths is not None and fleet.has_agent(paths, name) else None


def number(request: Request, query: Query) -> int | None:
    """Return a number of the query, its default where it is left out.

    Raises:
        UsageError: it is no whole number, or out of bounds.
    """
    text = request.query_params.get(query.name)
    if text is None:
        return query.default
    whole = text.isascii() and text.isdigit() and len(text) < 20
    if not (whole and query.least <= int(text) <= query.most):
        raise UsageError(
            f"{query.name}: found {text[:40]!r}, expected a number from {query.least} "
            f"to {query.most}"
        )
    return int(text)


def text(request: Request, query: Query) -> str | None:
    """Return a text of the query; ``None`` where it is left out.

    Raises:
        UsageError: it is too short or too long, or no argument of a command.
    """
    said = request.query_params.get(query.name)
    if said is not None and not (query.least <= len(said) <= query.most and "\0" not in said):
        raise UsageError(
            f"{query.name}: expected a text of {query.least} to {query.most} characters"
        )
    return said
