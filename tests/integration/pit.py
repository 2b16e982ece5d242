"""A real daemon on a root of its own: started, killed and asked as people do."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.config import IN_CELLS
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Manifest, Member
from lazarus_pit.formats.state import Health
from lazarus_pit.linux import inotify

PATIENCE = 60.0
"""Seconds after which a test gives up; never how long something should take."""
QUICK: dict[str, Any] = {
    "heartbeat_stale_threshold": 0.6,
    "resurrect_after": 1.2,
    "start_timeout": 20.0,
    "min_uptime": 0.05,
    "backoff_initial": 0.05,
    "backoff_max": 0.2,
    "kill_grace": 0.2,
    "stop_timeout": 1.0,
    "max_revive_attempts": 1000,
}

ASKING: dict[str, Any] = {
    "revive_policy": "ask",
    "heartbeat_stale_threshold": 20.0,
    "resurrect_after": 40.0,
}
"""People are asked, and only about who ends by itself: no late beat on a busy machine counts."""


class Pit:
    """One root and its daemon."""

    def __init__(self, root: Path, *, unsafe: bool = False, **rules: Any) -> None:
        self.root = root / "missions"
        self.config = root / "pit.toml"
        self.log = root / "pit.log"
        self.unsafe = unsafe
        self.owner = provision.agent_owner()
        self.beside = False
        """Whether the gateway and the page run beside the daemon."""
        self.within: tuple[str, ...] = ()
        """A command that becomes the daemon."""
        self.process: subprocess.Popen[bytes] | None = None
        wanted = {**QUICK, **rules}
        cells = "".join(f"{k} = {json.dumps(wanted.pop(k))}\n" for k in IN_CELLS)
        lines = "".join(f"{k} = {json.dumps(v)}\n" for k, v in wanted.items())
        self.config.write_text(
            f'[daemon]\npid_file = "{root}/pit.pid"\nlog_file = "{self.log}"\nlog_level = "INFO"\n'
            f'[cells]\nroot = "{self.root}"\npoll_interval = 1\n{cells}[rules]\n{lines}'
        )

    # ------------------------------------------------------------ the daemon

    def start(self, **options: Any) -> Pit:
        argv = [*self.within, sys.executable, "-m", "lazarus_pit", "up"]
        argv += ["--config", str(self.config)]
        argv += ["--alone"] * (not self.beside)
        argv += ["--unsafe-no-sandbox"] * self.unsafe
        with (self.root.parent / "pit.out").open("ab") as out:
            self.process = subprocess.Popen(argv, stdout=out, stderr=out, **options)
        report = PitPaths(self.root).daemon
        pid = str(self.process.pid)
        self.wait(lambda: report.exists() and f'"pid": {pid}' in report.read_text(), "daemon up")
        return self

    def kill9(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def close(self) -> None:
        """End every agent through the daemon, then the daemon."""
        if self.process is None or self.process.poll() is not None:
            self.start()
        for paths in self.cells():
            with contextlib.suppress(Exception):
                provision.move_cell(paths, CellStatus.ARCHIVED)
        gone = ("stopped", "exited", "escalated", "")
        for paths in self.cells():
            self.wait(partial(self._all_in, paths, gone), "all stopped")
        self.stop()

    def _all_in(self, cell: CellPaths, phases: tuple[str, ...]) -> bool:
        return all(health.phase in phases for health in self.health(cell).values())

    # ------------------------------------------------------------ what people do

    def cell(self, **fields: Any) -> CellPaths:
        manifest = Manifest(
            uuid=provision.new_uuid(), status=CellStatus.ACTIVE, mission="test", **fields
        )
        self.root.mkdir(parents=True, exist_ok=True)
        return provision.create_cell(self.root, manifest, self.owner)

    def spawn(self, cell: CellPaths, name: str, *argv: str, **fields: Any) -> None:
        role = fields.pop("role", Role.DEVELOPER)
        member = Member(name=name, role=role, command=argv, **fields)
        provision.add_member(cell, member, self.owner)

    def want(self, cell: CellPaths, name: str, **fields: Any) -> None:
        def change(old: Manifest) -> Manifest:
            members = tuple(replace(m, **fields) if m.name == name else m for m in old.agents)
            return replace(old, agents=members)

        store.update_manifest(cell, change)

    # ------------------------------------------------------------ what people see

    def cells(self) -> list[CellPaths]:
        return [
            CellPaths(self.root, entry.parent.name)
            for entry in self.root.glob("*/cell.json")
            if not entry.parent.name.startswith(".")
        ]

    def health(self, cell: CellPaths) -> dict[str, Health]:
        state = store.read_state(cell)
        return state.agent_health if state else {}

    def events(self, cell: CellPaths, name: str = "", agent: str = "") -> list[Event]:
        lines = read_events(cell.events)
        return [
            line.event
            for line in lines
            if line.event
            and (not name or line.event.event == name)
            and (not agent or line.event.agent == agent)
        ]

    def wait_event(
        self, cell: CellPaths, name: str, agent: str = "", *, count: int = 1, **data: Any
    ) -> Event:
        def found() -> Event | None:
            hits = [
                event
                for event in self.events(cell, name, agent)
                if all(event.data.get(k) == v for k, v in data.items())
            ]
            return hits[count - 1] if len(hits) >= count else None

        event: Event = self.wait(found, f"{count} x {name} {agent} {data}")
        return event

    def wait(self, found: Callable[[], Any], what: str) -> Any:
        """Wait until something is found; the root is watched, so that nothing is slept through."""
        deadline = time.monotonic() + PATIENCE
        with _watching([self.root, *(p.logs for p in self.cells()), *self._privates()]) as queue:
            while True:
                if result := found():
                    return result
                if time.monotonic() > deadline:
                    raise AssertionError(f"never seen: {what}\n{self._story()}")
                select.select([queue.fd], [], [], 0.25)
                queue.read()

    def _privates(self) -> list[Path]:
        return [p.private for p in self.cells()] + [PitPaths(self.root).private]

    def _story(self) -> str:
        log = self.log.read_text()[-4000:] if self.log.exists() else ""
        out = (self.root.parent / "pit.out").read_text()[-3000:]
        journals = "\n".join(p.events.read_text()[-3000:] for p in self.cells())
        return f"--- log\n{log}\n--- out\n{out}\n--- events\n{journals}"


@contextlib.contextmanager
def _watching(paths: list[Path]) -> Iterator[inotify.Inotify]:
    queue = inotify.Inotify()
    try:
        for path in paths:
            if path.is_dir():
                queue.add(str(path), inotify.IN_MODIFY | inotify.IN_MOVED_TO | inotify.IN_CREATE)
        yield queue
    finally:
        queue.close()


def processes(marker: str, cell: CellPaths | None = None) -> list[int]:
    """Pids of living processes that carry a marker in their command line or environment.

    Whoever ends them names their ``cell``: another suite may run beside this one.
    """
    found = []
    wanted = (marker, cell.uuid) if cell else (marker,)
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            if all(word.encode() in said for word in wanted):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX" and int(entry.name) != os.getpid():
                    found.append(int(entry.name))
        except OSError:
            continue
    return found


def send(pid: int, number: signal.Signals) -> None:
    os.kill(pid, number)
