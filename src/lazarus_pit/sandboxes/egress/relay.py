"""Bytes to and fro between two sockets, bounded in memory and in idleness."""

from __future__ import annotations

import asyncio
import contextlib
import socket

CHUNK = 65_536
"""Bytes in flight in one direction."""
LINGER = 1.0
"""Seconds in which a side that was answered may read the answer."""


class Pair:
    """Two sockets that are joined until both have said all, or nothing is said for too long."""

    def __init__(self, client: socket.socket, server: socket.socket, idle: float) -> None:
        """Join them; after ``idle`` seconds without a byte in either direction it is over."""
        self._client = client
        self._server = server
        self._idle = idle
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()

    async def relay(self, body: int | None) -> None:
        """Pass everything on; from the client only ``body`` bytes, if that is a number."""
        up = asyncio.ensure_future(self._pump(self._client, self._server, body))
        down = asyncio.ensure_future(self._pump(self._server, self._client, None))
        pending = {up, down}
        try:
            while pending:
                left = self._last + self._idle - self._loop.time()
                done, pending = await asyncio.wait(
                    pending, timeout=max(0.0, left), return_when=asyncio.FIRST_COMPLETED
                )
                broken = any(task.exception() for task in done)
                silent = not done and self._last + self._idle <= self._loop.time()
                answered = down in done and body is not None
                if broken or silent or answered:
                    return
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _pump(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        """Copy until the end or the limit. Raises ``OSError`` if a side is gone."""
        room = memoryview(bytearray(CHUNK))
        left = limit
        while left is None or left > 0:
            size = CHUNK if left is None else min(CHUNK, left)
            count = await self._loop.sock_recv_into(source, room[:size])
            if count == 0:
                break
            self._last = self._loop.time()
            await self._loop.sock_sendall(sink, room[:count])
            self._last = self._loop.time()
            left = None if left is None else left - count
            await asyncio.sleep(0)  # A pair that is never short of bytes must not be alone here.
        if limit is None:
            sink.shutdown(socket.SHUT_WR)


async def say_last(client: socket.socket, words: bytes) -> None:
    """Send an answer and let the other side read it: closed at once, unread bytes would undo it."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(LINGER):
            await loop.sock_sendall(client, words)
            client.shutdown(socket.SHUT_WR)
            more = b"?"
            while more:  # Else a client that never stops would never be timed.
                more = await loop.sock_recv(client, CHUNK)
                await asyncio.sleep(0)
