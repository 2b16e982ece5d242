"""What runs beside the daemon: channels, a pool, gateway and API, each a process of its own.

The daemon supervises whether they run or not. They end with it, however it ends; one that ends by
itself is started again after a delay that grows, and why it ended is told once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.config import Config
from lazarus_pit.core.events import Told
from lazarus_pit.formats.text import one_line

FIRST_SECONDS, LAST_SECONDS = 0.5, 60.0
"""The first delay before another try, and the longest; each is twice the one before."""
STEADY_SECONDS = 30.0
"""A companion that ran for so long begins with the first delay again."""
PATIENCE = 0.5
"""Seconds in which companions may end, all together; then they are killed, as they can bear.

The daemon has to be gone within a second of its order (contract 2.8).
"""
_LAST_WORDS = 2000
"""Bytes of its log in which the reason is looked for."""
_LOG_BYTES = 1024 * 1024
"""A longer log begins anew at the next start."""

log = logging.getLogger(__name__)


def wanted(config: Config, *, alone: bool = False) -> dict[str, list[str]]:
    """Return the command line of each companion that the configuration enables.

    ``alone`` leaves out those that only show or relay; what watches and asks is always there.
    """
    python = [sys.executable, "-P", "-m"]
    gateway, web = config.gateway, config.web
    found = {}
    if config.pool.gateways:
        at = ["--config", str(config.path.absolute()), "--root", str(config.root)]
        found["resurrection-pool"] = [*python, "lazarus_pit.cli.pool", *at]
    if config.reaches_people:
        at = ["--root", str(config.root)]
        at += ["--config", str(config.path.absolute())] if config.found else []
        found["channels"] = [*python, "lazarus_pit", "channel", "serve", *at]
    if gateway.enabled and not alone:
        at = ["--host", gateway.host, "--port", str(gateway.port)]
        health = ["--health-host", gateway.health_host, "--health-port", str(gateway.health_port)]
        found["nexus-gateway"] = [*python, "lazarus_pit.gateway.server", *at, *health]
    if web.enabled and not alone:
        at = ["--host", web.host, "--port", str(web.port), "--root", str(config.root)]
        at += ["--config", str(config.path.absolute())] if config.found else []
        if gateway.enabled and gateway.events and gateway.port:
            host = f"[{gateway.host}]" if ":" in gateway.host else gateway.host
            at += ["--nexus", f"{host}:{gateway.port}"]
        found["web"] = [*python, "lazarus_pit", "web", "serve", *at]
    return found


class _Companion:
    """One of them: what it is now, and when it is tried again."""

    def __init__(self, argv: list[str]) -> None:
        self.argv = argv
        self.process: subprocess.Popen[bytes] | None = None
        self.pidfd = -1
        self.began = 0.0
        self.delay = FIRST_SECONDS
        self.retry: asyncio.TimerHandle | None = None
        self.told = ""


class Companions:
    """Keeps each of them running, one process at a time, until closed."""

    def __init__(
        self,
        aio: asyncio.AbstractEventLoop,
        pit: PitPaths,
        commands: Mapping[str, list[str]],
        tell: Callable[[Told], None],
    ) -> None:
        """Start nothing yet."""
        self._aio = aio
        self._pit = pit
        self._tell = tell
        self._all = {name: _Companion(argv) for name, argv in commands.items()}

    def begin(self) -> None:
        """Start them all."""
        for name in self._all:
            self._start(name)

    def close(self) -> None:
        """End them all, politely as far as there is time."""
        living = []
        for one in self._all.values():
            if one.retry is not None:
                one.retry.cancel()
            if one.process is not None:
                self._aio.remove_reader(one.pidfd)
                os.close(one.pidfd)
                one.process.terminate()
                living.append(one.process)
                one.process = None
        deadline = self._aio.time() + PATIENCE
        for process in living:
            try:
                process.wait(max(0.0, deadline - self._aio.time()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, name: str) -> None:
        one = self._all[name]
        one.retry = None
        one.began = self._aio.time()
        tie = [sys.executable, "-P", "-m", "lazarus_pit.daemon.tied", str(os.getpid())]
        try:
            with self._pit.companion_log(name).open("ab") as said:
                if said.tell() > _LOG_BYTES:
                    said.truncate(0)
                # Its output is ours: the login link is for whoever typed `lazarus up`.
                one.process = subprocess.Popen(
                    [*tie, *one.argv], stdin=subprocess.DEVNULL, stderr=said
                )
            one.pidfd = os.pidfd_open(one.process.pid)
        except OSError as error:
            if one.process is not None:  # It runs, but nobody would see it end.
                one.process.kill()
                one.process.wait()
                one.process = None
            self._lost(name, f"it cannot be started: {error.strerror}")
            return
        self._aio.add_reader(one.pidfd, self._ended, name)
        log.info("%s begins: pid %d", name, one.process.pid)

    def _ended(self, name: str) -> None:
        one = self._all[name]
        self._aio.remove_reader(one.pidfd)
        os.close(one.pidfd)
        code = one.process.wait() if one.process is not None else 0
        one.process = None
        if self._aio.time() - one.began >= STEADY_SECONDS:
            one.delay, one.told = FIRST_SECONDS, ""
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        self._lost(name, how if code < 0 else self._last_words(name) or how)

    def _lost(self, name: str, why: str) -> None:
        one = self._all[name]
        if why != one.told:
            one.told = why
            self._tell(Told(event="companion_lost", data={"name": name, "why": why}))
            with contextlib.suppress(OSError):  # Whoever typed `lazarus up` waits for its link.
                sys.stderr.write(f"lazarus: {name} does not run: {why}\n")
                sys.stderr.flush()
        one.retry = self._aio.call_later(one.delay, self._start, name)
        one.delay = min(one.delay * 2, LAST_SECONDS)

    def _last_words(self, name: str) -> str:
        """Return the last line of what it complained about."""
        with contextlib.suppress(OSError), self._pit.companion_log(name).open("rb") as said:
            end = said.seek(0, os.SEEK_END)
            said.seek(max(0, end - _LAST_WORDS))
            lines = said.read().decode("utf-8", "replace").split("\n")
            return next((one_line(line, 300) for line in reversed(lines) if line.strip()), "")
        return ""
