"""The OpenAPI document, made of the routes and of the types of their answers."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from lazarus_pit import __version__
from lazarus_pit.web.shapes import Health, Refusal
from lazarus_pit.web.spots import Query, Spot

_REFS = "#/components/schemas/{name}"
_OCTETS = {"schema": {"type": "string", "format": "binary", "minLength": 1}}
_FILE = {"requestBody": {"required": True, "content": {"application/octet-stream": _OCTETS}}}
_MEANINGS = {
    200: "So it is.",
    202: "Begun, and as a rule done.",
    304: "Nothing but ages has changed.",
    400: "What was sent cannot be.",
    401: "No valid token.",
    403: "The role is too small, or the Origin is foreign.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    409: "The rules do not allow it now.",
    412: "It has changed meanwhile.",
    421: "The Host is foreign.",
    500: "The command ended in a way of its own.",
    503: "The machine refused.",
}


def document(spots: Iterable[Spot]) -> dict[str, Any]:
    """Return the document for these routes."""
    spots = tuple(spots)
    types = [spot.gives for spot in spots if spot.gives is not None]
    schemas, components = msgspec.json.schema_components([*types, Refusal], ref_template=_REFS)
    named = dict(zip(map(id, types), schemas, strict=False))
    paths: dict[str, dict[str, Any]] = {}
    for spot in spots:
        gives = None if spot.gives is None else named[id(spot.gives)]
        paths.setdefault(spot.path, {})[spot.method.lower()] = _operation(spot, gives)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Lazarus Pit", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(spot: Spot, gives: dict[str, Any] | None) -> dict[str, Any]:
    names = [part[1:-1] for part in spot.path.split("/") if part.startswith("{")]
    found: dict[str, Any] = {
        "summary": spot.what,
        "description": inspect.getdoc(spot.answer) or spot.what,
        "parameters": [
            *(_in_path(name) for name in names),
            *(_in_query(query) for query in spot.query),
            *(_in_header(name, what) for name, what in _headers(spot)),
        ],
        "responses": {str(code): _response(spot, code, gives) for code in _codes(spot)},
        **(_FILE if inspect.iscoroutinefunction(spot.answer) else _body(spot.takes)),
        "security": [{"bearer": []}] if spot.role else [],
    }
    return {**found, "x-role": spot.role} if spot.role else found


def _codes(spot: Spot) -> list[int]:
    """Return every status that a route can answer with."""
    found = {202 if spot.method == "POST" and spot.role else 200, 421, 403, *spot.codes}
    if spot.method == "POST":
        found.add(408)
    if spot.role:
        found |= {401, 503}
    if "{" in spot.path:
        found.add(404)
    if spot.query or spot.takes is not None:
        found.add(400)
    if spot.method == "POST" and spot.role:
        found |= {409, 412, 500}
    return sorted(found)


def _response(spot: Spot, code: int, gives: dict[str, Any] | None) -> dict[str, Any]:
    said = {"description": _MEANINGS[code]}
    if code == 304:
        return said
    if code < 400 or spot.gives is Health:
        return {**said, "content": {spot.kind: {"schema": gives or {"type": "string"}}}}
    refusal = {"schema": {"$ref": _REFS.format(name="Refusal")}}
    return {**said, "content": {"application/json": refusal}}


def _body(takes: Mapping[str, Any] | None) -> dict[str, Any]:
    if takes is None:
        return {}
    is_needed = bool(takes.get("required"))
    content = {"application/json": {"schema": dict(takes)}}
    return {"requestBody": {"required": is_needed, "content": content}}


def _in_path(name: str) -> dict[str, Any]:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _headers(spot: Spot) -> list[tuple[str, str]]:
    if spot.method != "POST" or spot.role is None:
        return []
    about_state = [("If-Match", "The version that the wish is about.")]
    key = ("Idempotency-Key", "Of the asker's making: the same wish again is not done again.")
    return [key, *(about_state if "/cells/{uuid}" in spot.path else [])]


def _in_header(name: str, what: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": what, "schema": {"type": "string"}}


def _in_query(query: Query) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer", "minimum": query.least, "maximum": query.most}
    if query.is_text:
        bounds = {"minLength": query.least, "maxLength": query.most}
        schema = {"type": "string", "pattern": "^[^\\u0000]*$", **bounds}
    default = {} if query.default is None else {"default": query.default}
    return {
        "name": query.name,
        "in": "query",
        "description": query.what,
        "schema": {**schema, **default},
    }
