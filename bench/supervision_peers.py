"""The supervisors of Debian that the pit is measured beside: supervisord, runit and s6.

Each is set up as its own manual says is fastest for one job: keep N copies of the agent running,
restart each whenever it ends, for ever. runit and s6 are given the agent itself as ``run``, so
that no shell stands in between; s6 restarts at once only what announces its readiness, so the
agent does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import ClassVar

from bench.agents import Ear, Program
from bench.meters import Account, supervisors

STOP_SECONDS = 60.0


class Supervisor:
    """One supervisor that runs N agents, and how it is started and stopped."""

    name: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ()
    """Programs without which it cannot be measured."""
    rounds: ClassVar[int] = 1_000_000
    """At most so many single kills: for those that take a second for each."""

    def __init__(self, directory: Path, agent: Program, count: int) -> None:
        """Set ``count`` agents up below a directory; nothing is started yet."""
        self.directory = directory
        self.agent = agent
        self.count = count
        directory.mkdir(parents=True)
        self.ear = Ear(directory / "ear")
        self.account = Account(f"{self.name.replace(' ', '-')}-{count}")
        self.process: subprocess.Popen[bytes] | None = None
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "BENCH_SOCKET": str(self.ear.path),
        }

    @classmethod
    def missing(cls) -> list[str]:
        return [name for name in cls.needs if shutil.which(name) is None]

    def agents(self) -> list[str]:
        """The agents' names, as they call themselves."""
        return [f"a{number}" for number in range(self.count)]

    def prepare(self) -> None:
        """Write what the supervisor reads."""
        raise NotImplementedError

    def command(self) -> list[str]:
        """The command that runs it in the foreground."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it; agents begin in their own time."""
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self.account.argv(self.command()),
                env=self.env,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def root(self) -> int:
        assert self.process is not None
        return self.process.pid

    def runs(self) -> bool:
        """Whether the supervisor itself has not ended."""
        return self.process is not None and self.process.poll() is None

    def own(self) -> list[int]:
        """Its own processes."""
        return supervisors(self.root, str(self.agent.file))

    def seconds(self) -> float:
        """Processor time charged to it until now."""
        return self.account.seconds(self.root, str(self.agent.file))

    def stop(self) -> None:
        """End the supervisor and then every agent: nothing is left behind."""
        if self.process is None:
            return
        below = self.own()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        for pid in [*below[1:], *self.ear.pids.values(), *self.account.pids()]:
            if pid > 0:
                _kill(pid)
        deadline = time.monotonic() + STOP_SECONDS
        while self.account.pids() and time.monotonic() < deadline:
            self.ear.hear(0.02)
            for pid in self.account.pids():
                _kill(pid)
        self.account.close()
        self.ear.close()


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Runit(Supervisor):
    """runit: one ``runsv`` an agent, started by ``runsvdir`` (which takes at most 1,000)."""

    name = "runit"
    needs = ("runsvdir", "runsv")

    def prepare(self) -> None:
        for name in self.agents():
            service = self.directory / "services" / name
            service.mkdir(parents=True)
            os.link(self.agent.file, service / "run")

    def command(self) -> list[str]:
        return ["runsvdir", str(self.directory / "services")]


class S6(Supervisor):
    """s6: one ``s6-supervise`` an agent, started by ``s6-svscan``."""

    name = "s6"
    needs = ("s6-svscan", "s6-supervise")

    def prepare(self) -> None:
        self.env["BENCH_READY_FD"] = "3"
        for name in self.agents():
            service = self.directory / "services" / name
            service.mkdir(parents=True)
            os.link(self.agent.file, service / "run")
            (service / "notification-fd").write_text("3\n")

    def command(self) -> list[str]:
        return ["s6-svscan", "-c", str(self.count + 1), str(self.directory / "services")]


class Supervisord(Supervisor):
    """supervisord: one Python process; its loop wakes once a second."""

    name = "supervisord"
    needs = ("supervisord",)
    rounds = 12

    def prepare(self) -> None:
        lines = [
            "[supervisord]",
            f"logfile={self.directory}/supervisord.log",
            f"pidfile={self.directory}/supervisord.pid",
            f"childlogdir={self.directory}",
            "nodaemon=true",
            "loglevel=warn",
            f"minfds={4 * self.count + 100}",
        ]
        for name in self.agents():
            lines += [
                f"[program:{name}]",
                f"command={self.agent.file} {self.ear.path} {name}",
                "autorestart=true",
                "stdout_logfile=NONE",
                "stderr_logfile=NONE",
            ]
        (self.directory / "supervisord.conf").write_text("\n".join(lines) + "\n")

    def command(self) -> list[str]:
        return ["supervisord", "-n", "-c", str(self.directory / "supervisord.conf")]


PEERS: tuple[type[Supervisor], ...] = (Runit, S6, Supervisord)
