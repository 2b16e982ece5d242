"""The daemon told to end in the middle of a mass death: it begins nothing that it cannot record."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
from pathlib import Path

from integration.pit import PATIENCE, Pit, processes, send
from integration.test_daemon_lives import BEATING, sh
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.records.database import BUSY_SECONDS

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


def test_records_that_somebody_holds_delay_no_end(tmp_path: Path) -> None:
    pit = Pit(tmp_path, revive_policy="ask")
    cell = pit.cell()
    records = PitPaths(pit.root).records
    dies = "lazarus beat; exit 3"
    pit.start()
    try:
        pit.spawn(cell, "first", *sh(dies))
        pit.wait_event(cell, "approval_requested", "first")
        pit.wait(records.exists, "the records")
        with contextlib.closing(sqlite3.connect(records, isolation_level=None)) as held:
            held.execute("begin exclusive")
            pit.spawn(cell, "second", *sh(dies))
            pit.wait_event(cell, "approval_requested", "second")
            assert pit.process is not None
            send(pit.process.pid, signal.SIGTERM)
            assert pit.process.wait(BUSY_SECONDS - 1) == 0  # Else a thread has been waited for.
        assert pit.log.read_text().splitlines()[-1].endswith("ends; agents are left running")
    finally:
        pit.close()
