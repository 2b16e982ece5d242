"""What people read catches up by itself, also with what happens while it is being written."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.ledger import open_ledger
from lazarus_pit.core.fleet import Fleet
from lazarus_pit.core.model import CellStatus, FleetRules, Rules
from lazarus_pit.daemon import recorder as recording
from lazarus_pit.daemon.recorder import Recorder
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.daemon.run import Daemon
from lazarus_pit.formats.manifest import Manifest

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from lazarus_pit.cells.layout import CellPaths
    from lazarus_pit.formats.state import State


def a_cell(root: Path) -> CellPaths:
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE)
    return provision.create_cell(root, wanted, provision.agent_owner())


def test_a_change_while_states_are_written_is_written_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "STATE_SECONDS", 0.001)
    first, second = a_cell(tmp_path), a_cell(tmp_path)

    class Busy(Recorder):
        """Something happens in the second cell while the first one's state is written."""

        def write_state(self, state: State) -> bool:
            if not second.state.exists():
                self.dirty.add(second.uuid)
            return super().write_state(state)

    recorder = Busy(PitPaths(tmp_path), open_ledger(tmp_path, "boot").ledger, "none")
    recorder.dirty.add(first.uuid)
    daemon = Daemon.__new__(Daemon)  # Of all its parts only those that write states.
    daemon.recorder, daemon.fleet = recorder, Fleet(FleetRules())
    daemon.roster = Roster(tmp_path, Rules(), lambda _: None)
    daemon.roster.sweep()
    asyncio.run(daemon._write_states())
    assert first.state.exists()
    assert second.state.exists()
    assert recorder.dirty == set()
