"""A connection ends by itself, whatever trickles in; over TCP and over a unix socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from lazarus_pit.web import wire
from lazarus_pit.web.serve import _Quiet

BIG = 32 * 1024 * 1024
"""Bytes that no buffer of a socket takes at once."""
GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"


async def _app(scope: dict[str, Any], _receive: Any, send: Any) -> None:
    size = BIG if scope["path"] == "/big" else 2
    head = [(b"content-length", str(size).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": b"x" * size})


@asynccontextmanager
async def served(place: Path | None) -> AsyncIterator[tuple[Any, Any]]:
    """Serve, and yield a connection; ``place``: of a unix socket."""
    sock = socket.socket(socket.AF_UNIX if place else socket.AF_INET)
    sock.bind(str(place) if place else ("127.0.0.1", 0))
    sock.listen()
    config = uvicorn.Config(_app, http=wire.Bounded, ws="none", lifespan="off", log_config=None)
    server = _Quiet(config)
    running = asyncio.create_task(server.serve(sockets=[sock]))
    name = sock.getsockname()
    opening = asyncio.open_unix_connection(name) if place else asyncio.open_connection(*name)
    reader, writer = await opening
    try:
        yield reader, writer
    finally:
        writer.close()
        server.should_exit = True
        await running


@pytest.mark.parametrize("is_unix", [False, True], ids=["tcp", "unix"])
@pytest.mark.parametrize(
    "sent",
    [b"", b"GET / HT", GET % b"" + b"GET /", b"POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\n1"],
)
def test_a_head_that_does_not_come_ends_it(
    *, sent: bytes, is_unix: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 0.1)

    async def trickle() -> None:
        async with served(tmp_path / "sock" if is_unix else None) as (reader, writer):
            writer.write(sent)
            async with asyncio.timeout(30):
                with suppress(ConnectionError):
                    while not reader.at_eof():
                        await reader.read(100)

    asyncio.run(trickle())


def test_one_request_after_another_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HEAD_SECONDS", 30.0)

    async def ask() -> bytes:
        async with served(None) as (reader, writer):
            writer.write(GET % b"" * 2)
            async with asyncio.timeout(30):
                heads = [await reader.readuntil(b"\r\n\r\nxx") for _ in range(2)]
            return b"".join(heads)

    assert asyncio.run(ask()).count(b"200 OK") == 2


def test_a_reader_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "STALL_SECONDS", 0.1)

    async def ask() -> int:
        async with served(None) as (reader, writer):
            writer.transport.pause_reading()
            writer.write(GET % b"big")
            async with asyncio.timeout(30):
                await lost(writer)
                writer.transport.resume_reading()
                got = 0
                with suppress(ConnectionError):
                    while some := await reader.read(1 << 20):
                        got += len(some)
            return got

    async def lost(writer: Any) -> None:
        """Return when the other side has gone: only then a write fails."""
        with suppress(ConnectionError):
            while not writer.transport.is_closing():
                writer.write(b"\r\n")
                await asyncio.sleep(0.02)

    assert asyncio.run(ask()) < BIG
