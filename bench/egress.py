"""What network mode ``allow`` costs: a start, a request through the proxy, and much data.

Usage: ``python -m bench.egress [--runs N]``. The proxy is the pit's own, as a process; the host
that is reached is on loopback, so that only the way differs. Ways are tried in turn in an order
drawn anew each round.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from bench.sandbox import AGENT, Cell
from msgspec.structs import replace

from lazarus_pit.linux import unix_sockets
from lazarus_pit.sandboxes import choose, lives
from lazarus_pit.sandboxes.base import Network
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap
from lazarus_pit.sandboxes.egress.messages import MAX_BYTES, Hello, Take, encode
from lazarus_pit.sandboxes.egress.start import start_proxy

PAGE = b"x" * 1024
MUCH = 256 << 20
"""Bytes of one large transfer."""


@contextlib.contextmanager
def proxy(place: str) -> Iterator[tuple[str, int]]:
    """The proxy: its control socket, and its pid."""
    path = f"{place}/control"
    pid = start_proxy(path, f"{place}/log")
    with unix_sockets.connect(path, 30) as daemon:
        daemon.send(encode(Hello()))
        daemon.recv(MAX_BYTES)
        yield path, pid
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)


def served(path: str, port: int) -> int:
    """Have the proxy serve this very process, and return the port where it does."""
    listener = socket.create_server(("127.0.0.1", 0))
    take = Take(key="bench/a", agent="a", generation=1, allow=(f"127.0.0.1:{port}",), forward=())
    pidfd = os.pidfd_open(os.getpid())
    with unix_sockets.connect(path, 30) as line, listener:
        socket.send_fds(line, [encode(take)], [pidfd, listener.fileno()])
        line.recv(MAX_BYTES)
        os.close(pidfd)
        return int(listener.getsockname()[1])


def host() -> int:
    """A server that answers ``p`` with a page and ``m`` with much; return its port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)

    def answer(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            much = connection.recv(1) == b"m"
            for _ in range(MUCH >> 20 if much else 1):
                connection.sendall(bytes(1 << 20) if much else PAGE)

    def serve() -> None:
        while True:
            threading.Thread(target=answer, args=[listener.accept()[0]], daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return int(listener.getsockname()[1])


def fetch(door: int, port: int, what: bytes) -> float:
    """Seconds to get something from the host, on a new connection through a door or directly."""
    began = time.perf_counter()
    room = bytearray(1 << 20)
    with socket.create_connection(("127.0.0.1", door)) as connection:
        if door != port:
            connection.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
            if b" 200 " not in connection.recv(4096):
                raise SystemExit("the proxy refused")
        connection.sendall(what)
        while connection.recv_into(room):
            pass
    return time.perf_counter() - began


def start(sandbox: Bubblewrap, cell: Cell, network: Network, path: str) -> float:
    """Seconds from the order to start ``true`` to its end."""
    launch = cell.launch(["true"], AGENT if os.geteuid() == 0 else None)
    began = time.perf_counter()
    life = sandbox.spawn(replace(launch, network=network, proxy=path, allow=("a.example",)))
    os.waitpid(life.pid, 0)
    spent = time.perf_counter() - began
    lives.clean(life)
    return spent


def compare(
    ways: Mapping[str, Callable[[], float]], runs: int, show: Callable[[float], str]
) -> None:
    """Try all ways in turn, and print the median and quartiles of each."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(runs):
        for name in random.sample(list(ways), len(ways)):
            taken[name].append(ways[name]())
    for name, seconds in taken.items():
        low, middle, high = statistics.quantiles(seconds, n=4)
        print(f"  {name:24} {show(middle)}   (quartiles {show(low)} to {show(high)})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    runs = parser.parse_args().runs
    bwrap, notes = find_bwrap()
    with tempfile.TemporaryDirectory(dir="/tmp") as place, proxy(place) as (path, pid):
        Path(place).chmod(0o755)
        port = host()
        door = served(path, port)
        doors = (("direct", port), ("proxy", door))
        print(f"a connection, and 1 KiB, {runs} runs:")
        ways = {name: partial(fetch, at, port, b"p") for name, at in doors}
        compare(ways, runs, lambda s: f"{s * 1e3:.2f} ms")
        print(f"{MUCH >> 20} MiB, {max(5, runs // 20)} runs:")
        ways = {name: partial(fetch, at, port, b"m") for name, at in doors}
        compare(ways, max(5, runs // 20), lambda s: f"{(MUCH >> 20) / s:.0f} MiB/s")
        if bwrap is None:
            print("no bubblewrap:", "; ".join(notes))
            return
        cell = Cell(Path(tempfile.mkdtemp(dir=place)))
        cell.base.chmod(0o755)
        sandbox = Bubblewrap(bwrap, choose.scratch_directory(), None)
        print(f"start to end of true, {runs} runs:")
        modes: tuple[Network, ...] = ("none", "host", "allow")
        starts = {f"network {m}": partial(start, sandbox, cell, m, path) for m in modes}
        compare(starts, runs, lambda s: f"{s * 1e3:.1f} ms")
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        pss = next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:"))
        print(f"the proxy's memory afterwards: {int(pss) / 1024:.1f} MiB PSS")


if __name__ == "__main__":
    main()
