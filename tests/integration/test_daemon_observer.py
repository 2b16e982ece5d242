"""The pit doubts its own eyes: stopped, flooded or deaf, it condemns nobody by what it missed."""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import PATIENCE, Pit, send
from integration.test_daemon_lives import BEATING, ONE_BEAT, sh

FLOOD = (
    "import os\n"
    "home = os.path.dirname(os.environ['LAZARUS_HEARTBEAT_FILE'])\n"
    "open(home + '/a', 'w').close()\n"
    "open(os.environ['LAZARUS_HEARTBEAT_FILE'], 'w').close()\n"
    "for number in range(40_000):\n"
    "    os.rename(home + '/a', home + '/b')\n"
    "    os.rename(home + '/b', home + '/a')\n"
    "print('flooded', flush=True)\n"
    "import time\n"
    "while True:\n"
    "    os.utime(os.environ['LAZARUS_HEARTBEAT_FILE']); time.sleep(0.1); print('on', flush=True)\n"
)


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path, resurrect_after=2.0, heartbeat_stale_threshold=1.0)
    yield pit
    pit.close()


def stand_still(pit: Pit, seconds: float) -> None:
    """Stop the daemon for so long: this is the fault itself, not a wait for something."""
    assert pit.process is not None
    send(pit.process.pid, signal.SIGSTOP)
    try:
        select.select([], [], [], seconds)
    finally:
        send(pit.process.pid, signal.SIGCONT)


def test_a_daemon_that_stood_still_condemns_nobody_by_what_it_missed(pit: Pit) -> None:
    cell = pit.cell()
    names = [f"worker-{number}" for number in range(6)]
    for name in names:
        pit.spawn(cell, name, *sh(BEATING))
    pit.start()
    for name in names:
        pit.wait_event(cell, "agent_ready", name)
    stand_still(pit, 7.0)
    other = pit.cell()
    # The one that really hangs proves that verdicts are given again.
    pit.spawn(other, "hung", *sh(ONE_BEAT + "sleep 600"))
    pit.want(other, "hung", rules={"resurrect_after": 0.5})
    pit.wait_event(other, "agent_ready", "hung")
    pit.wait(lambda: "observer_doubted" in pit.log.read_text(), "the doubt")
    assert not pit.events(cell, "agent_hung")
    assert not pit.events(cell, "agent_died")


def test_an_overflow_of_the_event_queue_condemns_nobody(pit: Pit) -> None:
    cell = pit.cell()
    pit.spawn(cell, "worker", *sh(BEATING))
    pit.start()
    pit.wait_event(cell, "agent_ready", "worker")
    assert pit.process is not None
    send(pit.process.pid, signal.SIGSTOP)
    other = pit.cell()
    send(pit.process.pid, signal.SIGCONT)
    pit.spawn(other, "flooder", "python3", "-c", FLOOD, rules={"liveness": "process"})
    pit.wait_event(other, "agent_started", "flooder")
    send(pit.process.pid, signal.SIGSTOP)
    try:
        log = other.log("flooder")
        deadline = time.monotonic() + PATIENCE
        while "flooded" not in log.read_text():
            assert time.monotonic() < deadline, log.read_text()
            select.select([], [], [], 0.05)
    finally:
        send(pit.process.pid, signal.SIGCONT)
    pit.wait(lambda: "event_queue_overflow" in pit.log.read_text(), "the overflow")
    beat = cell.beat("worker").stat().st_mtime_ns
    pit.wait(lambda: cell.beat("worker").stat().st_mtime_ns > beat, "another beat")
    assert not pit.events(cell, "agent_died")


def test_the_service_manager_hears_ready_watchdog_and_stopping(pit: Pit) -> None:
    address = f"\0lazarus-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(PATIENCE)
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": "@" + address[1:],
            "WATCHDOG_USEC": "300000",
        }
        pit.start(env=environment)
        heard = [manager.recv(4096).decode() for _ in range(4)]
        assert any(message.startswith("READY=1") for message in heard)
        assert "WATCHDOG=1" in heard
        assert pit.stop() == 0
        while heard[-1] != "STOPPING=1":
            heard.append(manager.recv(4096).decode())
