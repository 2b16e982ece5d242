"""Invitations, as the API shows them; and what becomes of one."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from lazarus_pit.records import invitations as records
from lazarus_pit.records.database import opened_records
from lazarus_pit.records.invitations import Invitation
from lazarus_pit.web import actions, shapes, verbs
from lazarus_pit.web.spots import Server, as_json, refuse


def listed(server: Server, _request: Request) -> Response:
    """Answer ``GET /invitations``."""
    return as_json(shapes.Invitations(tuple(_shape(one) for one in _all(server))))


def revoke(server: Server, request: Request) -> Response:
    """Close the one that the path names."""
    wanted = request.path_params["id"]
    found = next((one for one in _all(server) if one.id == wanted), None)
    if found is None:
        return refuse(404, "there is no such invitation")
    words = [*verbs.REVOKE.words, f"--revoke={found.id}"]
    return actions.act(server, request, verbs.REVOKE, words, f"{found.cell}/{found.name}")


def join(server: Server, request: Request) -> Response:
    """Let in whoever is invited."""
    return actions.act(server, request, verbs.JOIN, ["join"], "")


def _all(server: Server) -> list[Invitation]:
    if not server.pit.records.exists():
        return []
    with opened_records(server.pit.records) as db:
        records.expire(db, time.time())
        return records.everything(db)


def _shape(one: Invitation) -> shapes.Invitation:
    return shapes.Invitation(
        id=one.id,
        cell=one.cell,
        name=one.name,
        role=one.role.value,
        kind="human" if one.human else "agent",
        by=one.by,
        invited=one.invited,
        expires=one.expires,
        state=one.state,
    )
