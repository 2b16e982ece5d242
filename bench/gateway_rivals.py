"""The hubs that the gateway is measured beside: the shortest that each library's guide suggests.

    python -m bench.gateway_rivals NAME PORT

All take messages from one client and give them to every other, with neither compression nor limits.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

NODE_HUB = """
const { WebSocketServer, WebSocket } = require("ws");
const hub = new WebSocketServer({
  host: "127.0.0.1", port: +process.argv[1], perMessageDeflate: false, backlog: 1024,
});
hub.on("connection", (client) => {
  client.on("error", () => {});
  client.on("message", (data, binary) => {
    for (const other of hub.clients)
      if (other !== client && other.readyState === WebSocket.OPEN) other.send(data, { binary });
  });
});
"""

GATEWAY_FLAGS = ("--messages-per-second", "0", "--bytes-per-second", "0", "--health-port", "0")


async def websockets_broadcast(port: int) -> None:
    from websockets.asyncio.server import ServerConnection, broadcast, serve  # noqa: PLC0415

    clients: set[ServerConnection] = set()

    async def talk(client: ServerConnection) -> None:
        clients.add(client)
        try:
            async for message in client:
                broadcast(clients - {client}, message)
        finally:
            clients.discard(client)

    async with serve(talk, "127.0.0.1", port, compression=None, backlog=1024) as server:
        await server.serve_forever()


async def websockets_gather(port: int) -> None:
    from websockets.asyncio.server import ServerConnection, serve  # noqa: PLC0415

    clients: set[ServerConnection] = set()

    async def talk(client: ServerConnection) -> None:
        clients.add(client)
        try:
            async for message in client:
                others = [other.send(message) for other in clients if other is not client]
                await asyncio.gather(*others, return_exceptions=True)
        finally:
            clients.discard(client)

    async with serve(talk, "127.0.0.1", port, compression=None, backlog=1024) as server:
        await server.serve_forever()


async def starlette(port: int) -> None:
    # Loaded here alone, so that no other rival pays for them.
    import starlette.applications as app  # noqa: PLC0415
    import starlette.routing as routing  # noqa: PLC0415, PLR0402
    import uvicorn  # noqa: PLC0415

    clients: set[Any] = set()

    async def talk(client: Any) -> None:
        await client.accept()
        clients.add(client)
        try:
            while (event := await client.receive())["type"] == "websocket.receive":
                for other in list(clients):
                    if other is not client:
                        await other.send_text(event["text"])
        finally:
            clients.discard(client)

    config = uvicorn.Config(
        app.Starlette(routes=[routing.WebSocketRoute("/", talk)]),
        port=port,
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_level="error",
        backlog=1024,
    )
    await uvicorn.Server(config).serve()


PROGRAMS: dict[str, Callable[[int], Any]] = {
    "websockets broadcast": websockets_broadcast,
    "websockets gather": websockets_gather,
    "uvicorn+starlette": starlette,
}


def commands(port: int) -> dict[str, list[str]]:
    """Give the command that starts each hub that can run here, ours first."""
    found = {
        "nexus-gateway": [
            *(sys.executable, "-m", "lazarus_pit.gateway.server"),
            *("--host", "127.0.0.1", "--port", str(port), *GATEWAY_FLAGS),
        ]
    }
    for name in PROGRAMS:
        if name != "uvicorn+starlette" or importlib.util.find_spec("uvicorn"):
            found[name] = [sys.executable, "-m", "bench.gateway_rivals", name, str(port)]
    node = shutil.which("node")
    if (
        node
        and not subprocess.run(
            [node, "-e", "require('ws')"], check=False, capture_output=True, env=os.environ
        ).returncode
    ):
        found["npm ws"] = [node, "-e", NODE_HUB, str(port)]
    return found


if __name__ == "__main__":
    asyncio.run(PROGRAMS[sys.argv[1]](int(sys.argv[2])))
