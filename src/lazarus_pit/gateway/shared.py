"""What all connections of one gateway share, and what they may take of it together."""

from __future__ import annotations

import asyncio
from collections import Counter
from http import HTTPStatus
from ipaddress import ip_address
from typing import Protocol

from lazarus_pit.gateway.door import Door, Refusal
from lazarus_pit.gateway.hub import Hub
from lazarus_pit.gateway.limits import Limits

READ_BYTES = 16 * 1024
"""The most that is read of one client before the next has its turn, and so the most that one can
run into debt with its pace."""


class Connection(Protocol):
    """What the gateway as a whole wants of each connection."""

    transport: asyncio.Transport

    def sweep(self, now: float) -> None:
        """Once a second: end what takes too long."""

    def farewell(self) -> None:
        """Begin to close, because the gateway ends."""


class Shared:
    """The hub and its door, who is connected, and what they hold."""

    def __init__(self, hub: Hub, door: Door, limits: Limits) -> None:
        self.loop = asyncio.get_running_loop()
        self.hub = hub
        self.door = door
        self.limits = limits
        self.peers: set[Connection] = set()
        self.deserted = asyncio.Event()
        self.deserted.set()
        self.seated = 0  # Clients that were let in.
        self.assembling = 0  # Bytes of unfinished messages and openings.
        # One buffer serves everybody: what was read is taken out before the next read.
        self.buffer = memoryview(bytearray(READ_BYTES))
        self._addresses: Counter[str] = Counter()

    def comes(self, peer: Connection, address: str) -> None:
        """Remember a new connection."""
        self.peers.add(peer)
        self.deserted.clear()
        self._addresses[address] += 1

    def goes(self, peer: Connection, address: str) -> None:
        """Forget a connection."""
        self.peers.discard(peer)
        self._addresses[address] -= 1
        if not self._addresses[address]:
            del self._addresses[address]
        if not self.peers:
            self.deserted.set()

    def crowded(self, address: str) -> Refusal | None:
        """Refuse one more client where there are enough, of all or of its address."""
        limits = self.limits
        if self.seated >= limits.clients:
            return Refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{limits.clients} clients are enough")
        if self._addresses[address] > limits.clients_per_address and not is_loopback(address):
            return Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{limits.clients_per_address} clients from {address} are enough",
            )
        return None


def is_loopback(address: str) -> bool:
    """Tell whether an address is one of this machine's own loopback."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False
