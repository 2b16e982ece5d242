"""A member's place in its cell, as its environment names it: mail, beats, who else is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from mcp.server.mcpserver.exceptions import ToolError

from lazarus_pit import hook, mail, session
from lazarus_pit.mail import Mail, MailError

T = TypeVar("T")
PIT = "lazarus-pit"
PEOPLE = "human"


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

    def people(self) -> list[str]:
        """Return the names of the people who have a seat here."""
        return [one["name"] for one in self.members() if one["kind"] == PEOPLE]

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


_MEMBER = {"name": "", "role": "", "kind": "agent"}
