"""The mission bus: mails a second through a real daemon, and from outbox to inbox alone.

Usage: ``python -m bench.bus [--senders N] [--mails N] [--samples N]``. Members are people, so that
nothing but mail happens. For the rate all mails are made first and then renamed into the outboxes;
the clock runs from the first rename until the last one is in its inbox, synced. For the latency
one mail at a time is renamed, after a pause, and awaited by inotify.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=10)
    parser.add_argument("--mails", type=int, default=900)
    parser.add_argument("--samples", type=int, default=200)
    wanted = parser.parse_args()
    senders = [f"s{number}" for number in range(wanted.senders)]
    with tempfile.TemporaryDirectory() as place:
        root = Path(place, "missions")
        root.mkdir()
        cell = provisioned(root, [*senders, *(f"{one}-reader" for one in senders), "listener"])
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
