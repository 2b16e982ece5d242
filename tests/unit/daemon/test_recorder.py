"""The views of the ledger: what people are told when a disk refuses them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.ledger import open_ledger
from lazarus_pit.core.events import Told
from lazarus_pit.core.fleet import Turn
from lazarus_pit.core.model import CellStatus
from lazarus_pit.daemon import recorder as recording
from lazarus_pit.daemon.recorder import PROMPT_CELLS, PROMPT_ROUNDS, Recorder
from lazarus_pit.formats.manifest import Manifest
from lazarus_pit.formats.state import State

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_refused_view_is_told_once_and_so_is_its_return(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="lazarus_pit.daemon.recorder")
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE)
    cell = provision.create_cell(tmp_path, wanted, provision.agent_owner())
    recorder = Recorder(PitPaths(tmp_path), open_ledger(tmp_path, "boot").ledger, "none")
    state = State(cell_uuid=cell.uuid, daemon_pid=1, last_poll=0.0, agent_health={})
    cell.private.rename(tmp_path / "away")
    cell.private.write_text("in the way")
    assert not recorder.write_state(state)
    assert not recorder.write_state(state)
    cell.private.unlink()
    (tmp_path / "away").rename(cell.private)
    assert recorder.write_state(state)

    cell.events.rename(tmp_path / "journal")
    cell.events.mkdir()
    for _ in range(2):
        recorder.commit(Turn(told=[Told(key=f"{cell.uuid}/a", event="heartbeat")]))
    cell.events.rmdir()
    recorder.commit(Turn(told=[Told(key=f"{cell.uuid}/a", event="heartbeat")]))
    said = [r.getMessage() for r in caplog.records if " behind " in r.msg or "caught up" in r.msg]
    assert [words.partition(" of ")[0] for words in said] == [
        "state.json",
        "state.json",
        "the journal",
        "the journal",
    ]
    assert [words.endswith("has caught up") for words in said] == [False, True, False, True]
    assert cell.events.read_text().count("heartbeat") == 3


def test_what_is_told_of_a_cell_that_is_gone_is_owed_to_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="lazarus_pit.daemon.recorder")
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE)
    cell = provision.create_cell(tmp_path, wanted, provision.agent_owner())
    recorder = Recorder(PitPaths(tmp_path), open_ledger(tmp_path, "boot").ledger, "none")
    provision.destroy_cell(cell, force=True)
    recorder.commit(Turn(told=[Told(key=f"{cell.uuid}/a", event="agent_stopped")]))
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    cell.logs.mkdir(parents=True)  # Another of that name, restored from an archive, say.
    recorder.commit(Turn(told=[Told(event="store_recovered")]))
    assert not cell.events.exists()


def test_a_life_that_begins_or_ends_is_shown_at_once_and_the_rest_within_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(PitPaths(tmp_path), open_ledger(tmp_path, "boot").ledger, "none")

    def change(cells: list[str], event: str) -> None:
        keys = [f"{cell}/a" for cell in cells]
        told = [Told(key=key, event=event) for key in keys]
        recorder.commit(Turn(changed=dict.fromkeys(keys), told=told))

    x, y, z, often, *many = (provision.new_uuid() for _ in range(PROMPT_CELLS + 5))

    async def scenario() -> None:
        monkeypatch.setattr(recording, "STATE_SECONDS", 0.0)
        change([x], "agent_held")
        assert await recorder.due() == {x}
        monkeypatch.setattr(recording, "STATE_SECONDS", 3600.0)
        change([y], "agent_held")
        waiting = asyncio.create_task(recorder.due())
        await asyncio.sleep(0)
        assert not waiting.done()
        change([z], "agent_ready")
        assert await asyncio.wait_for(waiting, 10) == {z}
        change(many, "agent_died")
        for _ in range(int(PROMPT_ROUNDS) * 2):
            change([often], "agent_died")
        assert await asyncio.wait_for(recorder.due(), 10) == {often}
        recorder._rounds = 0.0
        change([often], "agent_died")
        waiting = asyncio.create_task(recorder.due())
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()

    asyncio.run(scenario())
