"""What happens in the pit, said to the Nexus gateway: a client of the hub like any other.

Nothing waits for the hub. What cannot be said in time is counted and let go, the oldest first.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

log = logging.getLogger(__name__)

FIRST_SECONDS, LAST_SECONDS = 0.5, 30.0
"""The first delay before the hub is tried again, and the longest; each is twice the one before."""
OPEN_SECONDS = 5.0
FRAME_BYTES = 64 * 1024
"""A longer line of a journal is said without its details."""
_CHATTER = frozenset({"heartbeat"})
"""Events that nobody acts on."""
_HEAD = ("ts", "event", "seq", "cell", "agent", "sentence")


class Pace(NamedTuple):
    """How fast may be spoken, and how much may wait."""

    per_second: float = 20.0
    burst: int = 100
    waiting: int = 256
    """Events that are kept while the hub is away or slow."""


class Publisher:
    """Speaks to one hub for as long as ``run`` does; ``tell`` never waits."""

    def __init__(self, address: str, token: str, pace: Pace | None = None) -> None:
        """Say nothing yet.

        Args:
            address: ``ws://HOST:PORT/``.
            token: what the hub asks for; empty where it asks for none.
            pace: how fast.
        """
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._pace = pace or Pace()
        self._left, self._at = float(self._pace.burst), 0.0
        self._waiting: deque[bytes] = deque()
        self._dropped = 0
        self._news = asyncio.Event()
        self._said = ""

    def tell(self, event: Mapping[str, Any]) -> None:
        """Have an event said as soon as the pace allows; called in the event loop's thread."""
        if event.get("event") in _CHATTER:
            return
        self._waiting.append(frame(event))
        if len(self._waiting) > self._pace.waiting:
            self._waiting.popleft()
            self._dropped += 1
        self._news.set()

    async def run(self) -> None:
        """Stay connected, and come back to a hub that went away; ends when it is cancelled."""
        delay = FIRST_SECONDS
        while True:
            try:
                async with self._connected() as hub:
                    self._note(f"{self._address}: connected")
                    delay = FIRST_SECONDS
                    await self._speak(hub)
                self._note(f"{self._address}: the hub is gone")
            except (OSError, TimeoutError, WebSocketException) as error:
                self._note(f"{self._address}: {error}")
            await asyncio.sleep(delay)
            delay = min(delay * 2, LAST_SECONDS)

    def _connected(self) -> connect:
        return connect(
            self._address,
            additional_headers=self._headers,
            compression=None,
            proxy=None,
            open_timeout=OPEN_SECONDS,
        )

    def _note(self, said: str) -> None:
        """Say once what has changed in the connection."""
        if said != self._said:
            self._said = said
            log.warning("%s", said)

    async def _speak(self, hub: ClientConnection) -> None:
        """Say what there is until the hub goes away. What others say there is read and let go."""
        deaf = asyncio.create_task(_drain(hub))
        try:
            while not deaf.done():
                if not self._waiting and not self._dropped:
                    self._news.clear()
                    news = asyncio.create_task(self._news.wait())
                    await asyncio.wait({news, deaf}, return_when=asyncio.FIRST_COMPLETED)
                    news.cancel()
                    continue
                await self._spend()
                if self._dropped:
                    dropped, self._dropped = self._dropped, 0
                    await hub.send(b'{"type":"lazarus.gap","dropped":%d}' % dropped, text=True)
                else:
                    said = self._waiting[0]
                    await hub.send(said, text=True)
                    if self._waiting and self._waiting[0] is said:  # Else it was let go meanwhile.
                        self._waiting.popleft()
        finally:
            deaf.cancel()

    async def _spend(self) -> None:
        """Wait until one more may be said."""
        loop = asyncio.get_running_loop()
        rate, burst = self._pace.per_second, self._pace.burst
        now = loop.time()
        self._left = min(burst, self._left + (now - self._at) * rate)
        self._at = now
        if self._left < 1:
            await asyncio.sleep((1 - self._left) / rate)
        self._left -= 1


async def _drain(hub: ClientConnection) -> None:
    try:
        async for _ in hub:
            pass
    except ConnectionClosed:
        return


def frame(event: Mapping[str, Any]) -> bytes:
    """Return the message for an event."""
    whole = msgspec.json.encode({"type": "lazarus.event", "event": event})
    if len(whole) <= FRAME_BYTES:
        return whole
    head = {name: event[name] for name in _HEAD if name in event}
    return msgspec.json.encode({"type": "lazarus.event", "event": head, "is_cut": True})
