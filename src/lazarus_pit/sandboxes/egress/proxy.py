"""The proxy: ``python -m lazarus_pit.sandboxes.egress.proxy``, one process a pit.

It owns no port of the host. A socket stays in the network it was born in: a child of the daemon
listens inside a new cell's network and hands the socket over, so that what is accepted on it comes
from that cell and nobody else, while connections made here leave by the host's network.

It outlives the daemon, as agents do: while they run they keep their network, and what they were
refused meanwhile is told to the next daemon. It ends by itself when it serves no life and no daemon
is there. Descriptor 3 is its control socket. It gives up what rights it has before it listens.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import contextlib
import os
import resource
import signal
import socket
import sys

import msgspec

from lazarus_pit.errors import FormatError
from lazarus_pit.linux import landlock
from lazarus_pit.sandboxes.egress.denials import Denials
from lazarus_pit.sandboxes.egress.lives import Lives
from lazarus_pit.sandboxes.egress.messages import (
    MAX_BYTES,
    MAX_SOCKETS,
    PROTOCOL,
    Done,
    Hello,
    Message,
    Passed,
    Take,
    Welcome,
    decode,
    encode,
)
from lazarus_pit.sandboxes.egress.serve import Limits

CONTROL = 3
NOBODY = 65_534
BACKLOG = 64
LOOKUPS = 64
"""Names that are looked up at once: many times what one life may have under way."""
GRACE = 30.0
"""Seconds in which the first daemon must speak up."""
RETELL = 1.0
"""Seconds between looks at what waits to be told."""


class Proxy:
    """The control socket, the lives, and the daemon that listens, if one does."""

    def __init__(self, control: socket.socket, limits: Limits) -> None:
        """Take orders from ``control``."""
        self._control = control
        self._loop = asyncio.get_running_loop()
        self._lives = Lives(limits, self._denied, self._passed, self._end_if_idle)
        self._denials = Denials()
        self._daemon: socket.socket | None = None
        self._verbose = False
        self._talks: set[asyncio.Task[None]] = set()
        self._retelling: asyncio.TimerHandle | None = None
        self.ended = asyncio.Event()

    async def run(self) -> None:
        """Serve until nobody needs it."""
        self._loop.call_later(GRACE, self._end_if_idle)
        accepting = asyncio.ensure_future(self._accept())
        await self.ended.wait()
        accepting.cancel()

    async def _accept(self) -> None:
        while True:
            connection, _ = await self._loop.sock_accept(self._control)
            connection.setblocking(False)
            task = asyncio.ensure_future(self._talk(connection))
            self._talks.add(task)
            task.add_done_callback(self._talks.discard)

    async def _talk(self, connection: socket.socket) -> None:
        """Hear one of ours out: a child says one thing, a daemon stays."""
        try:
            while heard := await self._receive(connection):
                message, fds = heard
                if isinstance(message, Take):
                    await self._answer(connection, Done(fault=self._take(message, fds)))
                elif isinstance(message, Hello):
                    await self._greet(connection, message)
        except (OSError, msgspec.MsgspecError) as error:
            _say(f"a talk broke off: {error}")
        finally:
            connection.close()
            if connection is self._daemon:
                self._daemon = None
                self._end_if_idle()

    async def _receive(self, connection: socket.socket) -> tuple[Message, list[int]] | None:
        while True:
            try:
                data, fds, _, _ = socket.recv_fds(connection, MAX_BYTES, MAX_SOCKETS)
            except BlockingIOError:
                await self._readable(connection)
                continue
            try:
                return (decode(data), fds) if data else None
            except msgspec.MsgspecError:
                for fd in fds:
                    os.close(fd)
                raise

    async def _readable(self, connection: socket.socket) -> None:
        heard = asyncio.Event()
        self._loop.add_reader(connection, heard.set)
        try:
            await heard.wait()
        finally:
            self._loop.remove_reader(connection)

    async def _answer(self, connection: socket.socket, message: Message) -> None:
        await self._loop.sock_sendall(connection, encode(message))

    def _take(self, take: Take, fds: list[int]) -> str:
        try:
            self._lives.add(take, fds)
        except (FormatError, OSError) as error:
            return str(error)
        return ""

    async def _greet(self, connection: socket.socket, hello: Hello) -> None:
        await self._answer(connection, Welcome(protocol=PROTOCOL, lives=self._lives.names()))
        self._daemon = connection
        self._verbose = hello.verbose
        self._tell()

    # ------------------------------------------------------------ telling

    def _denied(self, key: str, host: str, port: int, why: str) -> None:
        self._denials.note(key, host, port, why)
        self._tell()

    def _passed(self, key: str, host: str, port: int) -> None:
        if self._daemon is not None and self._verbose:
            with contextlib.suppress(OSError):
                self._daemon.send(encode(Passed(key=key, host=host, port=port)))

    def _tell(self) -> None:
        """Tell the daemon what is due; what it cannot hear now is kept."""
        if self._daemon is None:
            return
        for denied in self._denials.due(self._loop.time()):
            try:
                self._daemon.send(encode(denied))
            except OSError:
                break
        if self._denials.waiting and self._retelling is None:
            self._retelling = self._loop.call_later(RETELL, self._retell)

    def _retell(self) -> None:
        self._retelling = None
        self._tell()

    def _end_if_idle(self) -> None:
        if not len(self._lives) and self._daemon is None:
            self.ended.set()


def main() -> int:
    """Be the proxy."""
    control = socket.socket(fileno=CONTROL)
    control.setblocking(False)
    control.listen(BACKLOG)  # Once more, so that whoever connects can see who serves.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _give_up_rights()
    asyncio.run(_serve(control))
    return 0


async def _serve(control: socket.socket) -> None:
    threads = concurrent.futures.ThreadPoolExecutor(LOOKUPS, "lookup")
    asyncio.get_running_loop().set_default_executor(threads)
    proxy = Proxy(control, Limits())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, proxy.ended.set)
    await proxy.run()


def _give_up_rights() -> None:
    """It reads what agents write: it keeps no user of consequence, writes and starts nothing.

    Where the kernel or the machine's user numbers do not let it, it says so and goes on.
    """
    try:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        _say(f"it stays the user it is: {error}")
    try:
        landlock.restrict(
            landlock.file_ruleset([("/", landlock.READ_FILE | landlock.READ_DIR)], ports=True)
        )
    except OSError as error:
        _say(f"it runs without Landlock: {error}")


def _say(words: str) -> None:
    print(f"egress proxy {os.getpid()}: {words}", file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
