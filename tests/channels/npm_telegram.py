"""npm's ``telegram-test-api`` as published, with what it does unlike Telegram put right in front.

It keeps the messages and the people's acts, as an implementation that is not ours. Put right are:
a bot that does not say it is one; times in milliseconds; ``null`` for an edit and for the answer to
a press; updates that are forgotten once they were handed out, whatever the offset; no waiting for
updates; markup that nobody reads; no webhook information. Every call is checked against Telegram's
own description on the way (``botapi``).
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import botapi
from botapi import ADA, BOT, TOKEN, BotApi

MODULES = os.environ.get("LAZARUS_NODE_MODULES", "")
_LOOK_SECONDS = 0.02


class NpmTelegram(BotApi):
    """The same as ``BotApi``, with everything kept by the package."""

    def __init__(self, upstream: str) -> None:
        super().__init__()
        self._upstream = upstream

    # ------------------------------------------------------------ people, by the client's routes

    def say(self, text: str, user: dict[str, Any] = ADA, **fields: Any) -> None:
        """Say something as the package's own client would."""
        chat = {"id": fields.pop("chat", self.chat), "type": "group"}
        self._post(
            "/sendMessage",
            {"botToken": TOKEN, "from": user, "chat": chat, "text": text}
            | {"date": int(time.time())}
            | fields,
        )

    def press_raw(
        self, data: str, message: dict[str, Any] | None, user: dict[str, Any] = ADA
    ) -> None:
        """Press a button as the package's own client would."""
        self._post(
            "/sendCallback", {"botToken": TOKEN, "from": user, "message": message, "data": data}
        )

    def texts(self, chat: int | None = None) -> list[str]:
        """What people see of the bot, from the package's history."""
        wanted = str(self.chat if chat is None else chat)
        self._see()
        return [one["text"] for (place, _), one in self.messages.items() if str(place) == wanted]

    def _see(self) -> None:
        """Read what the package keeps of our bot."""
        self.messages.clear()
        for kept in self._post("/getUpdatesHistory", {"token": TOKEN}):
            said = kept.get("message", {})
            if "chat_id" not in said:
                continue  # A person's.
            chat = int(said["chat_id"])
            self.messages[chat, kept["messageId"]] = {
                "message_id": kept["messageId"],
                "chat": {"id": chat},
                "date": kept["time"] // 1000,
                "from": BOT,
                "text": botapi.visible(said),
                "reply_markup": said.get("reply_markup", {}),
            }

    # ------------------------------------------------------------ the bot, put right

    def _getMe(self, _: dict[str, Any]) -> Any:  # noqa: N802 - Telegram's names
        return self._post(f"/bot{TOKEN}/getMe", {}) | {"is_bot": True}

    def _getUpdates(self, given: dict[str, Any]) -> Any:  # noqa: N802
        offset, end = given.get("offset", 0), time.monotonic() + given.get("timeout", 0)
        self.updates = [one for one in self.updates if one["update_id"] >= offset]
        while self.open:
            self.updates += self._post(f"/bot{TOKEN}/getUpdates", {})
            if self.updates or time.monotonic() >= end:
                break
            self.changed.wait(_LOOK_SECONDS)
        return self.updates[: given.get("limit", 100)]

    def _sendMessage(self, given: dict[str, Any]) -> Any:  # noqa: N802
        text = botapi.visible(given)
        sent = self._post(f"/bot{TOKEN}/sendMessage", given)
        return sent | {"date": sent["date"] // 1000, "from": BOT, "text": text}

    def _editMessageText(self, given: dict[str, Any]) -> Any:  # noqa: N802
        botapi.visible(given)
        self._post(f"/bot{TOKEN}/editMessageText", given)
        self._see()
        return self.messages[given["chat_id"], given["message_id"]]

    def _answerCallbackQuery(self, given: dict[str, Any]) -> Any:  # noqa: N802
        self._post(f"/bot{TOKEN}/answerCallbackQuery", given)
        return super()._answerCallbackQuery(given)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(  # noqa: S310 - loopback
            self._upstream + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read())["result"]


@contextlib.contextmanager
def serving(log: Path) -> Iterator[NpmTelegram]:
    """Run the package, and what puts it right, for as long as the block runs."""
    if not (Path(MODULES) / "telegram-test-api").is_dir() or not MODULES:
        pytest.skip("no telegram-test-api: make test-channels installs it")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    argv = ["node", str(Path(__file__).with_name("telegram.cjs")), str(port)]
    with log.open("wb") as said:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=said)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n", log.read_text()
        with botapi.serving(NpmTelegram(f"http://127.0.0.1:{port}")) as api:
            assert isinstance(api, NpmTelegram)
            yield api
    finally:
        process.kill()
        process.wait()
        process.stdout.close() if process.stdout else None
