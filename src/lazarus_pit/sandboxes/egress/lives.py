"""The lives that the proxy serves: each is known by the sockets that came from inside it."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any

from lazarus_pit.errors import FormatError
from lazarus_pit.formats.allowlist import Rule, parse_rules
from lazarus_pit.sandboxes.egress import relay
from lazarus_pit.sandboxes.egress.messages import Take
from lazarus_pit.sandboxes.egress.serve import Client, Limits, answer_of, lead_through, serve

CROWDED = 0.2
"""Seconds of rest when this process has no descriptor left for one more connection."""
TURNED_AWAY = 16
"""Connections beyond the limit that are told so at once; yet more are just closed."""


class Life:
    """One life: it accepts connections until the life's main process ends."""

    def __init__(
        self,
        take: Take,
        pidfd: int,
        listeners: list[socket.socket],
        limits: Limits,
        client: Client,
    ) -> None:
        """Serve on ``listeners``: the proxy's first, then one for each forwarded port."""
        self.take = take
        self._pidfd = pidfd
        self._limits = limits
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._connections: set[asyncio.Task[None]] = set()
        self._accepting = [
            asyncio.ensure_future(self._accept(listener, port))
            for listener, port in zip(listeners, (0, *take.forward), strict=True)
        ]

    def at_end(self, call: Callable[[Life], None]) -> None:
        """Have something called when the life's main process has ended."""
        self._loop.add_reader(self._pidfd, call, self)

    def close(self) -> None:
        """Serve it no more."""
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        for task in (*self._accepting, *self._connections):
            task.cancel()

    async def _accept(self, listener: socket.socket, port: int) -> None:
        with listener:
            while True:
                try:
                    connection, _ = await self._loop.sock_accept(listener)
                except OSError:
                    await asyncio.sleep(CROWDED)
                    continue
                connection.setblocking(False)
                self._admit(connection, port)
                await asyncio.sleep(0)  # A flood of one agent's must not keep others waiting.

    def _admit(self, connection: socket.socket, port: int) -> None:
        over = len(self._connections) - self._limits.connections
        if over >= TURNED_AWAY:
            connection.close()
        elif over >= 0:
            self._attend(self._turn_away(connection))
        elif port:
            self._attend(lead_through(connection, port, self._limits))
        else:
            self._attend(serve(connection, self._client, self._limits))

    def _attend(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _turn_away(self, connection: socket.socket) -> None:
        most = self._limits.connections
        sentence = f"{self._client.agent} has {most} connections open, which is the most"
        try:
            await relay.say_last(connection, answer_of(503, sentence))
        finally:
            connection.close()


class Lives:
    """All of them; a shell beside an agent, in the same walls, is a life of its own."""

    def __init__(
        self,
        limits: Limits,
        denied: Callable[[str, str, int, str], None],
        passed: Callable[[str, str, int], None],
        emptied: Callable[[], None],
    ) -> None:
        """Report by key, host and port; call ``emptied`` when the last life has ended."""
        self._limits = limits
        self._denied = denied
        self._passed = passed
        self._emptied = emptied
        self._lives: set[Life] = set()

    def names(self) -> tuple[tuple[str, int], ...]:
        """Keys and generations."""
        return tuple((life.take.key, life.take.generation) for life in self._lives)

    def add(self, take: Take, fds: list[int]) -> None:
        """Serve one more life from now on. The descriptors are ours, whatever comes of it.

        Raises:
            FormatError: the list is none, or another number of descriptors came.
        """
        try:
            rules = _rules(take, len(fds))
        except FormatError:
            for fd in fds:
                os.close(fd)
            raise
        listeners = [socket.socket(fileno=fd) for fd in fds[1:]]
        for listener in listeners:
            listener.setblocking(False)
        key = take.key
        client = Client(
            agent=take.agent,
            rules=rules,
            lookups=asyncio.Semaphore(self._limits.lookups),
            denied=lambda host, port, why: self._denied(key, host, port, why),
            passed=lambda host, port: self._passed(key, host, port),
        )
        life = Life(take, fds[0], listeners, self._limits, client)
        self._lives.add(life)
        life.at_end(self._ended)

    def _ended(self, life: Life) -> None:
        life.close()
        self._lives.discard(life)
        if not self._lives:
            self._emptied()

    def __len__(self) -> int:
        """How many."""
        return len(self._lives)


def _rules(take: Take, count: int) -> tuple[Rule, ...]:
    expected = 2 + len(take.forward)
    if count != expected:
        raise FormatError(f"{count} descriptors came for {expected}")
    return parse_rules(take.allow)
