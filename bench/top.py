"""What `lazarus top` costs beside a fleet that changes, and how soon a key is answered.

Usage: ``python -m bench.top [--agents 100,1000,10000] [--cell N] [--changes N] [--seconds N]``.
The fleet is real cells on disk, of ``--cell`` agents each. Their states are written by the bench
as a daemon writes them, ``--changes`` a second, each of one agent in a random cell. The view is
the real program in a terminal of 120 x 40. Processor time is the view's own, all threads. A key is
the arrow down, at random moments of the busy time; it is answered by the first bytes that follow.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import random
import re
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path
from typing import NamedTuple

from bench.meters import median, on_cpu_seconds, p99, pss_kib, remove

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.formats.manifest import Manifest, Member
from lazarus_pit.formats.state import Health, State

PATIENCE = 120.0
"""Seconds after which the bench gives up."""
CALM = 0.3
"""Seconds of silence after which a screen counts as drawn."""


class Figures(NamedTuple):
    """What one size of fleet has cost."""

    first: float
    """Seconds from the start of the program to a screen that counts every agent."""
    quiet_cpu: float
    """Part of one processor while nothing changes, in percent."""
    busy_cpu: float
    busy_bytes: float
    """Bytes a second to the terminal."""
    key_median: float
    """Milliseconds."""
    key_p99: float
    memory: float
    """PSS in MiB."""


class Fleet:
    """Cells on disk, whose states change one agent at a time."""

    def __init__(self, root: Path, agents: int, size: int) -> None:
        self._states: list[tuple[CellPaths, dict[str, Health]]] = []
        for first in range(0, agents, size):
            names = [f"agent-{n:05}" for n in range(first, min(agents, first + size))]
            members = tuple(
                Member(name=name, role=Role.DEVELOPER, command=("sleep", "1")) for name in names
            )
            wanted = Manifest(
                uuid=provision.new_uuid(),
                status=CellStatus.ACTIVE,
                mission="bench",
                name=f"cell-{first // size:04}",
                agents=members,
            )
            cell = provision.create_cell(root, wanted, provision.agent_owner())
            self._states.append((cell, {name: _health(1, "begins") for name in names}))
            self._write(self._states[-1])

    def change(self) -> str:
        """Let one agent say something else, and return that; some die, some come back."""
        cell = random.choice(self._states)
        name = random.choice(list(cell[1]))
        old = cell[1][name]
        said = f"turn {random.randrange(10**9)}"
        cell[1][name] = _health(old.generation + 1, said)
        self._write(cell)
        return said

    @staticmethod
    def _write(cell: tuple[CellPaths, dict[str, Health]]) -> None:
        paths, health = cell
        state = State(
            cell_uuid=paths.uuid, daemon_pid=1, last_poll=time.time(), agent_health=health
        )
        store.write_state(paths, state, durable=False)


def _health(generation: int, said: str) -> Health:
    phase, verdict = random.choices(
        [("running", "healthy"), ("running", "degraded"), ("escalated", "dead")], [90, 8, 2]
    )[0]
    now = time.time()
    return Health(
        healthy=verdict == "healthy",
        last_seen=now,
        phase=phase,
        verdict=verdict,
        generation=generation,
        status=said,
        pid=1 if phase == "running" else None,
        since=now,
        reason="" if phase == "running" else "attempts_exhausted",
        readings={"attempts_used": generation % 5, "attempts_max": 5, "started": now},
    )


class View:
    """The program in a terminal of ours."""

    def __init__(self, root: Path) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
        self.bytes = 0
        self._tail = b""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lazarus_pit", "top", "--root", str(root)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(theirs)
        self.pid = self._process.pid

    def read(self, seconds: float) -> bool:
        """Read what is drawn within so many seconds; whether there was anything."""
        if not select.select([self._ours], [], [], max(0.0, seconds))[0]:
            return False
        drawn = os.read(self._ours, 1 << 20)
        self.bytes += len(drawn)
        self._tail = (self._tail + drawn)[-(1 << 16) :]
        return True

    def until(self, words: bytes) -> None:
        end = time.monotonic() + PATIENCE
        while words not in re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", self._tail):
            if time.monotonic() > end:
                sys.exit(f"never drawn: {words!r}")
            self.read(1.0)

    def calm(self) -> None:
        end = time.monotonic() + PATIENCE
        while self.read(CALM) and time.monotonic() < end:
            pass

    def key(self, typed: bytes) -> float:
        """Press a key when nothing is pending, and return the seconds until it is answered."""
        while self.read(0.0):
            pass
        begin = time.monotonic()
        os.write(self._ours, typed)
        while not self.read(1.0):
            if time.monotonic() > begin + PATIENCE:
                sys.exit("a key was not answered")
        return time.monotonic() - begin

    def close(self) -> None:
        os.write(self._ours, b"q")
        while self._process.poll() is None:
            try:
                self.read(0.1)
            except OSError:
                self._process.wait(PATIENCE)
        os.close(self._ours)


def measure(root: Path, agents: int, size: int, changes: float, seconds: float) -> Figures:
    """Watch a fleet of so many agents, quiet and then busy."""
    fleet = Fleet(root, agents, size)
    begin = time.monotonic()
    view = View(root)
    view.until(f" {agents} agents".encode())
    first = time.monotonic() - begin
    view.calm()
    quiet, _, _ = _spend(view, None, 0.0, seconds, 0)
    busy, drawn, keys = _spend(view, fleet, changes, seconds, 40)
    memory = pss_kib([view.pid]) / 1024
    view.close()
    waits = [1000 * key for key in keys]
    return Figures(first, quiet, busy, drawn, median(waits), p99(waits), memory)


def _spend(
    view: View, fleet: Fleet | None, changes: float, seconds: float, keys: int
) -> tuple[float, float, list[float]]:
    """Let time go by and return percent of a processor, bytes a second, and waits for keys."""
    begin, cpu, drawn = time.monotonic(), on_cpu_seconds([view.pid]), view.bytes
    presses = sorted(random.uniform(0, seconds) for _ in range(keys))
    waits: list[float] = []
    done = 0
    while (now := time.monotonic() - begin) < seconds:
        if fleet is not None and done < now * changes:
            fleet.change()
            done += 1
        elif presses and presses[0] < now:
            presses.pop(0)
            waits.append(view.key(b"\x1b[B"))
        else:
            view.read(0.01)
    spent = time.monotonic() - begin
    used = on_cpu_seconds([view.pid]) - cpu
    return 100 * used / spent, (view.bytes - drawn) / spent, waits


def main() -> int:
    """Measure every size and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--agents", default="100,1000,10000")
    parser.add_argument("--cell", type=int, default=10)
    parser.add_argument("--changes", type=float, default=20.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    print(f"cells of {given.cell}, {given.changes:g} changes a second, {given.seconds:g} s each\n")
    heads = ("agents", "first s", "quiet %", "busy %", "kB/s", "key ms", "p99 ms", "MiB")
    print("  ".join(f"{head:>8}" for head in heads))
    for agents in map(int, given.agents.split(",")):
        place = Path(tempfile.mkdtemp(prefix="lazarus-bench-top-"))
        try:
            found = measure(place / "missions", agents, given.cell, given.changes, given.seconds)
        finally:
            remove(place)
        shown = found._replace(busy_bytes=found.busy_bytes / 1000)
        print("  ".join([f"{agents:8}", *(f"{value:8.1f}" for value in shown)]), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
