"""A member's place in its cell, as its environment names it: mail, beats, who else is there."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeVar

from mcp.server.mcpserver.exceptions import ToolError

from lazarus_pit import hook, mail, session
from lazarus_pit.mail import Mail, MailError
from lazarus_pit.mcp.shapes import Decision

T = TypeVar("T")
PIT = "lazarus-pit"


class Place:
    """One member's seat. Its methods raise ``ToolError`` with what a model can do about it."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Sit down.

        Raises:
            MailError: this is no member's environment.
        """
        self.environ = environ
        self.seat = mail.seat(environ)
        self.name = environ.get("LAZARUS_AGENT", "")
        self.role = environ.get("LAZARUS_ROLE", "developer")

    # ------------------------------------------------------------ the cell

    def cell(self) -> dict[str, Any]:
        """Return the published manifest; an empty one where none can be read."""
        return session.published(self.environ, "cell.json")

    def members(self) -> list[dict[str, str]]:
        """Return the members: name, role, kind."""
        found = self.cell().get("agents")
        members = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return [
            {key: str(one.get(key, default)) for key, default in _MEMBER.items()} for one in members
        ]

    # ------------------------------------------------------------ mail

    def send(self, to: str, body: str, **more: str | None) -> str:
        """Send a message and return its id."""
        names = {one["name"] for one in self.members()}
        roles = {one["role"] for one in self.members() if one["name"] != self.name}
        if names and to not in names | roles | {"*", PIT, "pit"}:
            known = ", ".join(sorted(names - {self.name}))
            raise ToolError(f"to: nobody here is {to!r}; expected a name ({known}), a role or *")
        if len(body) > mail.MAX_BODY:
            raise ToolError(
                f"body: {len(body)} characters, expected at most {mail.MAX_BODY}: "
                "put it into a file of the workspace and name that"
            )
        return self._try(lambda: mail.send(self.seat, to, body, **more))

    def inbox(self) -> list[Mail]:
        """Return what waits, the oldest first."""
        return self._try(lambda: mail.inbox(self.seat))

    def find(self, message: str) -> Mail:
        """Return one message that waits."""
        if not message:
            raise ToolError("id: empty, expected the id of a message in the inbox")
        return self._try(lambda: mail.find(self.seat, message))

    def acknowledge(self, found: list[Mail]) -> None:
        """Say that these are done with."""
        self._try(lambda: mail.acknowledge(self.seat, [one.file for one in found]))

    def reply_to(self, message: str, senders: list[str]) -> Mail | None:
        """Return the first answer to a message that one of these has sent."""
        return next(
            (
                one
                for one in self.inbox()
                if one.said.get("reply_to") == message and one.said.get("from") in senders
            ),
            None,
        )

    def _try(self, do: Callable[[], T]) -> T:
        try:
            return do()
        except MailError as error:
            raise ToolError(f"{error}; read_inbox lists what waits") from None
        except OSError as error:
            raise ToolError(f"the mailbox cannot be used now: {error.strerror}") from None

    # ------------------------------------------------------------ questions to people

    def questions(self) -> list[Decision]:
        """Return the requests for approval that the daemon knows of, the latest first."""
        found = session.published(self.environ, "questions.json").get("questions")
        known = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        return [_decision(one) for one in known]

    def question(self, asked: str) -> Decision:
        """Return where a request for approval stands, by the id of its mail."""
        for one in self.questions():
            if one["id"] == asked:
                return one
        for refused in self.inbox():
            if refused.said.get("reply_to") == asked and refused.said.get("kind") == "bounce":
                raise ToolError(f"nobody was asked: {refused.said.get('body')}")
        if asked and self._try(lambda: self._is_unsent(asked)):
            return _decision({"id": asked, "state": "waiting"})
        raise ToolError(
            "request_id: you have made no such request lately; `mission` lists yours, and "
            "request_approval makes another"
        )

    def _is_unsent(self, message: str) -> bool:
        """Whether the daemon has not yet taken a mail out of the outbox."""
        wanted = json.dumps(message).encode()
        names = (name for name in os.listdir(self.seat.outbox) if name.endswith(".json"))
        for name in names:
            with suppress(OSError), open(f"{self.seat.outbox}/{name}", "rb") as file:
                if wanted in file.read(mail.MAX_MAIL):
                    return True
        return False

    # ------------------------------------------------------------ beats

    def beat(self, status: str, *, progress: bool, busy: float) -> None:
        """Write a beat; what hooks have counted stays."""

        def alter(memory: session.Memory) -> None:
            seconds = busy or session.lease(self.environ, session.THINKING)
            hook.doing(memory, status[:200], seconds, time.time())
            if progress:
                hook.moved(memory)

        if not session.tell(self.environ, session.change(self.environ, alter)):
            raise ToolError("the beat could not be written; go on without it")


def _decision(found: Mapping[str, Any]) -> Decision:
    texts = {name: str(found.get(name, "")) for name in ("id", "question", "by", "comment")}
    state = found.get("state")
    is_known = state in ("approved", "denied", "expired", "withdrawn")
    return {**texts, "state": state if is_known else "waiting"}  # type: ignore[typeddict-item]


_MEMBER = {"name": "", "role": "", "kind": "agent"}
