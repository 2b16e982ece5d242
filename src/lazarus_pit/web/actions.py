"""What is done over the API: each action is a command, and the answer says what became of it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lazarus_pit.web import verbs
from lazarus_pit.web.spots import Server, agent_of, cell_of, refuse

_REFUSED = {1: 409, 2: 400, 75: 503}
"""The answer to a command's exit code."""


def on_cell(server: Server, request: Request) -> Response:
    """Do what the path's last word says to the cell that it names."""
    paths = cell_of(server, request)
    if paths is None:
        return refuse(404, "there is no such cell")
    word = request.url.path.rpartition("/")[2]
    return act(server, request, verbs.OF_CELLS[word], [word, paths.uuid])


def on_agent(server: Server, request: Request) -> Response:
    """Do what the path's last word says to the agent that it names."""
    found = agent_of(server, request)
    if found is None:
        return refuse(404, "there is no such agent")
    word = request.url.path.rpartition("/")[2]
    return act(server, request, verbs.OF_AGENTS[word], [word, f"{found[0].uuid}/{found[1]}"])


def act(server: Server, request: Request, verb: verbs.Verb, words: Sequence[str]) -> Response:
    """Run a command with what the body says, and answer as it ended.

    Raises:
        FormatError: the body says what this verb does not take.
    """
    flags = verbs.flags_of(verb, request.scope["lazarus.body"])
    done = verbs.run([*server.command, *words, *flags, *server.where])
    if done.code:
        return refuse(_REFUSED.get(done.code, 500), done.said)
    return JSONResponse({"ok": True, "done": done.code == 0, "said": done.said}, 202)
