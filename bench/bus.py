"""The mission bus: mails a second through a real daemon, and from outbox to inbox alone.

Usage: ``python -m bench.bus [--senders N] [--mails N] [--samples N] [--flood N]``. Members are
people, so that nothing but mail happens. For the rate all mails are made first and then renamed
into the outboxes; the clock runs from the first rename until the last one is in its inbox, synced.
For the latency one mail at a time is renamed, after a pause, and awaited by inotify.

``--flood 100000`` does something else: one member floods another with so many mails and ten files
of 10 MB, the reader acknowledges what it gets, a third writes to a fourth now and then, and the
daemon is killed with -9 every few seconds. Each mail must come once and in its order; else the
exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.formats.envelope import parse_name
from lazarus_pit.formats.manifest import Kind, Manifest, Member
from lazarus_pit.linux import inotify

PATIENCE = 120.0
"""Seconds after which the bench gives up."""


def provisioned(root: Path, members: list[str]) -> CellPaths:
    """A cell of people."""
    agents = tuple(Member(name=name, role=Role.DEVELOPER, kind=Kind.HUMAN) for name in members)
    wanted = Manifest(
        uuid=provision.new_uuid(), status=CellStatus.ACTIVE, mission="bench", agents=agents
    )
    return provision.create_cell(root, wanted, provision.agent_owner())


def started(root: Path) -> subprocess.Popen[bytes]:
    """A daemon that watches."""
    config = root.parent / "pit.toml"
    config.write_text(
        f'[daemon]\npid_file = "{root.parent}/pid"\nlog_file = "{root.parent}/log"\n'
        f'[cells]\nroot = "{root}"\n'
    )
    argv = [sys.executable, "-m", "lazarus_pit", "up", "--alone", "--config", str(config)]
    daemon = subprocess.Popen([*argv, "--unsafe-no-sandbox"], stderr=subprocess.DEVNULL)
    until(PitPaths(root).daemon.exists, "the daemon")
    return daemon


def until(true: object, what: str) -> None:
    """Wait, looking often."""
    end = time.monotonic() + PATIENCE
    while not true():  # type: ignore[operator]
        if time.monotonic() > end:
            sys.exit(f"never seen: {what}")
        time.sleep(0.01)


def hidden(cell: CellPaths, sender: str, to: str, number: int) -> tuple[str, str]:
    """Make a mail of some 300 bytes, and return what it is called and is to be called."""
    said = {"id": f"{sender}-{number:08}", "to": to, "subject": "bench", "body": "x" * 200}
    name = f"{time.time_ns():020d}-{number:08}.json"
    path = cell.outbox(sender) / f".{name}"
    path.write_text(json.dumps(said))
    return str(path), str(path.with_name(name))


def rate(cell: CellPaths, senders: list[str], mails: int) -> float:
    """Mails a second, each sender writing to its own receiver."""
    made = [
        hidden(cell, sender, f"{sender}-reader", number)
        for number in range(mails)
        for sender in senders
    ]
    inboxes = [cell.inbox(f"{sender}-reader") for sender in senders]
    before = sum(len(os.listdir(box)) for box in inboxes)
    began = time.monotonic()
    for old, new in made:
        os.rename(old, new)
    until(
        lambda: (
            sum(not n.startswith(".") for b in inboxes for n in os.listdir(b)) >= before + len(made)
        ),
        "all mail",
    )
    return len(made) / (time.monotonic() - began)


def latencies(cell: CellPaths, sender: str, samples: int) -> list[float]:
    """Milliseconds from outbox to inbox, one mail at a time."""
    taken = []
    queue = inotify.Inotify()
    queue.add(str(cell.inbox("listener")), inotify.IN_MOVED_TO)
    for number in range(samples):
        old, new = hidden(cell, sender, "listener", 10_000_000 + number)
        time.sleep(random.uniform(0.005, 0.05))
        began = time.monotonic()
        os.rename(old, new)
        if not select.select([queue.fd], [], [], PATIENCE)[0]:
            sys.exit("never seen: a mail")
        taken.append((time.monotonic() - began) * 1000)
        queue.read()
    queue.close()
    return taken


class Reader:
    """Takes mail from one inbox as it comes, checks its order, and acknowledges it."""

    def __init__(self, cell: CellPaths, name: str) -> None:
        self.inbox, self.outbox = cell.inbox(name), cell.outbox(name)
        self.seen: set[str] = set()
        self.last = -1
        self.faults: list[str] = []

    def read(self) -> None:
        """Read all that is new and acknowledge it."""
        new = sorted(name for name in os.listdir(self.inbox) if name not in self.seen)
        new = [name for name in new if not name.startswith(".")]
        for file in new:
            number = int(parse_name(file).id.rpartition("-")[2])
            if number != self.last + 1:
                self.faults.append(f"{number} follows {self.last}")
            self.last = number
        self.seen.update(new)
        for start in range(0, len(new), 500):
            part = self.outbox / f".{time.time_ns():020d}"
            part.write_text(json.dumps({"ack": new[start : start + 500]}))
            part.rename(self.outbox / f"{part.name[1:]}-ack.json")


def flood(root: Path, cell: CellPaths, mails: int, every: float) -> int:
    """Flood under kills; return the exit code."""
    for number in range(mails):
        os.rename(*hidden(cell, "s0", "s0-reader", number))
    for number in range(10):
        (cell.outbox("s0") / f"{number:020d}-big.json").write_bytes(b"x" * 10_000_000)
    reader, calm = Reader(cell, "s0-reader"), Reader(cell, "listener")
    began, kills, sent, waits = time.monotonic(), 0, 0, []
    daemon = started(root)
    killed, asked = time.monotonic(), 0.0
    try:
        while reader.last < mails - 1 and not reader.faults and not calm.faults:
            reader.read()
            calm.read()
            if calm.last == sent - 1:
                if asked:
                    waits.append((time.monotonic() - asked) * 1000)
                asked = time.monotonic()
                os.rename(*hidden(cell, "s1", "listener", sent))
                sent += 1
            if time.monotonic() - killed > every:
                daemon.kill()
                daemon.wait()
                daemon, killed, kills = started(root), time.monotonic(), kills + 1
            time.sleep(0.02)
    finally:
        daemon.terminate()
        daemon.wait()
    took = time.monotonic() - began
    print(f"{reader.last + 1} of {mails} mails in {took:.0f} s, each once and in order; ", end="")
    print(f"{kills} kills; mail of others took {statistics.median(waits):.0f} ms in the median")
    for fault in reader.faults + calm.faults:
        print(f"FAULT: {fault}")
    return 1 if reader.faults or calm.faults else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=10)
    parser.add_argument("--mails", type=int, default=900)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--flood", type=int, default=0)
    parser.add_argument("--kill-every", type=float, default=7.0)
    wanted = parser.parse_args()
    senders = [f"s{number}" for number in range(wanted.senders)]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "missions")
        root.mkdir()
        cell = provisioned(root, [*senders, *(f"{one}-reader" for one in senders), "listener"])
        if wanted.flood:
            sys.exit(flood(root, cell, wanted.flood, wanted.kill_every))
        daemon = started(root)
        try:
            taken = sorted(latencies(cell, senders[0], wanted.samples))
            got = rate(cell, senders, wanted.mails)
        finally:
            daemon.terminate()
            daemon.wait()
    print(
        f"outbox to inbox, {len(taken)} mails: median {statistics.median(taken):.1f} ms, ", end=""
    )
    print(f"p99 {taken[int(len(taken) * 0.99) - 1]:.1f} ms")
    print(f"{wanted.senders} senders, {wanted.mails} mails each: {got:,.0f} mails/s")


if __name__ == "__main__":
    main()
