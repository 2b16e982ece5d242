"""Where everything lies: contract rows 1.1 and 1.2."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lazarus_pit.cells import layout
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.errors import FormatError

UUID = "d9b2d63d-a233-4123-847a-7090a1a5f6a1"


def test_every_path_of_the_contract_1_2() -> None:
    cell = PitPaths(Path("/var/missions")).cell(UUID)
    at = Path("/var/missions") / UUID
    assert cell.cell == at
    assert cell.manifest == at / "cell.json"
    assert cell.workspace == at / "workspace"
    assert cell.events == at / "logs/events.jsonl"
    assert cell.log("timmy") == at / "logs/timmy.log"
    assert cell.checkpoints == at / "checkpoints"
    assert cell.inbox("timmy") == at / "bus/inbox/timmy"
    assert cell.outbox("timmy").parent == at / "bus/outbox"
    assert cell.heartbeat("timmy") == at / ".lazarus/heartbeats/timmy.json"
    assert cell.state == at / ".lazarus/state.json"


@pytest.mark.parametrize("uuid", ["", "..", "d9b2d63d", UUID + "/..", UUID + "\n", UUID.upper()])
def test_what_is_no_uuid_becomes_no_path(uuid: str) -> None:
    with pytest.raises(FormatError):
        CellPaths(Path("/var/missions"), uuid)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", "a\0", "a\n", "A", ".x"])
def test_what_is_no_agent_becomes_no_path(name: str) -> None:
    cell = CellPaths(Path("/var/missions"), UUID)
    for path in (
        cell.log,
        cell.inbox,
        cell.outbox,
        cell.heartbeat,
        cell.home,
        cell.run,
        cell.beats,
        cell.beat,
        cell.published,
        cell.published_manifest,
        cell.notify_socket,
        cell.statuses,
    ):
        with pytest.raises(FormatError):
            path(name)
    with pytest.raises(FormatError):
        cell.status(name, 1)


def test_no_cell_can_be_called_like_the_pits_own_directory() -> None:
    with pytest.raises(FormatError):
        CellPaths(Path("/var/missions"), PitPaths(Path("/var/missions")).private.name)


def test_the_defaults_of_this_user_1_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    found = (layout.default_root(), layout.default_pid_file(), layout.default_log_file())
    if os.geteuid() == 0:
        assert found == (
            Path("/var/missions"),
            Path("/var/run/lazarus-pit.pid"),
            Path("/var/log/lazarus-pit.log"),
        )
    else:
        state = tmp_path / ".local/state/lazarus-pit"
        assert found == (
            tmp_path / ".local/share/lazarus-pit/missions",
            state / "lazarus-pit.pid",
            state / "lazarus-pit.log",
        )
