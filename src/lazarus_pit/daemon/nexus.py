"""The Nexus gateway's health, as contract 6.3 asks: looked at every sweep, told when it changes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from lazarus_pit.config import Gateway
from lazarus_pit.core.events import Told

TIMEOUT_SECONDS = 2.0
ANSWER_LIMIT = 16 * 1024
"""Bytes of an answer that are read: whoever listens on that port may be a stranger."""


class GatewayHealth:
    """Asks ``/health`` now and then, one question at a time."""

    def __init__(self, gateway: Gateway, tell: Callable[[Told], None]) -> None:
        """Ask at the configured address; changes are told."""
        self._gateway = gateway
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self.state = "unknown"
        """``up``, ``down`` or, before the first answer, ``unknown``."""

    def ask(self) -> None:
        """Ask, unless the last question is still open."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._ask())

    def close(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()

    async def _ask(self) -> None:
        address = f"{self._gateway.health_host}:{self._gateway.health_port}"
        try:
            why = await asyncio.wait_for(self._problem(), TIMEOUT_SECONDS)
        except TimeoutError:
            why = f"no answer within {TIMEOUT_SECONDS:g} s"
        except (OSError, UnicodeError) as error:  # The latter: a name that no host can have.
            why = str(error)
        state = "down" if why else "up"
        if state == self.state:
            return
        self.state = state
        data: dict[str, Any] = {"address": address, **({"why": why} if why else {})}
        self._tell(Told(event=f"gateway_{'lost' if why else 'found'}", data=data))

    async def _problem(self) -> str:
        """Return what is wrong with the gateway; empty where nothing is."""
        host, port = self._gateway.health_host, self._gateway.health_port
        reader, writer = await asyncio.open_connection(host, port)
        try:
            request = f"GET /health HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
            writer.write(request.encode())
            await writer.drain()
            answer = await reader.read(ANSWER_LIMIT)
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n", 1)[0]:
            return "it does not answer 200"
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            return "its answer is no JSON"
        service = said.get("service") if isinstance(said, dict) else None
        return "" if service == "nexus-gateway" else "another service answers there"
