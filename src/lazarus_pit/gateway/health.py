"""``GET /health`` on a port of its own (contract 6.2): one request a connection, nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, cast

HEAD_BYTES = 8 * 1024
"""The longest request; bodies are not read."""
REQUEST_SECONDS = 5.0
CONNECTIONS = 256
"""How many may ask at the same time; those beyond are turned away unheard."""


def respond(head: bytes, facts: Callable[[], dict[str, Any]]) -> bytes:
    """Answer a request, given everything up to the empty line; ``facts`` makes the JSON body."""
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return _response(HTTPStatus.BAD_REQUEST, {"error": "not an HTTP/1 request"})
    method, path, _ = words
    if path.partition("?")[0] != "/health":
        body = {"error": f"no such path: {path}; there is /health"}
        return _response(HTTPStatus.NOT_FOUND, body, empty=method == "HEAD")
    if method not in ("GET", "HEAD"):
        return _response(HTTPStatus.METHOD_NOT_ALLOWED, {"error": f"{method}: expected GET"})
    return _response(HTTPStatus.OK, facts(), empty=method == "HEAD")


def _response(status: HTTPStatus, content: dict[str, Any], *, empty: bool = False) -> bytes:
    body = json.dumps(content).encode() + b"\n"
    allow = "Allow: GET, HEAD\r\n" if status is HTTPStatus.METHOD_NOT_ALLOWED else ""
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\n"
        f"{allow}Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if empty else body)


class HealthPeer(asyncio.Protocol):
    """One connection to the health port."""

    transport: asyncio.Transport

    def __init__(
        self,
        peers: set[HealthPeer],
        facts: Callable[[], dict[str, Any]],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._peers = peers
        self._facts = facts
        self._loop = loop
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection, for a few seconds at most."""
        self.transport = cast("asyncio.Transport", transport)
        self._peers.add(self)
        self._timer = self._loop.call_later(REQUEST_SECONDS, self.transport.abort)
        if len(self._peers) > CONNECTIONS:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self._timer.cancel()
        self._peers.discard(self)

    def data_received(self, data: bytes) -> None:
        """Answer once the head of the request is whole."""
        if self.transport.is_closing():
            return
        self._head += data
        head, end, _ = self._head.partition(b"\r\n\r\n")
        if end:
            self.transport.write(respond(head, self._facts))
            self.transport.close()
        elif len(self._head) > HEAD_BYTES:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            self.transport.write(_response(status, {"error": f"more than {HEAD_BYTES} bytes"}))
            self.transport.close()
