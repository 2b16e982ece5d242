"""The mail of a cell: what was delivered, and a person's own letters."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lazarus_pit.cells import letters
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.letters import Filed
from lazarus_pit.web import actions, verbs
from lazarus_pit.web.shapes import Mail, Mails
from lazarus_pit.web.spots import Query, Server, as_json, cell_of, number, refuse

CUT = 2000
"""Characters of each body in a list; one mail by itself is whole."""
LIMIT = Query("limit", "How many mails, the newest.", 50, 1, 1000)


def listed(server: Server, request: Request) -> Response:
    """Answer ``GET /cells/{uuid}/mail``."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    found = letters.filed(paths)
    shown = found[: number(request, LIMIT) or 0]
    mails = (_mail(paths, one, CUT) for one in reversed(shown))
    return as_json(Mails(tuple(mail for mail in mails if mail), len(found)))


def one(server: Server, request: Request) -> Response:
    """Answer ``GET /cells/{uuid}/mail/{receiver}/{id}``."""
    paths = cell_of(server, request)
    receiver, wanted = request.path_params["receiver"], request.path_params["id"]
    found = letters.filed(paths) if paths else []
    for filed in found:
        if paths and (filed.receiver, filed.name.id) == (receiver, wanted):
            mail = _mail(paths, filed)
            return as_json(mail) if mail else refuse(404, "this mail has just been moved")
    return refuse(404, "there is no such mail")


def send(server: Server, request: Request) -> Response:
    """Send a mail as a person of the cell."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    words = ["mail", "send", "--cell", paths.uuid]
    return actions.act(server, request, verbs.SEND, words, paths.uuid)


def _mail(paths: CellPaths, filed: Filed, most: int | None = None) -> Mail | None:
    found = letters.read(paths, filed)
    if found is None:
        return None
    return Mail(
        id=found.id,
        sender=found.sender or filed.name.sender,
        to=found.to,
        receiver=filed.receiver,
        box=filed.box,
        kind=found.kind.value,
        subject=found.subject,
        body=found.body[:most],
        is_cut=most is not None and len(found.body) > most,
        reply_to=found.reply_to,
        sent_at=found.sent_at or None,
        expires=found.expires,
        delivered=filed.name.sequence / 1e9,
    )
