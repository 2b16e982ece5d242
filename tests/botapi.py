"""A Bot API server on loopback, and the people of its chats: updates wait until they are confirmed.

Every call is checked against Telegram's own description (``bot_contract``), where that is there.
"""

from __future__ import annotations

import contextlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bot_contract import shown, violations

TOKEN = "4242:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"  # noqa: S105 - nobody's
CHAT = -1001
PATIENCE = 60.0
ADA = {"id": 7, "is_bot": False, "first_name": "Ada", "username": "ada"}
MALLORY = {"id": 666, "is_bot": False, "first_name": "Mallory"}
BOT = {"id": 4242, "is_bot": True, "first_name": "Lazarus", "username": "lazarus_bot"}


class RefusedError(Exception):
    """A call is answered with an error."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code, self.parameters = code, parameters


def dropped(_: dict[str, Any]) -> Any:
    """A fault: the connection is cut without an answer."""
    raise ConnectionError


class BotApi:
    """What the server knows. Everything happens under ``changed``."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.wrong: list[str] = []
        self.messages: dict[tuple[int, int], dict[str, Any]] = {}
        """By chat and message id, as people see them now."""
        self.updates: list[dict[str, Any]] = []
        self.popups: list[tuple[str, str]] = []
        """What was answered to presses."""
        self.faults: dict[str, list[Callable[[dict[str, Any]], Any]]] = {}
        """By method, what the next calls of it meet instead."""
        self.webhook = ""
        self.chat = CHAT
        self.open = True
        self.url = ""
        self._next = {"message": 100, "update": 1000}

    # ------------------------------------------------------------ people

    def say(self, text: str, user: dict[str, Any] = ADA, **fields: Any) -> None:
        """Say something, by default in the chat."""
        with self.changed:
            chat = fields.pop("chat", self.chat)
            message = self._message(chat, {"text": text, "from": user}) | fields
            self._update("message", message)

    def press(self, label: str, user: dict[str, Any] = ADA, **over: Any) -> None:
        """Press a button of the newest message that has it."""
        with self.changed:
            rows = [
                (message, button)
                for message in self.messages.values()
                for row in message.get("reply_markup", {}).get("inline_keyboard", [])
                for button in row
                if label in button["text"]
            ]
            message, button = rows[-1]
            place = over.get("message", message)
            self.press_raw(button["callback_data"], place, user)

    def press_raw(
        self, data: str, message: dict[str, Any] | None, user: dict[str, Any] = ADA
    ) -> None:
        """Press a button that may not be there any more."""
        with self.changed:
            id_ = str(self._new("update"))
            press = {"id": id_, "from": user, "message": message, "data": data}
            self._update("callback_query", press)

    def happen(self, **update: Any) -> None:
        """Have an update of any make wait."""
        with self.changed:
            self.updates.append({"update_id": self._new("update")} | update)
            self.changed.notify_all()

    def texts(self, chat: int | None = None) -> list[str]:
        """What our bot said in a chat, as it stands now."""
        with self.changed:
            wanted = self.chat if chat is None else chat
            found = [(key, one) for key, one in self.messages.items() if one["from"] is BOT]
            return [one["text"] for (place, _), one in found if place == wanted]

    def until(self, true: Callable[[], bool]) -> None:
        """Wait until something holds."""
        with self.changed:
            assert self.changed.wait_for(true, PATIENCE), (self.calls[-3:], self.texts())

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The calls of a method so far."""
        with self.changed:
            return [given for name, given in self.calls if name == method]

    # ------------------------------------------------------------ the server

    def answer(self, method: str, given: dict[str, Any]) -> Any:
        with self.changed:
            self.calls.append((method, given))
            self.wrong += violations(method, given)
            self.changed.notify_all()
            faults = self.faults.get(method, [])
            if faults:
                return faults.pop(0)(given)
            found = getattr(self, f"_{method}")(given)
            self.changed.notify_all()
            return found

    def _getMe(self, _: dict[str, Any]) -> Any:  # noqa: N802 - Telegram's names
        return BOT

    def _getWebhookInfo(self, _: dict[str, Any]) -> Any:  # noqa: N802
        return {"url": self.webhook, "has_custom_certificate": False, "pending_update_count": 0}

    def _getUpdates(self, given: dict[str, Any]) -> Any:  # noqa: N802
        offset = given.get("offset", 0)
        self.updates = [one for one in self.updates if one["update_id"] >= offset]
        self.changed.wait_for(lambda: self.updates or not self.open, given.get("timeout", 0))
        return self.updates[: given.get("limit", 100)]

    def _sendMessage(self, given: dict[str, Any]) -> Any:  # noqa: N802
        message = self._message(int(given["chat_id"]), {"from": BOT, "text": visible(given)})
        if "reply_markup" in given:
            message["reply_markup"] = given["reply_markup"]
        return message

    def _editMessageText(self, given: dict[str, Any]) -> Any:  # noqa: N802
        message = self.messages.get((given["chat_id"], given["message_id"]))
        if message is None:
            raise RefusedError(400, "Bad Request: message to edit not found")
        message["text"] = visible(given)
        message["reply_markup"] = given.get("reply_markup", {})
        return message

    def _answerCallbackQuery(self, given: dict[str, Any]) -> Any:  # noqa: N802
        self.popups.append((given["callback_query_id"], given.get("text", "")))
        return True

    def _message(self, chat: int, fields: dict[str, Any]) -> dict[str, Any]:
        id_ = self._new("message")
        message = {"message_id": id_, "chat": {"id": chat}, "date": int(time.time())} | fields
        self.messages[chat, id_] = message
        return message

    def _update(self, kind: str, what: dict[str, Any]) -> None:
        self.happen(**{kind: what})

    def _new(self, what: str) -> int:
        self._next[what] += 1
        return self._next[what]


def visible(given: dict[str, Any]) -> str:
    """What people see of a message; what Telegram refuses raises."""
    text: str = given["text"]
    if given.get("parse_mode") != "MarkdownV2":
        return text
    try:
        return shown(text)
    except ValueError as error:
        raise RefusedError(400, f"Bad Request: can't parse entities: {error}") from None


@contextmanager
def serving(api: BotApi) -> Iterator[BotApi]:
    """Serve on loopback for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            method = self.path.rpartition("/")[2]
            length = int(self.headers["Content-Length"])
            data = self.rfile.read(length)
            if len(data) < length:  # Whoever spoke was killed.
                self.close_connection = True
                return
            if self.path != f"/bot{TOKEN}/{method}":
                self._reply(401, {"ok": False, "error_code": 401, "description": "Unauthorized"})
                return
            try:
                found = api.answer(method, json.loads(data))
            except ConnectionError:
                self.close_connection = True
                return
            except RefusedError as error:
                body = {"ok": False, "error_code": error.code, "description": str(error)}
                self._reply(error.code, body | {"parameters": error.parameters})
                return
            self._reply(200, {"ok": True, "result": found})

        def _reply(self, status: int, body: dict[str, Any]) -> None:
            encoded = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):  # Whoever asked has gone.
                self.wfile.write(encoded)

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)  # type: ignore[arg-type]

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        with api.changed:
            api.open = False
            api.changed.notify_all()
        server.shutdown()
        server.server_close()
        thread.join()
