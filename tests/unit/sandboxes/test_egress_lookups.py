"""Slow names are the trouble of whoever asks for them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lazarus_pit.formats.allowlist import parse_rules
from lazarus_pit.sandboxes.egress.serve import Client, Limits, serve

ASKED = 24
"""Connections that ask for a slow name, one after the other and at once."""


def test_a_name_that_is_still_looked_up_counts_though_nobody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = Limits(reach=0.01)
    over = threading.Event()
    running: list[str] = []

    def slow(host: Any, *_: Any, **__: Any) -> list[Any]:
        running.append(str(host))
        over.wait(20.0)
        raise OSError("no such name")

    async def flooded() -> int:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(ASKED))
        lookups = asyncio.Semaphore(limits.lookups)
        client = Client(
            agent="ada",
            rules=parse_rules(("*.example.org",)),
            lookups=lookups,
            denied=lambda *_: None,
            passed=lambda *_: None,
        )
        try:
            for number in range(ASKED):
                await _ask(number, client, limits)
            return len(running)
        finally:
            over.set()

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert asyncio.run(flooded()) == limits.lookups


async def _ask(number: int, client: Client, limits: Limits) -> None:
    ours, theirs = socket.socketpair()
    with ours:
        for end in (ours, theirs):
            end.setblocking(False)
        serving = asyncio.ensure_future(serve(theirs, client, limits))
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(ours, b"CONNECT n%d.example.org:443 HTTP/1.1\r\n\r\n" % number)
        answer = await loop.sock_recv(ours, 4096)
        assert answer.startswith(b"HTTP/1.1 502 "), answer
    with contextlib.suppress(OSError):
        await serving
