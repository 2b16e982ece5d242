"""One connection: how long a head may take, a reader who does not read, and who is on a socket.

uvicorn has none of these: whoever sends a head a byte at a time keeps a connection for ever.
"""

from __future__ import annotations

import asyncio
import pwd
import socket

from uvicorn.protocols.http.h11_impl import H11Protocol

from lazarus_pit.linux import unix_sockets

HEAD_SECONDS = 10.0
"""From when a connection is made, or its last answer has ended, until the next head is whole."""
STALL_SECONDS = 60.0
"""How long a full buffer waits for a reader who takes nothing from it."""
MOST = 500
"""Connections of one listener: descriptors are left for files and for the other listener."""


class Bounded(H11Protocol):
    """A connection that ends when its time is over, whatever trickles in."""

    _head: asyncio.TimerHandle | None = None
    _stall: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        line = transport.get_extra_info("socket")
        if line is not None and line.family == socket.AF_UNIX:
            self.client = (_user(unix_sockets.peer(line)[1]), 0)
        if len(self.connections) > MOST:
            transport.abort()
        else:
            self._head = self._after(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        _cancel(self._head)
        _cancel(self._stall)
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Stop waiting when a request has begun: from here on it is the answer's turn."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            _cancel(self._head)

    def on_response_complete(self) -> None:
        """Begin to wait for the next head; what is left of a body counts as waiting too."""
        _cancel(self._head)
        self._head = self._after(HEAD_SECONDS)
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Begin to wait for a reader."""
        self._stall = self._after(STALL_SECONDS)
        super().pause_writing()

    def resume_writing(self) -> None:
        """The reader has read."""
        _cancel(self._stall)
        super().resume_writing()

    def _after(self, seconds: float) -> asyncio.TimerHandle:
        return self.loop.call_later(seconds, self.transport.abort)


def _user(uid: int) -> str:
    """Return the name of a user as the journal has it; of one without a name its number."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
