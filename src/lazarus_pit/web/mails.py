"""The mail of a cell: what was delivered, and a person's own letters."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from lazarus_pit.cells.files import read_hostile
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.mailbox import Filed, filed
from lazarus_pit.cells.view import see_cell
from lazarus_pit.errors import LazarusError
from lazarus_pit.formats.envelope import Envelope, parse_delivered
from lazarus_pit.web import actions, verbs
from lazarus_pit.web.keys import Role
from lazarus_pit.web.masks import masked
from lazarus_pit.web.shapes import Mail, Mails
from lazarus_pit.web.spots import Query, Server, as_json, cell_of, number, refuse

CUT = 2000
"""Characters of each body in a list; one mail by itself is whole."""
_BYTES = 1024 * 1024
LIMIT = Query("limit", "How many mails, the newest.", 50, 1, 1000)


def listed(server: Server, request: Request) -> Response:
    """Answer ``GET /cells/{uuid}/mail``."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    found = _all(paths)
    mails = (
        _mail(one, request.scope["role"], CUT) for one in found[-(number(request, LIMIT) or 0) :]
    )
    return as_json(Mails(tuple(mail for mail in mails if mail), len(found)))


def one(server: Server, request: Request) -> Response:
    """Answer ``GET /cells/{uuid}/mail/{receiver}/{id}``."""
    paths = cell_of(server, request)
    receiver, wanted = request.path_params["receiver"], request.path_params["id"]
    found = _all(paths) if paths else []
    meant = [one for one in found if (one.receiver, one.name.id) == (receiver, wanted)]
    mail = _mail(meant[-1], request.scope["role"]) if meant else None
    return as_json(mail) if mail else refuse(404, "there is no such mail")


def send(server: Server, request: Request) -> Response:
    """Send a mail as a person of the cell."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    words = ["mail", "send", "--cell", paths.uuid]
    return actions.act(server, request, verbs.SEND, words, paths.uuid)


def handle(server: Server, request: Request) -> Response:
    """Do what the path's last word says to a mail, as a person of the cell."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    word = request.url.path.rpartition("/")[2]
    words = ["mail", word, "--cell", paths.uuid]
    return actions.act(server, request, verbs.OF_MAIL[word], words, paths.uuid)


def _all(paths: CellPaths) -> list[Filed]:
    return filed(paths, [agent.name for agent in see_cell(paths).agents])


def _read(one: Filed) -> Envelope | None:
    """Return a mail; ``None`` where it has been moved meanwhile, or cannot be read."""
    try:
        data = read_hostile(one.file, _BYTES)
        return parse_delivered(data) if data else None
    except LazarusError:
        return None


def _mail(one: Filed, role: Role, most: int | None = None) -> Mail | None:
    found = _read(one)
    if found is None:
        return None
    body = masked(found.body, role)
    return Mail(
        id=found.id,
        sender=found.sender or one.name.sender,
        to=found.to,
        receiver=one.receiver,
        state=one.state,
        kind=found.kind.value,
        subject=masked(found.subject, role),
        body=body[:most],
        is_cut=most is not None and len(body) > most,
        reply_to=found.reply_to,
        sent_at=found.sent_at or None,
        expires=found.expires,
        delivered=one.name.sequence / 1e9,
    )
