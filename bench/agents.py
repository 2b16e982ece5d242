"""The agent that all supervisors are given, and the ear that hears it begin."""

from __future__ import annotations

import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("agent.c")
FALLBACK = Path(__file__).with_name("agent.py")
_CREDENTIALS = struct.Struct("3i")


class Program(NamedTuple):
    """The agent as a file to execute, and what must be said about it."""

    file: Path
    note: str
    beats: bool


def build(directory: Path) -> Program:
    """Compile the agent; where no compiler is, a Python program does the same, but slowly."""
    target = directory / "agent"
    for compiler in ("cc", "gcc", "clang", "tcc"):
        found = shutil.which(compiler)
        if found is None:
            continue
        options = [found, "-O2", "-static", "-s", "-o", str(target), str(SOURCE)]
        if subprocess.run(options, check=False, capture_output=True).returncode == 0:
            return Program(target, f"static C program ({compiler})", beats=True)
    text = FALLBACK.read_text(encoding="utf-8")
    target.write_text(f"#!{os.path.realpath(sys.executable)} -IS\n{text}", encoding="utf-8")
    target.chmod(0o755)
    note = "no compiler here: a Python agent, so each start holds an interpreter's"
    return Program(target, note, beats=False)


class Heard(NamedTuple):
    """One datagram of an agent."""

    word: str
    """``began``, ``beat`` (the last one before it hangs) or ``told`` (to end)."""
    name: str
    seconds: float
    """On CLOCK_MONOTONIC, by the agent itself."""
    pid: int
    """As this process sees it, whatever namespace the agent is in."""


class Ear:
    """A datagram socket that many agents speak to."""

    def __init__(self, path: Path) -> None:
        """Listen at ``path``; ``also`` gives the socket further names."""
        self.path = path
        self.pids: dict[str, int] = {}
        """The living process of each agent."""
        self.starts = 0
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        path.chmod(0o777)

    def also(self, path: Path) -> None:
        """Be heard at another path of the same file system as well: a second name of the socket."""
        os.link(self.path, path)

    def hear(self, timeout: float) -> list[Heard]:
        """Everything that is said, waiting up to ``timeout`` seconds for the first of it."""
        found: list[Heard] = []
        if not select.select([self._socket], [], [], max(0.0, timeout))[0]:
            return found
        while True:
            try:
                data, extra, _, _ = self._socket.recvmsg(512, 64)
            except BlockingIOError:
                return found
            pid = next(
                (_CREDENTIALS.unpack(value[:12])[0] for _, kind, value in extra if kind == 2), 0
            )
            word, name, when = data.decode().split()
            if word == "began":
                self.pids[name] = pid
                self.starts += 1
            found.append(Heard(word, name, int(when) / 1e9, pid))

    def wait(self, done: Callable[[Heard], bool], timeout: float) -> bool:
        """Hear until ``done`` says so of something heard; ``False`` after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            if sum(done(heard) for heard in self.hear(left)):
                return True
        return False

    def close(self) -> None:
        self._socket.close()
