"""With what a life after a death begins, and what is saved before the pit ends one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit
from integration.saving import unpack
from integration.test_checkpoint_verbs import lazarus
from integration.test_daemon_lives import BEATING, ONE_BEAT, sh
from lazarus_pit.cells.checkpoint.source import opened
from lazarus_pit.cells.layout import CellPaths

OBEYING = BEATING.replace("sleep 0.2", "[ -e /mission/workspace/die ] && exit 1; sleep 0.1")


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    yield pit
    pit.close()


def began(pit: Pit, how: str) -> CellPaths:
    """A cell with one agent that obeys, saved when it had done good work."""
    cell = pit.cell(name="pond")
    pit.start()
    pit.spawn(cell, "worker", *sh(OBEYING), rules={"on_revive": how})
    pit.wait_event(cell, "agent_ready", "worker")
    (cell.workspace / "good").write_text("good")
    (cell.home("worker") / "session").write_text("remembered")
    lazarus(pit, "checkpoint", "pond")
    return cell


def is_running(pit: Pit, cell: CellPaths) -> bool:
    health = pit.health(cell).get("worker")
    return health is not None and health.phase == "running"


def spoil(cell: CellPaths) -> None:
    (cell.workspace / "good").write_text("bad")
    (cell.workspace / "die").touch()


def test_a_dead_agents_cell_goes_back_to_the_last_good_checkpoint(pit: Pit, tmp_path: Path) -> None:
    cell = began(pit, "restore")
    spoil(cell)
    prepared = pit.wait_event(cell, "agent_prepared", "worker", generation=2)
    assert prepared.data["how"] == "restore"
    pit.wait_event(cell, "agent_revived", "worker", generation=2)
    assert (cell.workspace / "good").read_text() == "good"
    assert not (cell.workspace / "die").exists()
    restored = pit.events(cell, "cell_restored")[-1].data
    unpack(cell.checkpoints / f"{restored['rescued']}.tar.gz", tmp_path / "rescued")
    assert (tmp_path / "rescued/workspace/good").read_text() == "bad"
    pit.wait(lambda: is_running(pit, cell), "its state")
    why = lazarus(pit, "why", "worker")
    assert "begins with a restore: the cell is as in" in why
    assert "if nobody else of the cell lives (on_revive)" in why
    assert "before worker goes back" in lazarus(pit, "checkpoints", "pond")
    (cell.workspace / "good").write_text("worse")
    lazarus(pit, "undo", "pond")
    assert (cell.workspace / "good").read_text() == "good", "not what was rescued"


def test_a_daemon_that_dies_in_the_middle_restores_and_starts_once(pit: Pit) -> None:
    cell = began(pit, "restore")
    spoil(cell)
    pit.wait(cell.restoring.is_dir, "the restore")
    pit.kill9()
    pit.start()
    # The restore may have been over by then, and the life that it was for just have begun.
    pit.wait_event(cell, "agent_revived", "worker")
    assert (cell.workspace / "good").read_text() == "good"
    assert not (cell.workspace / "die").exists()
    assert len(pit.events(cell, "agent_started", "worker")) == 2


def test_nobodys_work_is_taken_back_while_others_live(pit: Pit) -> None:
    cell = began(pit, "restore")
    pit.spawn(cell, "other", *sh(BEATING))
    pit.wait_event(cell, "agent_ready", "other")
    spoil(cell)
    resumed = pit.wait_event(cell, "agent_resumed", "worker")
    assert resumed.data["why"] == "others of the cell live"
    (cell.workspace / "die").unlink()
    pit.wait_event(cell, "agent_revived", "worker")
    assert (cell.workspace / "good").read_text() == "bad"
    assert "goes on from where the last life ended: others of the cell live" in lazarus(
        pit, "why", "worker"
    )


def test_a_fresh_life_has_an_empty_home_and_all_the_work(pit: Pit, tmp_path: Path) -> None:
    cell = began(pit, "fresh")
    (cell.workspace / "die").touch()
    prepared = pit.wait_event(cell, "agent_prepared", "worker")
    (cell.workspace / "die").unlink()
    pit.wait_event(cell, "agent_revived", "worker")
    assert list(cell.home("worker").iterdir()) == []
    assert (cell.workspace / "good").read_text() == "good"
    rescued = prepared.data["done"].rpartition(" ")[2]
    unpack(cell.checkpoints / f"{rescued}.tar.gz", tmp_path / "rescued")
    assert (tmp_path / "rescued/.lazarus/home/worker/session").read_text() == "remembered"


def test_without_a_sound_checkpoint_it_resumes_and_says_why(pit: Pit) -> None:
    cell = began(pit, "restore")
    archive = next(cell.checkpoints.glob("*.tar.gz"))
    whole = archive.read_bytes()
    archive.write_bytes(whole[:200] + bytes(9) + whole[209:])
    spoil(cell)
    resumed = pit.wait_event(cell, "agent_resumed", "worker")
    assert "sound" in resumed.data["why"] or "no checkpoint" in resumed.data["why"]
    (cell.workspace / "die").unlink()
    pit.wait_event(cell, "agent_revived", "worker")
    assert (cell.workspace / "good").read_text() == "bad"


def test_the_cell_is_saved_before_the_pit_ends_a_hung_agent(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "worker", *sh(ONE_BEAT + "echo all > /mission/workspace/work; exec sleep 1000"))
    saved = pit.wait_event(cell, "agent_saved", "worker", generation=1)
    died = pit.wait_event(cell, "agent_died", "worker", generation=1)
    assert (saved.seq or 0) < (died.seq or 0)
    with opened(cell.checkpoints / f"{saved.data['checkpoint']}.tar.gz") as source:
        assert source.preface.about.rescue
        assert b"./workspace/work" in source.preface.lines


def test_a_save_that_cannot_be_does_not_keep_a_hung_agent_alive(pit: Pit) -> None:
    cell = pit.cell()
    cell.checkpoints.rmdir()
    cell.checkpoints.touch()
    pit.start()
    pit.spawn(cell, "worker", *sh(ONE_BEAT + "exec sleep 1000"))
    unsaved = pit.wait_event(cell, "agent_unsaved", "worker", generation=1)
    assert unsaved.data["why"]
    pit.wait_event(cell, "agent_revived", "worker", generation=2)
