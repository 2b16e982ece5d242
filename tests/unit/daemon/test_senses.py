"""What agents say by their sockets is heard in batches: a flood of it costs the pit little."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from lazarus_pit.cells.files import opened
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.events import Beat, Fact
from lazarus_pit.core.model import Key
from lazarus_pit.daemon.senses import DATAGRAMS_AT_ONCE, SOCKET_REST, Senses
from lazarus_pit.daemon.watch import Watch

UUID = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11"
KEY = f"{UUID}/ada"
PATIENCE = 20.0
BATCHES = 4


def test_a_socket_that_is_never_silent_is_read_now_and_then(tmp_path: Path) -> None:
    paths = CellPaths(tmp_path, UUID)
    paths.beats("ada").mkdir(parents=True)
    address = paths.notify_socket("ada")
    address.parent.mkdir(parents=True, exist_ok=True)

    async def flooded() -> list[float]:
        loop = asyncio.get_running_loop()
        heard: list[float] = []
        enough = asyncio.Event()

        def offer(_key: Key, fact: Fact) -> None:
            assert isinstance(fact, Beat)
            if not heard or loop.time() - heard[-1] >= SOCKET_REST / 2:
                heard.append(loop.time())
                count[0] = 0
            count[0] += 1
            assert count[0] <= DATAGRAMS_AT_ONCE
            speak()  # There is always one more.
            if len(heard) == BATCHES:
                enough.set()

        def speak() -> None:
            try:
                speaker.send(b"STATUS=loud")
            except BlockingIOError:
                return

        count = [0]
        watch = Watch(loop, lambda *_: None, lambda: None)
        senses = Senses(loop, watch, offer, lambda _: None)
        senses.attend(KEY, paths, "ada", 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as speaker:
            with opened(address.parent, os.O_PATH | os.O_DIRECTORY) as folder:
                speaker.connect(f"/proc/self/fd/{folder}/{address.name}")
            speak()
            await asyncio.wait_for(enough.wait(), PATIENCE)
        senses.close()
        watch.close()
        return heard

    heard = asyncio.run(flooded())
    assert heard[-1] - heard[0] >= SOCKET_REST * (BATCHES - 1) * 0.9
