"""Whoever listens where the gateway should be may be a stranger: nothing it says is a fault."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from lazarus_pit.config import Gateway
from lazarus_pit.daemon.nexus import GatewayHealth

if TYPE_CHECKING:
    from lazarus_pit.core.events import Told

OK = b"HTTP/1.1 200 OK\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (OK + b"[" * 12_000, "its answer is no JSON"),
        (OK + b"\xff", "its answer is no JSON"),
        (OK + b"[]", "another service answers there"),
        (b"", "it does not answer 200"),
    ],
)
def test_what_a_stranger_answers_is_told_and_no_fault(answer: bytes, why: str) -> None:
    told: list[Told] = []

    async def ask() -> None:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            health = GatewayHealth(Gateway(health_host="127.0.0.1", health_port=port), told.append)
            health.ask()
            assert health._task is not None
            await health._task

    asyncio.run(ask())
    assert [one.data.get("why") for one in told] == [why]


def test_a_host_that_can_be_no_name_is_down() -> None:
    told: list[Told] = []

    async def ask() -> None:
        health = GatewayHealth(Gateway(health_host="a..b", health_port=1), told.append)
        health.ask()
        assert health._task is not None
        await health._task

    asyncio.run(ask())
    assert [one.event for one in told] == ["gateway_lost"]
