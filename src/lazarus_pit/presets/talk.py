"""A client of the Agent Client Protocol: JSON-RPC, a line a message. Standard library only."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import IO, Any

from lazarus_pit.permission import Answer
from lazarus_pit.presets.base import Said, Sort, Where, failed, inside, objects

VERSION = 1
"""Of the protocol."""
_NO_SUCH = -32601
"""JSON-RPC's code for a method that we have not."""
_TOLD = ("session/update", "session/request_permission")
_ALLOWING = ("allow_once", "allow_always")
_REFUSING = ("reject_once", "reject_always")
_FREE = ("read", "search", "think", "edit")
"""Kinds of tools that only look, or edit what the cell bounds."""


class Talk:
    """One conversation, from its first word to the end of the last turn."""

    def __init__(  # noqa: PLR0913, PLR0917 - all that a conversation is made of
        self,
        pipe: IO[bytes],
        words: str,
        session: str,
        where: Where,
        heard: Callable[[Mapping[str, Any]], Any],
        mail: Callable[[], str],
        decide: Callable[[str, object], Answer] | None = None,
    ) -> None:
        """Say ``words`` in the conversation ``session``, or in a new one where that is empty.

        ``heard`` reads what the program tells meanwhile; ``mail`` returns what is new, for a
        further turn. ``decide`` asks people about a call of a tool, however long that takes;
        without it everything is allowed.
        """
        self._pipe = pipe
        self._words = words
        self._session = session
        self._where = where
        self._heard = heard
        self._mail = mail
        self._decide = decide
        self._speaks = threading.Lock()
        self._asked: dict[int, Callable[[Any], list[Said]]] = {}
        self._replays = False
        self.over = False
        """Whether the last turn has ended, or there will be none."""

    def begin(self) -> None:
        """Say the first word."""
        able = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        said = {"protocolVersion": VERSION, "clientCapabilities": able}
        self._ask("initialize", said, self._met)

    def hear(self, line: Mapping[str, Any]) -> list[Said]:
        """Take in one message, answer it, and return what it means."""
        number = line.get("id")
        if "method" not in line:
            then = self._asked.pop(number, None) if isinstance(number, int) else None
            if then is None:
                return []
            if line.get("error") is not None:
                return self._refused(line["error"])
            return then(line.get("result"))
        if number is not None:
            self._serve(number, line)
        if line["method"] in _TOLD and not self._replays:
            return list(self._heard(line))
        return []

    # ------------------------------------------------------------ answers to what we asked

    def _met(self, result: Any) -> list[Said]:
        ours = {"name": "lazarus", "command": shutil.which("lazarus") or "lazarus", "args": ["mcp"]}
        at = {"cwd": self._where.workspace, "mcpServers": [ours | {"env": []}]}
        if not self._session:
            self._ask("session/new", at, self._opened)
        elif inside(result, "agentCapabilities", "loadSession"):
            self._replays = True
            self._ask("session/load", at | {"sessionId": self._session}, self._loaded)
        else:
            return self._refused({"message": "this program cannot load a conversation"})
        return []

    def _opened(self, result: Any) -> list[Said]:
        self._session = str(inside(result, "sessionId") or "")
        return self._say(self._words)

    def _loaded(self, _result: Any) -> list[Said]:
        self._replays = False
        return self._say(self._words)

    def _say(self, words: str) -> list[Said]:
        prompt = [{"type": "text", "text": words}]
        self._ask("session/prompt", {"sessionId": self._session, "prompt": prompt}, self._ended)
        return [Said(Sort.SESSION, self._session), Said(Sort.THINKING)]

    def _ended(self, result: Any) -> list[Said]:
        reason = str(inside(result, "stopReason") or "")
        if reason != "end_turn":
            self.over = True
            return failed(reason)
        if text := self._mail():
            return [Said(Sort.TURN), *self._say(text)]
        self.over = True
        return [Said(Sort.TURN)]

    def _refused(self, error: Any) -> list[Said]:
        self.over = True
        said = (inside(error, "message"), inside(error, "data", "message"), inside(error, "data"))
        return failed(": ".join(str(one) for one in said if isinstance(one, str)))

    # ------------------------------------------------------------ what the program asks of us

    def _serve(self, number: object, line: Mapping[str, Any]) -> None:
        """Answer what it asks leave for. We have nothing else to offer."""
        if line["method"] != "session/request_permission":
            self._send({"id": number, "error": {"code": _NO_SUCH, "message": "not offered"}})
            return
        options = objects(inside(line, "params", "options"))
        call = inside(line, "params", "toolCall")
        decide = self._decide
        if decide is None or inside(call, "kind") in _FREE:  # The cell is the wall.
            self._choose(number, options, allowed=True)
            return

        def wait() -> None:
            answer = decide(*_called(call))
            self._choose(number, options, allowed=bool(answer.allowed))

        threading.Thread(target=wait, daemon=True).start()

    def _choose(self, number: object, options: list[Mapping[str, Any]], *, allowed: bool) -> None:
        kinds = _ALLOWING if allowed else _REFUSING
        chosen = next((one for kind in kinds for one in options if one.get("kind") == kind), None)
        outcome = (
            {"outcome": "cancelled"}
            if chosen is None
            else {"outcome": "selected", "optionId": chosen.get("optionId")}
        )
        self._send({"id": number, "result": {"outcome": outcome}})

    def _ask(self, method: str, params: Mapping[str, Any], then: Callable[[Any], Any]) -> None:
        number = len(self._asked) + 1 if not self._asked else max(self._asked) + 1
        self._asked[number] = then
        self._send({"id": number, "method": method, "params": params})

    def _send(self, message: Mapping[str, Any]) -> None:
        with (
            self._speaks,
            suppress(OSError, ValueError),
        ):  # A program that hears no more is about to end.
            self._pipe.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            self._pipe.flush()


def _called(call: object) -> tuple[str, object]:
    """Return a call in the words of people: the kind of tool, and what it would do."""
    title, given = str(inside(call, "title") or ""), inside(call, "rawInput")
    tool = str(inside(call, "kind") or title or "a tool")[:120]
    if not given:
        return tool, title
    return tool, {"title": title, **given} if isinstance(given, Mapping) else given
