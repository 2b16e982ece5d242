"""The same tools over Streamable HTTP, for one member: loopback, and a token of its own."""

from __future__ import annotations

import hmac
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

import uvicorn

from lazarus_pit.mcp.server import server_for

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = "127.0.0.1"
PATH = "/mcp"


def serve(
    environ: Mapping[str, str],
    port: int,
    ready: Callable[[str, str], None],
    is_seated: Callable[[], bool],
) -> None:
    """Serve one member until SIGTERM or SIGINT; who has the token is that member.

    Args:
        environ: the member's seat.
        port: on loopback; 0 lets the system pick one.
        ready: told the address and the token, which is new each time and kept nowhere.
        is_seated: whether this is a member still, asked at each request: who has left, or came back
            by another invitation or with another role, is let in no more.

    Raises:
        MailError: ``environ`` is no member's.
        OSError: the port is taken.
    """
    app = server_for(environ).streamable_http_app(streamable_http_path=PATH, host=LOOPBACK)
    token = secrets.token_urlsafe(24)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(128)
        address = f"http://{LOOPBACK}:{listener.getsockname()[1]}{PATH}"
        settings = uvicorn.Config(
            guarded(app, token, is_seated), log_level="error", access_log=False
        )
        ready(address, token)
        uvicorn.Server(settings).run(sockets=[listener])


def guarded(app: App, token: str, is_seated: Callable[[], bool]) -> App:
    """Return the application behind a bearer token; anything else than its owner gets a 401."""
    wanted = f"Bearer {token}".encode()

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope.get("headers") or ()).get(b"authorization", b"")
        is_owner = hmac.compare_digest(given, wanted) and is_seated()
        if scope["type"] == "lifespan" or is_owner:
            await app(scope, receive, send)
            return
        said = [(b"www-authenticate", b"Bearer"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 401, "headers": said})
        await send({"type": "http.response.body", "body": b""})

    return door
