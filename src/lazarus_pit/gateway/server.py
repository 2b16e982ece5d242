"""``nexus-gateway``: open the ports, run until a signal says stop, close cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any

from msgspec import structs

from lazarus_pit.errors import LazarusError, UsageError
from lazarus_pit.gateway.health import HealthPeer
from lazarus_pit.gateway.hub import Hub
from lazarus_pit.gateway.options import Options, read_options
from lazarus_pit.gateway.peer import Peer, log
from lazarus_pit.gateway.ports import fit_descriptors, listen
from lazarus_pit.gateway.shared import Shared, is_loopback

SWEEP_SECONDS = 1.0
FAREWELL_SECONDS = 0.8
"""How long clients have for the closing handshake when the gateway stops."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the program ``nexus-gateway``; ends the process with its exit status."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("websockets").setLevel(logging.ERROR)
    try:
        options = read_options(sys.argv[1:] if arguments is None else arguments, os.environ)
        asyncio.run(serve(options))
    except LazarusError as error:
        print(f"nexus-gateway: error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # Before our own signal handlers were in place.
        sys.exit(0)


async def serve(options: Options) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        UsageError: an address cannot be resolved, or is beyond loopback and there is no token.
        LazarusError: a port cannot be had.
    """
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    listeners = listen("--host", options.host, options.port, options.limits.kernel_bytes)
    port = listeners[0].getsockname()[1]
    _insist_on_token(options, listeners)
    health_listeners = listen("--health-host", options.health_host, options.health_port)
    health_port = health_listeners[0].getsockname()[1]

    limits = fit_descriptors(options.limits)
    hub = Hub(limits, lambda room: loop.call_soon(hub.flush, room))
    shared = Shared(hub, options.door, limits)
    started = loop.time()
    askers: set[HealthPeer] = set()

    def facts() -> dict[str, Any]:
        return {
            "status": "ok",
            "service": "nexus-gateway",
            "uptime_seconds": round(loop.time() - started, 3),
            "connected_clients": shared.seated,
            "ws_port": port,
            "ts": time.time(),
            "rooms": len(hub.rooms),
            **structs.asdict(hub.tally),
        }

    servers = [await loop.create_server(lambda: Peer(shared), sock=s) for s in listeners]
    servers += [
        await loop.create_server(lambda: HealthPeer(askers, facts, loop), sock=s)
        for s in health_listeners
    ]
    print(  # noqa: T201 - who started us waits for this line
        f"nexus-gateway listens on ws://{_shown(options.host)}:{port}/ ; "
        f"health on http://{_shown(options.health_host)}:{health_port}/health",
        flush=True,
    )
    await _sweep_until(stop, shared)
    for server in servers:
        server.close()
    await _say_farewell(shared, askers)


def _insist_on_token(options: Options, listeners: list[socket.socket]) -> None:
    open_to = [
        name for name in (sock.getsockname()[0] for sock in listeners) if not is_loopback(name)
    ]
    if not open_to:
        return
    if not options.door.token:
        for sock in listeners:
            sock.close()
        raise UsageError(
            f"--host {options.host} is open to other machines ({', '.join(open_to)}); "
            "a token is required there: --token-file FILE or NEXUS_TOKEN"
        )
    log.warning("token and messages travel in clear on %s", ", ".join(open_to))


async def _sweep_until(stop: asyncio.Event, shared: Shared) -> None:
    while not stop.is_set():
        try:
            await asyncio.wait_for(stop.wait(), SWEEP_SECONDS)
        except TimeoutError:
            now = shared.loop.time()
            for peer in list(shared.peers):
                peer.sweep(now)


async def _say_farewell(shared: Shared, askers: set[HealthPeer]) -> None:
    for peer in list(shared.peers):
        peer.farewell()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(shared.deserted.wait(), FAREWELL_SECONDS)
    for peer in list(shared.peers):
        peer.transport.abort()
    for asker in list(askers):
        asker.transport.abort()
    await asyncio.sleep(0)


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


if __name__ == "__main__":
    main()
