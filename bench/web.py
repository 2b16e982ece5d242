"""What the API's process costs beside a fleet that changes, and how soon a reader hears of it.

Usage: ``python -m bench.web [--agents 100,1000,10000] [--cell N] [--changes N] [--seconds N]``.
The fleet is that of ``bench.top``: real cells on disk, whose states are written as a daemon writes
them. One reader follows the stream over the unix socket. A change is heard with the first frame
that says so; the wait is from after the write. Processor time is the server's own, all threads.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

import httpx2
from bench.meters import median, on_cpu_seconds, p99, pss_kib, remove
from bench.top import Fleet

from lazarus_pit.cells.layout import PitPaths

PATIENCE = 60.0
"""Seconds after which the bench gives up."""


class Figures(NamedTuple):
    """What one size of fleet has cost."""

    whole: float
    """Milliseconds that ``GET /fleet`` takes, the median of ten."""
    kilobytes: float
    """Of that answer."""
    quiet_cpu: float
    """Part of one processor while nothing changes, in percent."""
    busy_cpu: float
    heard_median: float
    """Milliseconds from a change to its frame."""
    heard_p99: float
    memory: float
    """PSS in MiB."""


class Server:
    """One ``lazarus web serve``."""

    def __init__(self, root: Path) -> None:
        argv = [sys.executable, "-m", "lazarus_pit", "web", "serve", "--port", "0"]
        self._process = subprocess.Popen([*argv, "--root", str(root)], stdout=subprocess.PIPE)
        self.pid = self._process.pid
        if self._process.stdout is None or not self._process.stdout.readline():
            sys.exit("the server does not begin")
        self._socket = str(PitPaths(root).web_socket)

    def client(self) -> httpx2.Client:
        transport = httpx2.HTTPTransport(uds=self._socket)
        return httpx2.Client(base_url="http://pit/", transport=transport, timeout=PATIENCE)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)


class Reader:
    """Follows the stream, and notes when it has heard what."""

    def __init__(self, client: httpx2.Client) -> None:
        self.heard: dict[str, float] = {}
        self._began = threading.Event()
        threading.Thread(target=self._read, args=(client,), daemon=True).start()
        if not self._began.wait(PATIENCE):
            sys.exit("the stream does not begin")

    def _read(self, client: httpx2.Client) -> None:
        with client, client.stream("GET", "/api/v1/stream") as answer:
            for line in answer.iter_lines():
                self._began.set()
                if line.startswith("data: "):
                    now = time.monotonic()
                    for cell in json.loads(line[6:]).get("cells", ()):
                        for agent in cell["agents"]:
                            self.heard.setdefault(agent["status"], now)


def measure(root: Path, agents: int, size: int, changes: float, seconds: float) -> Figures:
    """Read a fleet of so many agents, quiet and then busy."""
    fleet = Fleet(root, agents, size)
    server = Server(root)
    try:
        with server.client() as client:
            took, size_of_it = _ask(client)
        reader = Reader(server.client())
        quiet, _ = _spend(server, None, 0.0, seconds)
        busy, written = _spend(server, fleet, changes, seconds)
        end = time.monotonic() + PATIENCE
        while list(written)[-1] not in reader.heard and time.monotonic() < end:
            time.sleep(0.01)
        # What was written over before anybody looked is not heard, and need not be.
        both = [(at, reader.heard[said]) for said, at in written.items() if said in reader.heard]
        waits = [1000 * (heard - at) for at, heard in both]
        memory = pss_kib([server.pid]) / 1024
    finally:
        server.close()
    return Figures(took, size_of_it, quiet, busy, median(waits), p99(waits), memory)


def _ask(client: httpx2.Client) -> tuple[float, float]:
    """Return milliseconds and kilobytes of an answer with everything."""
    waits, size = [], 0
    for _ in range(10):
        begin = time.monotonic()
        size = len(client.get("/api/v1/fleet").content)
        waits.append(1000 * (time.monotonic() - begin))
    return median(waits), size / 1000


def _spend(
    server: Server, fleet: Fleet | None, changes: float, seconds: float
) -> tuple[float, dict[str, float]]:
    """Let time go by; return percent of a processor, and what was written when."""
    begin, cpu = time.monotonic(), on_cpu_seconds([server.pid])
    written: dict[str, float] = {}
    while (now := time.monotonic() - begin) < seconds:
        if fleet is not None and len(written) < now * changes:
            said = fleet.change()
            written[said] = time.monotonic()
        else:
            time.sleep(0.005)
    spent = time.monotonic() - begin
    return 100 * (on_cpu_seconds([server.pid]) - cpu) / spent, written


def main() -> int:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--agents", default="100,1000,10000")
    parser.add_argument("--cell", type=int, default=10)
    parser.add_argument("--changes", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    print(f"cells of {given.cell}, {given.changes:g} changes a second, {given.seconds:g} s each\n")
    heads = ("agents", "fleet ms", "kB", "quiet %", "busy %", "heard ms", "p99 ms", "MiB")
    print("  ".join(f"{head:>8}" for head in heads))
    for agents in map(int, given.agents.split(",")):
        place = Path(tempfile.mkdtemp(prefix="lazarus-bench-web-"))
        try:
            found = measure(place / "missions", agents, given.cell, given.changes, given.seconds)
        finally:
            remove(place)
        print("  ".join([f"{agents:8}", *(f"{value:8.1f}" for value in found)]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
