"""Where a forge may say that there is something to look at. It says no more than that here.

Gitea, Forgejo and GitHub sign alike: HMAC-SHA256 of the body with the secret that both sides know.
What a delivery holds is not read: whoever is told looks at the forge itself, so that one that was
forged, repeated or lost changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import logging
import socket
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any

import uvicorn

from lazarus_pit.channels.base import ChannelError
from lazarus_pit.errors import ConfigError
from lazarus_pit.formats.forge_settings import Gitea

log = logging.getLogger(__name__)

MAX_BYTES = 1024 * 1024
"""Of a body."""
REMEMBERED = 1000
"""Deliveries by whose id a repeated one is known."""
QUIET_SECONDS = 60.0
"""After a refusal was said none is said again for so long."""
_PATIENCE = 10.0
"""Seconds in which a body must have come."""
_IDS = ("x-gitea-delivery", "x-forgejo-delivery", "x-gogs-delivery", "x-github-delivery")

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


def is_signed(body: bytes, headers: Mapping[str, str], secret: str) -> bool:
    """Whether somebody who knows the secret has sent this body. Without a secret nobody has."""
    if not secret:
        return False
    wanted = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    given = headers.get("x-gitea-signature") or headers.get("x-hub-signature-256", "")
    given = given.removeprefix("sha256=").lower()
    return given.isascii() and hmac.compare_digest(given, wanted)


@contextlib.asynccontextmanager
async def listening(settings: Gitea, ring: Callable[[], None]) -> AsyncIterator[int]:
    """Listen on loopback for as long as the block runs, and yield the port.

    Raises:
        ConfigError: there is no secret.
        ChannelError: the port is taken.
    """
    if not settings.webhook_secret:
        raise ConfigError("[gitea] webhook_secret: missing, expected the secret of the webhook")
    hook = _Hook(settings.webhook_secret, ring)
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with contextlib.closing(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", settings.webhook_port))
            sock.listen()
        except OSError as error:
            raise ChannelError(f"webhook_port {settings.webhook_port}: {error.strerror}") from None
        server = _Quiet(_config(hook.answer))
        task = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield sock.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait([task])


class _Hook:
    """The one page there is."""

    def __init__(self, secret: str, ring: Callable[[], None]) -> None:
        self._secret = secret
        self._ring = ring
        self._known: OrderedDict[str, None] = OrderedDict()
        self._quiet_until = 0.0

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = await self._status(scope, receive)
        close = [(b"connection", b"close")] if status >= 400 else []
        await send({"type": "http.response.start", "status": status, "headers": close})
        await send({"type": "http.response.body", "body": b""})

    async def _status(self, scope: Scope, receive: Receive) -> int:
        if scope["method"] != "POST":
            return 405
        headers = _headers(scope["headers"])
        body = await _body(receive)
        if body is None:
            return 413
        if not is_signed(body, headers, self._secret):
            self._say_refused()
            return 401
        if self._is_new(next((headers[name] for name in _IDS if name in headers), "")):
            self._ring()
        return 204

    def _say_refused(self) -> None:
        """Say it, but not so often that whoever may knock fills the disk."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + QUIET_SECONDS
            log.warning("a webhook without a good signature was refused")

    def _is_new(self, delivery: str) -> bool:
        if not delivery:
            return True
        known = delivery in self._known
        self._known[delivery] = None
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return not known


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in raw}


async def _body(receive: Receive) -> bytes | None:
    """Return the body; ``None`` for one that is too long, or does not come."""
    body = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            while True:
                part = await receive()
                block: bytes = part.get("body", b"")
                body += block
                if len(body) > MAX_BYTES or part["type"] == "http.disconnect":
                    return None
                if not part.get("more_body"):
                    return body
    except TimeoutError:
        return None


class _Quiet(uvicorn.Server):
    """A server that leaves signals to the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",  # It would warn of each request that is none.
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=20,
        timeout_graceful_shutdown=1,
    )
