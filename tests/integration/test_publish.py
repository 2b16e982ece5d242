"""The pit's events in the Nexus hub: heard by its clients, never a flood, and after a new start."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_now

import nexus
from integration.pit import PATIENCE, Pit
from integration.website import website
from lazarus_pit.web.publish import FRAME_BYTES, Pace, Publisher, frame

TOKEN = "a-token-of-some-length"  # noqa: S105 - of a hub of this test


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@contextmanager
def hub(port: int) -> Iterator[nexus.Gateway]:
    with nexus.running("--port", str(port), environment={"NEXUS_TOKEN": TOKEN}) as gateway:
        yield gateway


async def heard(gateway: nexus.Gateway, count: int) -> list[dict[str, Any]]:
    """Return the first messages of the hub, those from before included."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"{gateway.url}?replay=1000"
    async with connect(url, additional_headers=headers, proxy=None) as client:
        async with asyncio.timeout(PATIENCE):
            return [json.loads(await client.recv()) for _ in range(count)]


def happened(number: int) -> dict[str, Any]:
    return {"ts": "2026-04-06T00:00:00Z", "event": "agent_died", "seq": number}


def test_clients_hear_what_happens_in_a_cell(tmp_path: Path) -> None:
    pit = Pit(tmp_path)
    cell = pit.cell(name="pond")
    with nexus.running() as gateway:
        address = f"127.0.0.1:{gateway.port}"
        with (
            website(pit, "--nexus", address),
            connect_now(gateway.url, proxy=None) as client,
        ):
            nexus.eventually(lambda: gateway.health()["connected_clients"] == 2, PATIENCE)
            pit.spawn(cell, "scribe", "true")
            said = json.loads(client.recv(PATIENCE))
    assert said["type"] == "lazarus.event"
    assert said["event"]["event"] == "agent_joined"
    assert (said["event"]["cell"], said["event"]["agent"]) == (cell.uuid, "scribe")
    assert said["event"]["sentence"] == "scribe joined as developer"


def test_a_hub_that_comes_late_or_again_hears_the_newest() -> None:
    async def run() -> None:
        port = free_port()
        publisher = Publisher(f"ws://127.0.0.1:{port}/", TOKEN, Pace(waiting=10))
        speaking = asyncio.create_task(publisher.run())
        for number in range(100):
            publisher.tell(happened(number))
            publisher.tell({"event": "heartbeat"})
        with hub(port) as first:
            said = await heard(first, 11)
        assert said[0] == {"type": "lazarus.gap", "dropped": 90}
        assert [one["event"]["seq"] for one in said[1:]] == list(range(90, 100))
        with hub(port) as second:
            publisher.tell(happened(100))
            assert (await heard(second, 1))[0]["event"]["seq"] == 100
        speaking.cancel()

    asyncio.run(run())


def test_a_flood_is_not_passed_on() -> None:
    async def run() -> None:
        with hub(free_port()) as gateway:
            pace = Pace(per_second=1000.0, burst=5, waiting=8)
            publisher = Publisher(gateway.url, TOKEN, pace)
            speaking = asyncio.create_task(publisher.run())
            publisher.tell(happened(0))
            await heard(gateway, 1)
            for number in range(1, 5001):
                publisher.tell(happened(number))
            said = await heard(gateway, 10)
            speaking.cancel()
        dropped = sum(one.get("dropped", 0) for one in said)
        seen = [one["event"]["seq"] for one in said if "event" in one]
        assert dropped + len(seen) == 5001
        assert seen[-1] == 5000

    asyncio.run(run())


def test_a_line_that_is_too_long_is_said_without_its_details() -> None:
    long = {**happened(1), "sentence": "it died", "why": "x" * FRAME_BYTES}
    said = json.loads(frame(long))
    assert said == {
        "type": "lazarus.event",
        "event": {**happened(1), "sentence": "it died"},
        "is_cut": True,
    }


def test_an_address_that_is_none_is_said(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "lazarus_pit", "web", "serve", "--nexus", "ws://x/y"]
    done = subprocess.run(
        [*argv, "--root", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "expected HOST:PORT" in done.stderr) == (2, True)
