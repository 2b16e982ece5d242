"""Every route in one table; the application and its OpenAPI document are made of it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from lazarus_pit import __version__
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.errors import FormatError, LazarusError, RefusedError, UsageError, WorldError
from lazarus_pit.formats import prometheus
from lazarus_pit.formats.instant import from_rfc3339
from lazarus_pit.formats.text import decode_object
from lazarus_pit.web import fleet, keys, metrics, verbs
from lazarus_pit.web.keys import Role
from lazarus_pit.web.ring import Ring

STATIC = Path(__file__).with_name("static")
MOST_EVENTS = 5000
MOST_LOG = 4 * 1024 * 1024
"""Bytes of a log that one request may ask for."""
_BODY = 64 * 1024
_STATUS: tuple[tuple[type[LazarusError], int], ...] = (
    (UsageError, 400),
    (FormatError, 400),
    (RefusedError, 409),
    (WorldError, 503),
)
"""The answer to an error of ours, the first that fits."""


class Server(NamedTuple):
    """What the routes work with."""

    pit: PitPaths
    explain: Callable[[str, str], list[str]]
    """The lines of ``lazarus why`` for a cell's UUID and an agent's name."""
    command: tuple[str, ...]
    """How ``lazarus`` is started; a verb and its arguments follow."""
    where: tuple[str, ...]
    """The flags that name the root and the configuration; they end a command line."""
    ring: Ring | None = None
    """What the stream reads from; it is made where the event loop runs."""


class Spot(NamedTuple):
    """One route: how it is asked, who may ask, and what answers."""

    method: str
    path: str
    what: str
    role: Role | None
    """``None``: everybody, without a token."""
    answer: Callable[[Server, Request], Response]


def build(server: Server, more: tuple[Spot, ...] = ()) -> Starlette:
    """Return the application, without the door before it."""
    spots = SPOTS + more
    document = _openapi(spots)
    routes: list[BaseRoute] = [
        Route(spot.path, _endpoint(server, spot), methods=[spot.method]) for spot in spots
    ]
    routes.append(Route("/openapi.json", lambda _: JSONResponse(document)))
    routes.append(Mount("/static", StaticFiles(directory=STATIC, check_dir=False)))
    return Starlette(routes=routes)


def _endpoint(server: Server, spot: Spot) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an answer: who may ask, what was sent, and errors as JSON."""

    @functools.wraps(spot.answer)
    async def answered(request: Request) -> Response:
        if refusal := _barred(spot.role, request.scope.get("role")):
            return refusal
        try:
            if spot.method == "POST":
                request.scope["lazarus.body"] = await _body(request)
            # Files may be slow; what reads them does not hold up the others.
            return await run_in_threadpool(spot.answer, server, request)
        except LazarusError as error:
            status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
            return refuse(status, str(error))

    return answered


def _barred(wanted: Role | None, role: Role | None) -> Response | None:
    """Return the refusal of somebody who is nobody, or not enough; ``None`` lets in."""
    if wanted is None:
        return None
    if role is None:
        return refuse(401, "expected Authorization: Bearer TOKEN; `lazarus web link` gives one")
    return None if keys.may(role, wanted) else refuse(403, f"found {role}, expected {wanted}")


async def _body(request: Request) -> dict[str, Any]:
    """Return the JSON object that was sent; nothing at all is an empty one.

    Raises:
        FormatError: too large, no JSON, or no object.
    """
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > _BODY:
            raise FormatError(f"body: more than {_BODY} bytes")
    return decode_object(bytes(data), "body") if data else {}


def refuse(status: int, why: str) -> Response:
    """Say no, and why."""
    return JSONResponse({"error": why}, status)


# ---------------------------------------------------------------- answers


def _fleet(server: Server, _request: Request) -> Response:
    return _json(fleet.fleet(server.pit))


def _cell(server: Server, request: Request) -> Response:
    paths = cell_of(server, request)
    return _json(fleet.one_cell(paths)) if paths else refuse(404, "there is no such cell")


def _events(server: Server, request: Request) -> Response:
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    before = request.query_params.get("before", "")
    if before:
        from_rfc3339(before, "before")
    limit = _number(request, "limit", 200, MOST_EVENTS)
    return _json({"events": fleet.events(paths, limit, before)})


def _why(server: Server, request: Request) -> Response:
    paths = cell_of(server, request)
    name = request.path_params["name"]
    if paths is None or not fleet.has_agent(paths, name):
        return refuse(404, "there is no such agent")
    return _json({"lines": server.explain(paths.uuid, name)})


def _log(server: Server, request: Request) -> Response:
    paths = cell_of(server, request)
    name = request.path_params["name"]
    if paths is None or not fleet.has_agent(paths, name):
        return refuse(404, "there is no such agent")
    size = _number(request, "bytes", 65_536, MOST_LOG)
    return Response(fleet.log_tail(paths, name, size), media_type="text/plain; charset=utf-8")


def _login(server: Server, request: Request) -> Response:
    found = request.scope["lazarus.body"]
    link = found.get("link")
    if not isinstance(link, str):
        return refuse(400, "link: expected the text after #login= of `lazarus web link`")
    try:
        token, role = keys.login(server.pit, link)
    except RefusedError as error:
        return refuse(401, str(error))
    return _json({"token": token, "role": role})


_REFUSED = {1: 409, 2: 400, 75: 503}
"""The answer to a command's exit code."""


def _act(server: Server, request: Request) -> Response:
    """Do what the path's last word says, to the cell or agent that it names."""
    paths = cell_of(server, request)
    name = request.path_params.get("name")
    if paths is None or (name is not None and not fleet.has_agent(paths, name)):
        return refuse(404, "there is no such cell" if name is None else "there is no such agent")
    word = request.url.path.rpartition("/")[2]
    verb = verbs.OF_CELLS[word] if name is None else verbs.OF_AGENTS[word]
    flags = verbs.flags_of(verb, request.scope["lazarus.body"])
    whom = paths.uuid if name is None else f"{paths.uuid}/{name}"
    done = verbs.run([*server.command, word, whom, *flags, *server.where])
    if done.code:
        return refuse(_REFUSED.get(done.code, 500), done.said)
    return JSONResponse({"ok": True, "done": done.code == 0, "said": done.said}, 202)


def _stream(server: Server, request: Request) -> Response:
    if server.ring is None:
        return refuse(503, "nothing watches the root")
    frames = server.ring.read(request.headers.get("last-event-id", ""))
    return StreamingResponse(frames, media_type="text/event-stream")


def _metrics(server: Server, _request: Request) -> Response:
    readers = server.ring.readers if server.ring else 0
    text = prometheus.render(metrics.families(fleet.fleet(server.pit), readers))
    return Response(text, headers={"Content-Type": prometheus.CONTENT_TYPE})


def _healthz(_server: Server, _request: Request) -> Response:
    return _json({"status": "ok", "service": "lazarus-web", "version": __version__})


def _readyz(server: Server, _request: Request) -> Response:
    up = bool(fleet.daemon(server.pit)["up"])
    return JSONResponse({"status": "ok" if up else "the daemon is down"}, 200 if up else 503)


def _page(_server: Server, _request: Request) -> Response:
    page = STATIC / "index.html"
    return FileResponse(page) if page.is_file() else refuse(404, "this build has no page")


def cell_of(server: Server, request: Request) -> CellPaths | None:
    """Return the cell that a path names; ``None`` where there is none."""
    try:
        paths = server.pit.cell(request.path_params["uuid"])
    except FormatError:
        return None
    return paths if paths.manifest.is_file() else None


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= most):
        raise UsageError(f"{name}: found {text[:40]!r}, expected a number from 1 to {most}")
    return int(text)


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")


_CELL = "/api/v1/cells/{uuid}"
SPOTS: tuple[Spot, ...] = (
    Spot("GET", "/", "The page.", None, _page),
    Spot("GET", "/healthz", "Whether the API answers.", None, _healthz),
    Spot("GET", "/readyz", "Whether the daemon is up: 200, or 503.", None, _readyz),
    Spot("POST", "/api/v1/login", "Exchange a one-time link for a token.", None, _login),
    Spot("GET", "/api/v1/fleet", "Every cell and its agents, as of now.", "viewer", _fleet),
    Spot("GET", "/api/v1/stream", "Server-sent events: fleet, event.", "viewer", _stream),
    Spot("GET", "/metrics", "The fleet in numbers, for Prometheus.", "viewer", _metrics),
    Spot("GET", _CELL, "One cell, with its checkpoints.", "viewer", _cell),
    Spot("GET", _CELL + "/events", "What happened in a cell, newest last.", "viewer", _events),
    Spot("GET", _CELL + "/agents/{name}/why", "What `lazarus why` says.", "viewer", _why),
    Spot("GET", _CELL + "/agents/{name}/log", "The end of what it printed.", "viewer", _log),
    *(
        Spot("POST", f"{_CELL}/agents/{{name}}/{word}", verb.what, "operator", _act)
        for word, verb in verbs.OF_AGENTS.items()
    ),
    *(
        Spot("POST", f"{_CELL}/{word}", verb.what, "operator", _act)
        for word, verb in verbs.OF_CELLS.items()
    ),
)


def _openapi(spots: tuple[Spot, ...]) -> dict[str, Any]:
    paths: dict[str, dict[str, Any]] = {}
    for spot in spots:
        names = [part[1:-1] for part in spot.path.split("/") if part.startswith("{")]
        operation: dict[str, Any] = {
            "summary": spot.what,
            "parameters": [
                {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                for name in names
            ],
            "responses": {
                "2XX": {"description": "Done."},
                "4XX": {"description": 'Refused: {"error": text}.'},
            },
            "security": [{"bearer": []}] if spot.role else [],
        }
        if spot.role:
            operation["x-role"] = spot.role
        paths.setdefault(spot.path, {})[spot.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lazarus Pit", "version": __version__},
        "paths": paths,
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
    }
