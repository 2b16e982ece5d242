"""Requests for a person's word, as the API says them, and the answers people give there."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.formats.question import CURBS
from lazarus_pit.records import approvals as records
from lazarus_pit.records.database import opened_records
from lazarus_pit.records.history import latest
from lazarus_pit.web import actions, verbs
from lazarus_pit.web.shapes import Approval, Approvals
from lazarus_pit.web.spots import Query, Server, as_json, number, refuse

SHOWN_OPEN = 200
"""Open requests that are shown at most, the oldest first."""
SHOWN_CLOSED = 20
"""Closed requests that are shown beside them, the latest first."""
FAR = "pool"
"""The first part of the subject of a gateway outside every cell."""
LIMIT = Query("limit", "How many closed ones.", SHOWN_CLOSED, 0, 1000)


def shown(pit: PitPaths, closed: int = SHOWN_CLOSED) -> tuple[Approval, ...]:
    """Return the open requests, and the last that were closed.

    Raises:
        StoreError: the records refuse.
    """
    if not pit.records.exists():
        return ()
    now = time.time()
    with opened_records(pit.records) as db:
        waiting = records.pending(db, now)[:SHOWN_OPEN]
        closed_last = latest(db, closed)
    return (
        *(approval(one) for one in waiting),
        *(approval(one.request, one.at) for one in closed_last),
    )


def approval(one: records.Request, closed: float | None = None) -> Approval:
    """Return a request in the documented shape."""
    first, _, rest = one.subject.partition("/")
    died, attempts = one.facts.get("died"), one.facts.get("attempts")
    why = str(one.facts.get("why") or "")
    return Approval(
        id=one.id,
        subject=one.subject,
        cell=None if first == FAR else first,
        agent=rest,
        generation=one.generation,
        outcome=one.outcome,
        asked=one.asked,
        expires=one.expires,
        died=float(died) if isinstance(died, int | float) else None,
        attempts=attempts if isinstance(attempts, int) else None,
        why=CURBS.get(why, why),
        question=str(one.facts.get("question") or "?") if one.is_question else None,
        comment=one.comment,
        closed=closed,
        by=one.by,
        via=one.via,
    )


def listed(server: Server, request: Request) -> Response:
    """Answer ``GET /approvals``."""
    return as_json(Approvals(shown(server.pit, number(request, LIMIT) or 0)))


def answer(server: Server, request: Request) -> Response:
    """Approve or deny: the path's last word says which."""
    word = request.url.path.rpartition("/")[2]
    wanted = request.path_params["id"]
    subject = _subject(server.pit, wanted)
    if not subject:
        return refuse(404, "there is no such request")
    if request.scope["named"] and "by" in request.scope["lazarus.body"]:
        who = request.scope["who"]
        return refuse(403, f"by: the token says who decides, and that is {who}")
    return actions.act(server, request, verbs.OF_APPROVALS[word], [word, wanted], subject)


def _subject(pit: PitPaths, wanted: str) -> str:
    """Return who is asked about by this request; empty where there is no such request."""
    if not pit.records.exists():
        return ""
    with opened_records(pit.records) as db:
        found = records.find(db, wanted)
    return found.subject if found else ""
