"""The daemon told to end in the middle of a mass death: it begins nothing that it cannot record."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

from integration.pit import PATIENCE, Pit, processes, send
from integration.test_daemon_lives import BEATING, sh

AGENTS = 8


def test_nothing_is_decided_after_the_ledger_is_shut(tmp_path: Path) -> None:
    pit = Pit(tmp_path)
    cell = pit.cell()
    names = [f"agent-{number}" for number in range(AGENTS)]
    for name in names:
        pit.spawn(cell, name, *sh(BEATING + " # marker-ends"))
    pit.start()
    try:
        for name in names:
            pit.wait_event(cell, "agent_ready", name)
        assert pit.process is not None
        send(pit.process.pid, signal.SIGSTOP)  # So that deaths and the order to end arrive at once.
        for pid in processes("marker-ends"):
            with contextlib.suppress(ProcessLookupError):  # It went with its parent.
                send(pid, signal.SIGKILL)
        send(pit.process.pid, signal.SIGTERM)
        send(pit.process.pid, signal.SIGCONT)
        assert pit.process.wait(PATIENCE) == 0
        words = pit.log.read_text()
        assert "store_failed" not in words
        assert words.splitlines()[-1].endswith("ends; agents are left running")
        pit.start()
        for name in names:
            pit.wait_event(cell, "agent_revived", name)
    finally:
        pit.close()
