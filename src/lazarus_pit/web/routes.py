"""Every route in one table; the application is made of it."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from lazarus_pit import __version__
from lazarus_pit.errors import FormatError, LazarusError, RefusedError, UsageError, WorldError
from lazarus_pit.formats.text import decode_object
from lazarus_pit.web import (
    actions,
    approvals,
    cells,
    fleet,
    guests,
    keys,
    mails,
    moving,
    openapi,
    shapes,
    verbs,
)
from lazarus_pit.web.keys import Role
from lazarus_pit.web.spots import Answer, Query, Reader, Server, Spot, as_json, refuse

STATIC = Path(__file__).with_name("static")
_BODY = 1024 * 1024
BODY_SECONDS = 30.0
"""How long a body may take."""
_STATUS: tuple[tuple[type[LazarusError], int], ...] = (
    (UsageError, 400),
    (FormatError, 400),
    (RefusedError, 409),
    (WorldError, 503),
)
"""The answer to an error of ours, the first that fits."""


def build(server: Server) -> Starlette:
    """Return the application, without the door before it."""
    document = openapi.document(SPOTS)
    routes: list[BaseRoute] = [
        Route(spot.path, _endpoint(server, spot), methods=[spot.method]) for spot in SPOTS
    ]
    routes.append(Route("/openapi.json", lambda _: JSONResponse(document)))
    routes.append(Mount("/static", StaticFiles(directory=STATIC, check_dir=False)))
    app = Starlette(routes=routes, exception_handlers={HTTPException: _unheard})
    app.router.redirect_slashes = False
    return app


def _unheard(_request: Request, error: Exception) -> Response:
    """Refuse what is no route of ours in the shape of every refusal."""
    code = error.status_code if isinstance(error, HTTPException) else 500
    headers = getattr(error, "headers", None)
    return JSONResponse({"error": HTTPStatus(code).phrase}, code, headers)


def _endpoint(server: Server, spot: Spot) -> Callable[[Request], Awaitable[Response]]:
    """Wrap an answer: who may ask, what was sent, and errors as JSON."""

    @functools.wraps(spot.answer)
    async def answered(request: Request) -> Response:
        if refusal := _barred(spot.role, request.scope.get("role")):
            return refusal
        try:
            if inspect.iscoroutinefunction(spot.answer):
                return await cast("Reader", spot.answer)(server, request)
            if spot.method == "POST":
                async with asyncio.timeout(BODY_SECONDS):
                    request.scope["lazarus.body"] = await _body(request)
            # Files may be slow; what reads them does not hold up the others.
            return await run_in_threadpool(cast("Answer", spot.answer), server, request)
        except TimeoutError:
            return refuse(408, "body: it did not come in time")
        except ClientDisconnect:
            return refuse(400, "body: it ended too early")  # Nobody is there to hear it.
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


def _login(server: Server, request: Request) -> Response:
    """Answer once for each link."""
    found = request.scope["lazarus.body"]
    link = found.get("link")
    if not isinstance(link, str):
        return refuse(400, "link: expected the text after #login= of `lazarus web link`")
    try:
        token, role = keys.login(server.pit, link)
    except RefusedError as error:
        return refuse(401, str(error))
    return as_json({"token": token, "role": role})


def _healthz(_server: Server, _request: Request) -> Response:
    """Answer whatever else is the matter."""
    return as_json(shapes.Health("ok", "lazarus-web", __version__))


def _readyz(server: Server, _request: Request) -> Response:
    """Answer 200 while the daemon is up, else 503."""
    up = bool(fleet.daemon(server.pit)["up"])
    return as_json(shapes.Health("ok" if up else "the daemon is down"), 200 if up else 503)


def _page(_server: Server, _request: Request) -> Response:
    """Answer with the page; it holds no data."""
    page = STATIC / "index.html"
    return FileResponse(page) if page.is_file() else refuse(404, "this build has no page")


def _health(path: str, what: str, answer: Answer) -> Spot:
    return Spot("GET", path, what, None, answer, shapes.Health, codes=(503,))


def _text(path: str, what: str, answer: Answer, kind: str, *query: Query) -> Spot:
    return Spot("GET", path, what, "viewer", answer, None, query, kind=kind)


def _look(path: str, what: str, answer: Answer, gives: Any = None, *query: Query) -> Spot:
    return Spot("GET", path, what, "viewer", answer, gives, query)


def _do(path: str, verb: verbs.Verb, role: Role, answer: Answer) -> Spot:
    takes = verbs.schema_of(verb)
    return Spot("POST", path, verb.what, role, answer, shapes.Accepted, takes=takes)


_API = "/api/v1"
_CELL = _API + "/cells/{uuid}"
_AGENT = _CELL + "/agents/{name}"
_EVENTS = (shapes.Events, cells.LIMIT, cells.CURSOR)
_LINK = {"type": "object", "properties": {"link": {"type": "string"}}, "required": ["link"]}
_LOGIN = "Exchange a one-time link for a token."
SPOTS: tuple[Spot, ...] = (
    Spot("GET", "/", "The page.", None, _page, kind="text/html", codes=(404,)),
    _health("/healthz", "Whether the API answers.", _healthz),
    _health("/health", "The same.", _healthz),
    _health("/readyz", "Whether the daemon is up: 200, or 503.", _readyz),
    Spot("POST", _API + "/login", _LOGIN, None, _login, shapes.Login, takes=_LINK, codes=(401,)),
    Spot(
        *("GET", _API + "/fleet", "Everything, as of now.", "viewer", cells.whole, shapes.Fleet),
        codes=(304,),
    ),
    _text(_API + "/stream", "Server-sent events.", cells.stream, "text/event-stream"),
    _look(_API + "/events", "What happened to the pit itself.", cells.pit_events, *_EVENTS),
    _text("/metrics", "The fleet in numbers, for Prometheus.", cells.numbers, "text/plain"),
    _look(
        _API + "/operations", "What was begun.", actions.listed, shapes.Operations, actions.LIMIT
    ),
    _look(_API + "/operations/{id}", "What became of it.", actions.one, shapes.Operation),
    _look(_CELL, "One cell, with its checkpoints.", cells.one, shapes.CellWhole),
    _look(_CELL + "/events", "What happened in a cell.", cells.events, *_EVENTS),
    _look(_CELL + "/mail", "Its mail.", mails.listed, shapes.Mails, mails.LIMIT),
    _look(_CELL + "/mail/{receiver}/{id}", "One mail, whole.", mails.one, shapes.Mail),
    _look(_AGENT + "/why", "What `lazarus why` says.", cells.why, shapes.Lines),
    _text(_AGENT + "/log", "The end of what it printed.", cells.log, "text/plain", cells.BYTES),
    _look(_API + "/approvals", "Requests.", approvals.listed, shapes.Approvals, approvals.LIMIT),
    *(
        _do(f"{_API}/approvals/{{id}}/{word}", verb, "approver", approvals.answer)
        for word, verb in verbs.OF_APPROVALS.items()
    ),
    *(
        _do(f"{_AGENT}/{word}", verb, "operator", actions.on_agent)
        for word, verb in verbs.OF_AGENTS.items()
    ),
    *(
        _do(f"{_CELL}/{word}", verb, "operator", actions.on_cell)
        for word, verb in verbs.OF_CELLS.items()
    ),
    Spot(
        *("GET", _CELL + "/export", "An archive of it.", "operator", moving.exported),
        kind=moving.KIND,
        codes=(400, 409, 500),
    ),
    Spot(
        *("POST", _API + "/import", "Make a cell of an archive.", "operator", moving.imported),
        gives=shapes.Accepted,
        query=(moving.NAME, moving.START),
    ),
    *(
        _do(f"{_API}/{word}", verb, "operator", actions.on_all)
        for word, verb in verbs.OF_ALL.items()
    ),
    _look(_API + "/invitations", "Who was invited.", guests.listed, shapes.Invitations),
    _do(_API + "/invitations/{id}/revoke", verbs.REVOKE, "operator", guests.revoke),
    _do(_API + "/join", verbs.JOIN, "operator", guests.join),
    *(
        _do(f"{_CELL}/mail/{word}", verb, "operator", mails.handle)
        for word, verb in verbs.OF_MAIL.items()
    ),
    _do(_CELL + "/mail", verbs.SEND, "operator", mails.send),
    _do(_API + "/cells", verbs.CREATE, "operator", actions.create),
    _do(_CELL + "/agents", verbs.SPAWN, "operator", actions.spawn),
)
