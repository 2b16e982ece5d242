"""Gateways for tests: sockets that answer, refuse or swallow, and beats that are fresh."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def listening() -> Iterator[int]:
    """A port on which connections are taken."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        yield server.getsockname()[1]


@contextmanager
def refusing() -> Iterator[int]:
    """A port that is ours, so that nobody else takes it, and on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def blackholed() -> Iterator[int]:
    """A port that never answers: its backlog is full, and the kernel drops whoever else knocks."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(64):
            knocking = stack.enter_context(socket.socket())
            knocking.settimeout(0.2)
            try:
                knocking.connect(server.getsockname())
            except TimeoutError:
                break
        else:
            raise AssertionError("the backlog has no end")
        yield server.getsockname()[1]


def beat(path: Path, age: float = 0.0) -> Path:
    """Write a heartbeat of so many seconds ago."""
    path.write_text(json.dumps({"agent": "timmy", "timestamp": time.time() - age}))
    return path


GATEWAY = """
import json, os, socket, sys, time
port, beats, lives = int(sys.argv[1]), sys.argv[2], sys.argv[3]
with open(lives, "a") as file:
    file.write("%s %d\\n" % (os.environ.get("LAZARUS_GENERATION", "0"), os.getpid()))
print("a gateway begins", flush=True)
server = socket.create_server(("127.0.0.1", port))
while True:
    with open(beats + ".new", "w") as file:
        json.dump({"timestamp": time.time() + 50.0}, file)
    os.rename(beats + ".new", beats)
    time.sleep(1.0)
"""
"""A gateway of one piece: it notes its life, listens, and beats until it is killed.

Its clock goes wrong by less than what is taken for a lie: tests have no patience for an age.
"""
