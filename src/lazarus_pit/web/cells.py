"""What is shown of the fleet, of one cell and of one agent."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lazarus_pit.errors import StoreError
from lazarus_pit.formats import prometheus
from lazarus_pit.web import approvals, fleet, metrics
from lazarus_pit.web.masks import REACH, masked_bytes
from lazarus_pit.web.picture import Picture
from lazarus_pit.web.shapes import Approval, Cell, Fleet, Lines
from lazarus_pit.web.spots import Query, Server, agent_of, as_json, cell_of, number, refuse

LIMIT = Query("limit", "How many lines.", 200, 1, 5000)
CURSOR = Query("cursor", "Where older lines end, as an answer said.", None, 0, 2**62)
BYTES = Query("bytes", "How many bytes.", 65_536, 1, 4 * 1024 * 1024)


def whole(server: Server, request: Request) -> Response:
    """Answer ``GET /fleet``; 304 where nothing but ages has changed since an ``ETag``."""
    pit, now = server.pit, fleet.now()
    picture = _picture(server)
    cells, version = picture.encoded(now)
    asked: tuple[Approval, ...] = ()
    problem = None
    try:
        asked = approvals.shown(pit)
    except StoreError as error:  # A full disk: all else is to be seen above all then.
        problem = str(error)
        picture.doubt_records()
    daemon, far = fleet.daemon(pit), fleet.gateways(pit)
    lasting = {name: value for name, value in daemon.items() if name != "last_sweep"}
    beside = msgspec.json.encode((lasting, asked, far, problem))
    tag = f'W/"{version}-{hashlib.blake2s(beside, digest_size=8).hexdigest()}"'
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"ETag": tag})
    said = Fleet(
        now=now,
        daemon=daemon,
        cells=cast("tuple[Cell, ...]", msgspec.Raw(cells)),
        approvals=asked,
        approvals_problem=problem,
        gateways=far,
    )
    return as_json(said, headers={"ETag": tag})


def _picture(server: Server) -> Picture:
    return server.picture or Picture(server.pit, server.words.need)


def one(server: Server, request: Request) -> Response:
    """Answer ``GET /cells/{uuid}``."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    return as_json(fleet.one_cell(paths, server.words.need))


def events(server: Server, request: Request) -> Response:
    """Answer ``GET /cells/{uuid}/events``."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    limit, cursor = number(request, LIMIT) or 0, number(request, CURSOR)
    return as_json(fleet.events(paths, limit, cursor, server.words.sentence))


def pit_events(server: Server, request: Request) -> Response:
    """Answer ``GET /events``."""
    limit, cursor = number(request, LIMIT) or 0, number(request, CURSOR)
    return as_json(fleet.events(server.pit, limit, cursor, server.words.sentence))


def why(server: Server, request: Request) -> Response:
    """Answer ``GET /cells/{uuid}/agents/{name}/why``."""
    found = agent_of(server, request)
    if found is None:
        return refuse(404, "there is no such agent")
    return as_json(Lines(server.words.explain(found[0].uuid, found[1])))


def log(server: Server, request: Request) -> Response:
    """Answer ``GET /cells/{uuid}/agents/{name}/log``."""
    found = agent_of(server, request)
    if found is None:
        return refuse(404, "there is no such agent")
    size = number(request, BYTES) or 0
    said = masked_bytes(fleet.log_tail(*found, size + REACH), request.scope["role"])[-size:]
    return Response(said, media_type="text/plain; charset=utf-8")


def stream(server: Server, request: Request) -> Response:
    """Answer ``GET /stream``."""
    if server.ring is None:
        return refuse(503, "nothing watches the root")
    frames = server.ring.read(request.headers.get("last-event-id", ""))
    return StreamingResponse(frames, media_type="text/event-stream")


def numbers(server: Server, _request: Request) -> Response:
    """Answer ``GET /metrics``."""
    readers = server.ring.readers if server.ring else 0
    cells = _picture(server).cells()
    far = fleet.gateways(server.pit)
    up = bool(fleet.daemon(server.pit)["up"])
    asked: int | None = None
    with suppress(StoreError):  # A full disk: all else is to be seen above all then.
        asked = sum(one.outcome == "open" for one in approvals.shown(server.pit, 0))
    text = prometheus.render(metrics.families(cells, far, up=up, readers=readers, asked=asked))
    return Response(text, headers={"Content-Type": prometheus.CONTENT_TYPE})
