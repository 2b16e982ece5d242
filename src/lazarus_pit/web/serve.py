"""The API's process: its listeners on loopback and on a unix socket, until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import uvicorn

from lazarus_pit.cells.files import replace_file
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.errors import LazarusError, UsageError, WorldError
from lazarus_pit.linux import unix_sockets
from lazarus_pit.linux.listeners import holder_of
from lazarus_pit.web import keys, transit
from lazarus_pit.web.door import LOOPBACK, Door
from lazarus_pit.web.feed import Feed
from lazarus_pit.web.publish import Publisher
from lazarus_pit.web.ring import Ring
from lazarus_pit.web.routes import build
from lazarus_pit.web.spots import Server
from lazarus_pit.web.wire import Bounded

GRACE_SECONDS = 2
"""How long open answers may take to end."""
LAST_PORT = 65535


class _Quiet(uvicorn.Server):
    """A server that leaves signals to whoever runs two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def serve(
    server: Server, host: str, port: int, ready: Callable[[str], None], nexus: str = ""
) -> None:
    """Answer until SIGTERM or SIGINT.

    Args:
        server: what the routes work with.
        host: a loopback address; there is no TLS here, so nothing else is listened on.
        port: 0 lets the system pick one.
        ready: told the address when connections are accepted.
        nexus: ``HOST:PORT`` of the Nexus gateway that is told what happens; empty: none is.

    Raises:
        UsageError: the host is no loopback address, or the port is none.
        LazarusError: the port is taken; names by whom, if that is to be seen.
        WorldError: the socket cannot be made.
    """
    asyncio.run(_serve(server, host, port, ready, nexus))


async def _serve(
    server: Server, host: str, port: int, ready: Callable[[str], None], nexus: str
) -> None:
    pit = server.pit
    transit.sweep(pit)
    ring = Ring(secrets.token_hex(4))
    with _tcp(host, port) as tcp, _unix(pit) as unix:
        address = f"http://{host}:{tcp.getsockname()[1]}/"
        replace_file(pit.web_address, msgspec.json.encode({"url": address, "pid": os.getpid()}))
        publisher = (
            Publisher(f"ws://{nexus}/", os.environ.get("NEXUS_TOKEN", "")) if nexus else None
        )
        feed = Feed(pit, ring, server.words, publisher.tell if publisher else _nobody)
        app = build(server._replace(ring=ring, picture=feed.picture))
        bearer = partial(keys.bearer, pit)
        servers = [
            (_Quiet(_config(Door(app, bearer, LOOPBACK))), tcp),
            (_Quiet(_config(Door(app, bearer, None))), unix),
        ]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, _end, ring, [one for one, _ in servers])
        speaking = asyncio.create_task(publisher.run()) if publisher else None
        try:
            ready(address)
            await asyncio.gather(*(one.serve(sockets=[sock]) for one, sock in servers))
        finally:
            feed.close()
            if speaking:
                speaking.cancel()


def _nobody(_event: dict[str, Any]) -> None:
    """Hear nothing."""


def _end(ring: Ring, servers: list[_Quiet]) -> None:
    ring.close()
    for server in servers:
        server.should_exit = True


def _config(app: Door) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Bounded,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


@contextlib.contextmanager
def _tcp(host: str, port: int) -> Iterator[socket.socket]:
    if host not in ("127.0.0.1", "localhost"):
        raise UsageError(f"--host: found {host!r}, expected 127.0.0.1 or localhost")
    if not 0 <= port <= LAST_PORT:
        raise UsageError(f"--port: found {port}, expected 0 to {LAST_PORT}")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
            sock.listen()
        except OSError as error:
            holder = holder_of(port) or "somebody who is not to be seen from here"
            raise LazarusError(
                f"port {port} on {host}: {error.strerror}; it is held by {holder}; "
                "choose another: --port, or [web] in the configuration"
            ) from None
        yield sock


@contextlib.contextmanager
def _unix(pit: PitPaths) -> Iterator[socket.socket]:
    """Listen where the file's mode decides; what a killed server left there is replaced."""
    path = str(pit.web_socket)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            pit.private.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            before = os.umask(0o177)  # From its first moment nobody else may connect.
            try:
                with unix_sockets.near(path) as short:
                    sock.bind(short)
            finally:
                os.umask(before)
            sock.listen()
        except OSError as error:
            raise WorldError(f"{path}: cannot listen: {error.strerror or error}") from None
        own = os.stat(path).st_ino
        try:
            yield sock
        finally:
            with contextlib.suppress(OSError):
                if os.stat(path).st_ino == own:
                    os.unlink(path)
