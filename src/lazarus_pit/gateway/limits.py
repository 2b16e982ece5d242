"""What one client may cost, and how fast it may talk. Sizes are bytes, times are seconds."""

from __future__ import annotations

from msgspec import Struct

KIB = 1024
MIB = 1024 * KIB


class Limits(Struct, frozen=True, kw_only=True):
    """Every bound of the gateway; together they bound its memory."""

    message_bytes: int = MIB
    """The longest message, counted after its fragments are put together."""
    assembly_bytes: int = 64 * MIB
    """What unfinished messages of all clients may occupy at once."""
    head_bytes: int = 16 * KIB
    """The longest opening request."""

    clients: int = 5000
    clients_per_address: int = 64
    """From one address that is not loopback."""
    rooms: int = 4096
    """Rooms that are remembered; those with somebody in them are never forgotten."""

    ring_messages: int = 1024
    """How many messages a room remembers: how far a slow client may fall behind."""
    ring_bytes: int = 8 * MIB
    hub_bytes: int = 64 * MIB
    """What the rings of all rooms may occupy together."""
    batch_bytes: int = 128 * KIB
    """The most that is handed to a client's transport at once, unless one message is longer."""
    kernel_bytes: int = 256 * KIB
    """The send buffer asked of the kernel for each client."""

    messages_per_second: float = 200.0
    """Frames of one client, in the long run; 0 lifts the limit."""
    messages_burst: float = 1000.0
    bytes_per_second: float = 2.0 * MIB
    """Bytes of one client, in the long run; 0 lifts the limit."""
    bytes_burst: float = 8.0 * MIB

    handshake_seconds: float = 5.0
    ping_seconds: float = 20.0
    """Silence after which a client is asked whether it is there."""
    pong_seconds: float = 20.0
    """How long it may take to say so."""
    stuck_seconds: float = 30.0
    """How long a client may read nothing at all of what waits for it."""
    close_seconds: float = 1.0
    """How long a client may take over the closing handshake."""


class Pace:
    """Two token buckets, frames and bytes, of one client.

    A client may run into debt by what one read of its socket brings, and is then not read until
    the debt is paid: TCP slows it down, and nobody else.
    """

    __slots__ = ("_at", "_bytes", "_frames", "_limits")

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._at = now
        self._frames = limits.messages_burst
        self._bytes = limits.bytes_burst

    def spend(self, now: float, frames: int, size: int) -> float:
        """Take so many frames and bytes; say for how many seconds to stop reading."""
        limits = self._limits
        passed = max(0.0, now - self._at)
        self._at = now
        self._frames, wait = _draw(
            self._frames, frames, passed, limits.messages_per_second, limits.messages_burst
        )
        self._bytes, longer = _draw(
            self._bytes, size, passed, limits.bytes_per_second, limits.bytes_burst
        )
        return max(wait, longer)


def _draw(
    level: float, amount: float, passed: float, rate: float, burst: float
) -> tuple[float, float]:
    """Fill a bucket for the seconds passed, draw from it: its new level, and the wait it asks."""
    if not rate:
        return level, 0.0
    level = min(burst, level + passed * rate) - amount
    return level, max(0.0, -level / rate)
