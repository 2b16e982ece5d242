"""What is done over the API: each action is a command, and the answer says what became of it."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import Phase
from lazarus_pit.errors import UsageError
from lazarus_pit.formats.question import CURBS
from lazarus_pit.records import approvals as records
from lazarus_pit.records.database import opened_records
from lazarus_pit.web import fleet, keys, verbs
from lazarus_pit.web.operations import Asked
from lazarus_pit.web.shapes import Accepted, Operation, Operations, Refusal
from lazarus_pit.web.spots import Query, Server, agent_of, as_json, cell_of, number, refuse

LIMIT = Query("limit", "How many, the newest.", 100, 1, 1000)
_KEY_CHARACTERS = 200
REFUSED = {1: 409, 2: 400, 75: 503}
"""The answer to a command's exit code."""
_TOKEN = re.compile(r"--token (\S+)\Z")
"""Ends a refusal that can be agreed to. What stands before it may be an agent's words."""


def on_cell(server: Server, request: Request) -> Response:
    """Do what the path's last word says to the cell that it names."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    version = fleet.look(paths, server.words.need).version
    if stale := _stale(request, version):
        return stale
    word = request.url.path.rpartition("/")[2]
    verb = verbs.OF_CELLS[word]
    if verb.ends_lives and (barred := _barred(server, request, paths)):
        return barred
    return act(server, request, verb, [*_words(verb, request), paths.uuid], paths.uuid)


def create(server: Server, request: Request) -> Response:
    """Create a cell; a token's name is that of its creator."""
    return act(server, request, verbs.CREATE, verbs.CREATE.words, "")


def on_all(server: Server, request: Request) -> Response:
    """Do what the path's last word says to every cell."""
    word = request.url.path.rpartition("/")[2]
    return act(server, request, verbs.OF_ALL[word], [word], "")


def spawn(server: Server, request: Request) -> Response:
    """Start an agent in the cell that the path names."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    return act(server, request, verbs.SPAWN, ["spawn", paths.uuid], paths.uuid)


def on_agent(server: Server, request: Request) -> Response:
    """Do what the path's last word says to the agent that it names."""
    found = agent_of(server, request)
    if found is None:
        return refuse(404, "there is no such agent")
    paths, name = found
    members = fleet.look(paths, server.words.need).agents
    agent = next((one for one in members if one.name == name), None)
    if stale := _stale(request, agent.version if agent else ""):
        return stale
    if barred := _barred(server, request, paths, name):
        return barred
    verb = verbs.OF_AGENTS[request.url.path.rpartition("/")[2]]
    subject = f"{paths.uuid}/{name}"
    return act(server, request, verb, [*_words(verb, request), subject], subject)


def _words(verb: verbs.Verb, request: Request) -> list[str]:
    """Return the command's words; where it is told who asked, that is a token's name."""
    who = request.scope.get("who", "") if verb.signed else ""
    word = request.url.path.rpartition("/")[2]
    return [*(verb.words or (word,)), *([f"{verb.signed}={who}"] if who else [])]


def _barred(server: Server, request: Request, paths: CellPaths, name: str = "") -> Response | None:
    """Return the refusal of who may not decide about one who is asked about; ``name``: this one.

    The records tell too: one that is held and frozen is shown as frozen.
    """
    if keys.may(request.scope["role"], "approver"):
        return None
    members = fleet.look(paths, server.words.need).agents
    asked = {one.name for one in members if one.phase == Phase.AWAITING or one.reason in CURBS}
    if server.pit.records.exists():
        with opened_records(server.pit.records) as db:
            still = [one for one in records.pending(db, time.time()) if not one.is_question]
        subjects = [one.subject.partition("/") for one in still]
        asked |= {agent for uuid, _, agent in subjects if uuid == paths.uuid}
    found = min((one for one in asked if name in ("", one)), default="")
    what = "approve, deny and what ends it need an approver"
    return refuse(403, f"{found} is asked about: {what}") if found else None


def _stale(request: Request, version: str) -> Response | None:
    """Return the refusal of a wish that was about another state than there is now."""
    wanted = [one.strip().strip('"') for one in request.headers.get("if-match", "*").split(",")]
    if "*" in wanted or version in wanted:
        return None
    return refuse(412, f"If-Match: it has changed meanwhile; it is now {version}")


def act(  # noqa: PLR0913 - an action is these facts
    server: Server,
    request: Request,
    verb: verbs.Verb,
    words: Sequence[str],
    subject: str,
    *,
    more: Sequence[str] = (),
    meant: bytes = b"",
    hold: Sequence[int] = (),
    patience: float | None = verbs.PATIENCE,
) -> Response:
    """Run a command with what the body says, and answer as it ended.

    ``more``: words that are of this one run; ``meant``: what they stand for. ``hold``: descriptors
    that the command inherits. ``patience``: seconds that its end is waited for.

    Raises:
        FormatError: the body says what this verb does not take.
        UsageError: the key is too long.
        RefusedError: the key was used for something else.
    """
    key = request.headers.get("idempotency-key", "")
    if len(key) > _KEY_CHARACTERS:
        raise UsageError(f"Idempotency-Key: expected at most {_KEY_CHARACTERS} characters")
    body = request.scope["lazarus.body"]
    flags, given = verbs.flags_of(verb, body), verbs.given_of(verb, body)
    last = verbs.last_of(verb, body)
    asked = Asked(request.scope.get("who", ""), key, (*words, *flags, *last), meant or given)
    argv = [*server.command, *words, *flags, *more, *server.where, *last]
    secret = verb.tells_secrets
    name = " ".join(verb.words) or words[0]
    done, said = server.operations.do(
        *(asked, name, subject, argv), secret=secret, given=given, hold=hold, patience=patience
    )
    if done.code:
        named = _TOKEN.search(said) if verb.asks_again else None
        token = named[1] if named else ""
        return as_json(Refusal(said, done.id, token), REFUSED.get(done.code, 500))
    said = "it goes on; ask for the operation" if done.state == "running" else said
    where = {"Location": f"/api/v1/operations/{done.id}"}
    return as_json(Accepted(ok=True, done=done.code == 0, said=said, operation=done.id), 202, where)


def one(server: Server, request: Request) -> Response:
    """Answer ``GET /operations/{id}``."""
    found: Operation | None = server.operations.find(request.path_params["id"])
    return as_json(found) if found else refuse(404, "there is no such operation, or no longer")


def listed(server: Server, request: Request) -> Response:
    """Answer ``GET /operations``."""
    return as_json(Operations(server.operations.latest(number(request, LIMIT) or 0)))
