"""How many may come, and from where."""

import asyncio

import pytest

from lazarus_pit.gateway.door import Door
from lazarus_pit.gateway.hub import Hub
from lazarus_pit.gateway.limits import Limits
from lazarus_pit.gateway.peer import Peer
from lazarus_pit.gateway.shared import Shared, is_loopback

LIMITS = Limits(clients=5, clients_per_address=2)


async def come(*addresses: str) -> list[bool]:
    """Let connections come in turn; say of each whether it finds the place too crowded."""
    shared = Shared(Hub(LIMITS, lambda _: None), Door(), LIMITS)
    found: list[bool] = []
    peers: list[tuple[Peer, str]] = []
    for address in addresses:
        peer = Peer(shared)
        shared.comes(peer, address)
        found.append(shared.crowded(address) is not None)
        shared.seated += not found[-1]
        peers.append((peer, address))
    for peer, address in peers:
        shared.goes(peer, address)
    assert shared.deserted.is_set()
    assert not shared.peers
    return found


def test_of_one_address_beyond_loopback_only_so_many_may_come() -> None:
    found = asyncio.run(come("10.0.0.1", "10.0.0.1", "10.0.0.1", "10.0.0.2", "127.0.0.1"))
    assert found == [False, False, True, False, False]


def test_of_loopback_all_may_come_that_there_is_room_for() -> None:
    assert asyncio.run(come(*["127.0.0.1"] * 6)) == [False] * 5 + [True]


@pytest.mark.parametrize(
    ("address", "loopback"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("10.0.0.1", False), ("?", False)],
)
def test_loopback_is_known(address: str, *, loopback: bool) -> None:
    assert is_loopback(address) == loopback
