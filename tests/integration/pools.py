"""A real pool on a root of its own, with gateways that it may bring to life."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import far
from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.formats.journal import Event
from lazarus_pit.records import approvals
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.database import opened_records

PATIENCE = 60.0
QUICK: dict[str, Any] = {
    "poll_interval": 0.1,
    "dead_threshold": 0.2,
    "probe_timeout": 5.0,
    "start_timeout": 30.0,
    "approval_timeout": 600.0,
}


class FarPool:
    """One pool. Everything that it starts ends with the block."""

    def __init__(self, root: Path, **settings: Any) -> None:
        self.place = root
        self.pit = PitPaths(root / "root")
        self.config = root / "pool.json"
        self.log = root / "pool.log"
        self.settings = {**QUICK, "gateways": [], "missions": {}, **settings}
        self.process: subprocess.Popen[bytes] | None = None
        self._stack = contextlib.ExitStack()
        self._count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill9()
        for life in self.all_lives():
            with contextlib.suppress(ProcessLookupError):
                os.kill(life, signal.SIGKILL)
        self._stack.close()

    # ------------------------------------------------------------ gateways

    def add(self, name: str, policy: str | None, **more: Any) -> dict[str, Any]:
        """Add a gateway that is dead, and that its command would bring to life."""
        self._count += 1
        number = self._count
        port = self._stack.enter_context(_reserved())
        beats, lives = (str(self.place / f"{number}.{word}") for word in ("beats", "lives"))
        mark = f"far-{os.getpid()}-{number}-{self.place.name}-end"
        gateway = {
            "name": name,
            "host": "127.0.0.1",
            "port": port,
            "heartbeat_path": beats,
            "process_pattern": mark,
            "revive_cmd": [sys.executable, "-c", far.GATEWAY, str(port), beats, lives, mark],
            **more,
        }
        self.settings["gateways"].append(gateway)
        if policy is not None:
            mission = {"label": "m", "agents": [name], "revive_policy": policy}
            self.settings["missions"][str(number)] = mission
        return gateway

    def lives(self, number: int = 1) -> list[tuple[int, int]]:
        """Every life of a gateway: the generation it was started with, and its pid."""
        path = self.place / f"{number}.lives"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(int(line.split()[0]), int(line.split()[1])) for line in lines]

    def all_lives(self) -> list[int]:
        return [pid for n in range(1, self._count + 1) for _, pid in self.lives(n)]

    # ------------------------------------------------------------ the pool

    def argv(self, *flags: str) -> list[str]:
        self.config.write_text(json.dumps(self.settings))
        where = ["--config", str(self.config), "--root", str(self.pit.root)]
        return [sys.executable, "-m", "lazarus_pit.cli.pool", *where, *flags]

    def run(self, *flags: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.argv(*flags), capture_output=True, text=True, check=False)

    def once_until(self, true: Callable[[], object]) -> None:
        """Sweep as a timer would."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, self.told()
            self.run("--once")

    def start(self) -> FarPool:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(self.argv(), stdout=out, stderr=out)
        pid = self.process.pid
        self.wait(lambda: f"{pid} watches" in self.log.read_text(), "the pool watches")
        return self

    def kill9(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    # ------------------------------------------------------------ people

    def lazarus(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "lazarus_pit", "--root", str(self.pit.root), *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False)

    def requests(self) -> list[Request]:
        if not self.pit.records.exists():
            return []
        with opened_records(self.pit.records) as db:
            return approvals.everything(db)

    def events(self) -> list[Event]:
        if not self.pit.events.exists():
            return []
        lines = list(read_events(self.pit.events))
        assert all(line.event for line in lines), "a line that is no event"
        return [line.event for line in lines if line.event]

    def told(self, agent: str | None = None) -> list[str]:
        return [one.event for one in self.events() if agent in (None, one.agent)]

    def wait(self, true: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not true():
            said = self.log.read_text() if self.log.exists() else ""
            assert time.monotonic() < end, f"never seen: {what}\n{said}"
            assert self.process is None or self.process.poll() is None, said
            time.sleep(0.01)


@contextlib.contextmanager
def _reserved() -> Iterator[int]:
    """A port that is nobody else's, and that a gateway may listen on all the same."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
