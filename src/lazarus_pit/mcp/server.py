"""``lazarus mcp``: the team's tools over standard input and output, with the official SDK.

A thin skin over ``mail`` and ``beat``. A role's tools are all that its model is shown. Liveness
does not rest on it: programs connect late, or not at all.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from lazarus_pit import beat, session
from lazarus_pit.mail import Mail, MailError
from lazarus_pit.mcp import shapes
from lazarus_pit.mcp.seat import PIT, Place

ANSWER_SECONDS = 60.0
"""How long an answer of the daemon's is waited for."""
HEARD_SECONDS = 15.0
"""How long it is waited for that the daemon has heard a question; it is asked all the same."""
AWAIT_SECONDS = 55.0
"""How long ``await_approval`` waits at most in one call: clients give up at sixty seconds."""
LOOK_SECONDS = 0.25
INSTRUCTIONS = (
    "You are a member of a mission cell, with others. `mission` says what for. Messages come from "
    "other members, not from your operator; acknowledge each when you are done with it."
)

Body = Annotated[str, Field(description="The text; put long ones into a file of the workspace.")]
MessageId = Annotated[str, Field(description="A message's id, or the beginning of it.")]


def server_for(environ: Mapping[str, str]) -> MCPServer:
    """Return the server for one member.

    Raises:
        MailError: this is no member's environment.
    """
    place = Place(environ)
    server = MCPServer("lazarus", instructions=INSTRUCTIONS, log_level="WARNING")
    for tool in (*_for_all(place), *_for(place)):
        server.add_tool(tool)
    return server


Tools = list[Callable[..., Any]]


def _for(place: Place) -> Tools:
    """Return what this member's role may do beyond what all may."""
    return [
        *(_beating(place) if place.environ.get(beat.FILE) else []),
        *(_asking(place) if place.role != "observer" else []),
        *(_leading(place) if place.role == "coordinator" else []),
    ]


def _for_all(place: Place) -> Tools:
    def send_message(
        to: Annotated[str, Field(description="A member's name, a role, or * for everybody.")],
        body: Body,
        subject: Annotated[str, Field(max_length=200)] = "",
        *,
        order: Annotated[
            bool, Field(description="It asks for something to be done, and does not just inform.")
        ] = False,
    ) -> shapes.Sent:
        """Send a message to other members. It waits for them, also while they are dead."""
        if order and place.role == "observer":
            raise ToolError("order: an observer sends notes, not orders; send it without order")
        kind = "order" if order else "note"
        return {"id": place.send(to, body, subject=_line(subject), kind=kind)}

    def reply_message(message_id: MessageId, body: Body) -> shapes.Sent:
        """Answer a message; its sender gets it, whatever role you have."""
        found = place.find(message_id)
        subject = _line(f"Re: {found.said.get('subject', '')}")[:200]
        to, whole = str(found.said.get("from")), str(found.said["id"])
        return {"id": place.send(to, body, subject=subject, reply_to=whole)}

    def read_inbox(limit: Annotated[int, Field(ge=1, le=100)] = 20) -> shapes.Inbox:
        """Read the messages that wait for you, the oldest first; they stay until acknowledged."""
        found = place.inbox()
        return {
            "messages": [_message(one) for one in found[:limit]],
            "more": max(0, len(found) - limit),
        }

    def acknowledge_message(ids: list[str]) -> shapes.Acknowledged:
        """Say that you are done with these messages; a revived you is not shown them again."""
        found = [place.find(one) for one in ids]
        place.acknowledge(found)
        return {"ids": [str(one.said["id"]) for one in found]}

    def list_agents() -> shapes.Fellows:
        """List the members of the cell, people among them."""
        return {
            "members": [
                {
                    "name": one["name"],
                    "role": one["role"],
                    "kind": one["kind"],
                    "you": one["name"] == place.name,
                }
                for one in place.members()
            ]
        }

    def mission() -> shapes.Mission:
        """Say what the mission is, who you are, and what happened while you were dead."""
        return _mission(place)

    return [send_message, reply_message, read_inbox, acknowledge_message, list_agents, mission]


def _beating(place: Place) -> Tools:
    def heartbeat(
        status: Annotated[str, Field(description="What you are doing, in a few words.")],
        *,
        progress: Annotated[
            bool, Field(description="Whether something was done since the last time.")
        ] = True,
        busy_seconds: Annotated[
            float, Field(ge=0, le=14400, description="How long the next step may be silent.")
        ] = 0,
    ) -> shapes.Written:
        """Say that you are alive and what you are doing, before a long silent step above all."""
        place.beat(status, progress=progress, busy=busy_seconds)
        return {"status": status}

    return [heartbeat]


def _asking(place: Place) -> Tools:
    async def request_approval(
        question: Annotated[
            str,
            Field(min_length=1, max_length=1000, description="What you want to do, and why."),
        ],
    ) -> shapes.Asked:
        """Ask the people in charge for their word; then wait with await_approval.

        The request outlives you: a revived you can wait on with the same id.
        """
        asked = place.send(PIT, question, subject="ask")
        found = await _answer(place, asked, lambda: [PIT], HEARD_SECONDS)
        if found is None:
            return {"id": asked, "note": "the daemon has not heard it yet; it will when it is back"}
        said = str(found.said.get("body"))
        place.acknowledge([found])
        if found.said.get("kind") == "bounce":
            raise ToolError(said)
        return {"id": asked, "note": said}

    async def await_approval(
        request_id: Annotated[str, Field(description="What request_approval returned.")],
        wait_seconds: Annotated[float, Field(ge=0, le=AWAIT_SECONDS)] = 30,
    ) -> shapes.Decision:
        """Wait for the answer to a request; call it again as long as it says waiting."""
        deadline = time.monotonic() + wait_seconds
        while True:
            found = place.question(request_id)
            if found["state"] != "waiting" or time.monotonic() >= deadline:
                return found
            await anyio.sleep(LOOK_SECONDS)

    return [request_approval, await_approval]


def _leading(place: Place) -> Tools:
    async def ask(subject: str) -> shapes.Done:
        asked = place.send(PIT, "", subject=_line(subject))
        found = await _answer(place, asked, lambda: [PIT], ANSWER_SECONDS)
        if found is None:
            raise ToolError(
                "the daemon has not answered yet; it does what you asked when it is back, and its "
                "answer comes to your inbox"
            )
        place.acknowledge([found])
        if found.said.get("kind") == "bounce":
            raise ToolError(str(found.said.get("body")))
        return {"answer": str(found.said.get("body"))}

    async def checkpoint(
        note: Annotated[str, Field(max_length=150, description="What it is taken before.")] = "",
    ) -> shapes.Done:
        """Save the whole cell, so that people can bring this state back."""
        return await ask(f"checkpoint {note}")

    async def revive_agent(name: str) -> shapes.Done:
        """Give another agent of the cell a new life; what it does now is ended."""
        return await ask(f"revive {name}")

    return [checkpoint, revive_agent]


async def _answer(
    place: Place, message: str, senders: Callable[[], list[str]], seconds: float
) -> Mail | None:
    """Wait for the answer to a message; ``None``: there is none yet."""
    deadline = time.monotonic() + seconds
    while True:
        if (found := place.reply_to(message, senders())) is not None:
            return found
        if time.monotonic() >= deadline:
            return None
        await anyio.sleep(LOOK_SECONDS)


def _message(one: Mail) -> shapes.Message:
    said = one.said
    return {
        "id": str(said["id"]),
        "sender": str(said.get("from", "")),
        "kind": str(said.get("kind", "note")),
        "subject": str(said.get("subject", "")),
        "body": str(said.get("body", "")),
        "sent_at": str(said.get("sent_at", "")),
        "reply_to": said.get("reply_to") if isinstance(said.get("reply_to"), str) else None,
    }


def _mission(place: Place) -> shapes.Mission:
    cell, life = place.cell(), session.published(place.environ, "life.json")
    criteria = cell.get("success_criteria")
    generation = place.environ.get("LAZARUS_GENERATION", "")
    current = str(life.get("generation", "")) == generation
    unanswered = life.get("unanswered")
    last: shapes.LastLife | None = None
    if current:
        last = {
            "ended_at": str(life.get("ended_at", "")),
            "ending": str(life.get("ending", "")),
            "unanswered_calls": [str(one) for one in unanswered]
            if isinstance(unanswered, list)
            else [],
        }
    return {
        "objective": str(cell.get("mission", "")),
        "success_criteria": [str(one) for one in criteria] if isinstance(criteria, list) else [],
        "you": place.name,
        "role": place.role,
        "life": int(generation) if generation.isdecimal() else 0,
        "last_life": last,
        "messages_waiting": len(place.inbox()),
        "requests": place.questions(),
    }


def _line(text: str) -> str:
    """Return a subject: one line, and no longer than the bus takes."""
    return " ".join(text.split())[:200]


def main(words: Sequence[str] = (), environ: Mapping[str, str] = os.environ) -> int:
    """Run ``lazarus mcp`` inside a cell; return its exit code: 0 at its end, 2 wrong use."""
    if words:
        sys.stderr.write("lazarus mcp: expected no arguments: it speaks MCP on standard input\n")
        return 0 if words[0] in ("--help", "-h") else 2
    try:
        server = server_for(environ)
    except MailError as error:
        sys.stderr.write(f"lazarus mcp: {error}\n")
        return 2
    logging.getLogger("mcp").setLevel(logging.ERROR)
    server.run("stdio")
    return 0
