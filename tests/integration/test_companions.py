"""The gateway and the page beside a real daemon: there with it, back when killed, gone with it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from integration.pit import Pit
from lazarus_pit import config as configuration
from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.daemon import companions
from lazarus_pit.linux import pidfd


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    pit.beside = True
    yield pit
    pit.beside = False
    pit.close()


def _configure(pit: Pit, port: int = 0) -> None:
    with pit.config.open("a") as file:
        file.write(f"[gateway]\nport = 0\nhealth_port = 0\n[web]\nport = {port}\n")


def _children(pit: Pit) -> dict[str, int]:
    """Return the companions by the module that each runs."""
    assert pit.process is not None
    said = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(pit.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    found = [line.split(None, 1) for line in said.splitlines()]
    return {
        name: int(pid)
        for name, words in (("web", " web serve "), ("gateway", "lazarus_pit.gateway.server"))
        for pid, args in found
        if words in args and "daemon.tied" not in args
    }


def _serving(pit: Pit) -> int:
    """Return the pid of the API that says where it listens, 0 while there is none."""
    address = PitPaths(pit.root).web_address
    pid = json.loads(address.read_bytes())["pid"] if address.exists() else 0
    return pid if pid in _children(pit).values() else 0


def test_come_back_when_killed_and_end_with_the_daemon(pit: Pit) -> None:
    _configure(pit)
    pit.start()
    pit.wait(lambda: len(_children(pit)) == 2 and _serving(pit), "both run")
    first = _children(pit)
    os.kill(first["web"], signal.SIGKILL)
    pit.wait(lambda: _serving(pit) not in (0, first["web"]), "another serves the page")
    now = _children(pit)
    assert now["gateway"] == first["gateway"]
    handles = [os.pidfd_open(pid) for pid in now.values()]
    try:
        pit.kill9()
        pit.wait(lambda: all(map(pidfd.has_ended, handles)), "nobody outlives the daemon")
    finally:
        for handle in handles:
            os.close(handle)


def test_a_taken_port_is_told_once_and_stops_nothing(pit: Pit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _configure(pit, port)
        pit.start()

        def told() -> list[str]:
            lines = read_events(PitPaths(pit.root).events)
            events = [line.event for line in lines if line.event]
            return [e.data["why"] for e in events if e.event == "companion_lost"]

        pit.wait(lambda: PitPaths(pit.root).events.exists() and told(), "it is told")
        log = PitPaths(pit.root).companion_log("web")
        pit.wait(lambda: log.read_text().count(f"port {port}") >= 2, "it is tried again")
        assert f"pid {os.getpid()}" in told()[0]
        said = (pit.root.parent / "pit.out").read_text()
        assert said.count(f"web does not run: {told()[0]}") == 1
    pit.wait(lambda: _serving(pit) != 0, "the page is served once the port is free")
    assert len(told()) == 1
    assert pit.stop() == 0
    pit.beside = False


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("port = 9", ["localhost:9"]),
        ('host = "::1"', ["[::1]:8765"]),
        ("events = false", []),
        ("enabled = false", []),
        ("port = 0", []),
    ],
)
def test_the_page_says_what_happens_to_the_gateway_beside_it(said: str, found: list[str]) -> None:
    config = configuration.parse(f"[gateway]\n{said}\n".encode(), Path("pit.toml"))
    words = companions.wanted(config)["web"]
    assert [after for word, after in pairwise(words) if word == "--nexus"] == found
