"""Checkpoints as people use them: on the command line, of cells whose agents run."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from integration.pit import Pit, processes
from integration.test_daemon_lives import BEATING, sh
from lazarus_pit.cells import store


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    yield pit
    pit.close()


def lazarus(pit: Pit, *words: str, fails: int = 0) -> Any:
    argv = [sys.executable, "-m", "lazarus_pit", *words, "--config", str(pit.config)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == fails, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout + done.stderr


WRITING = BEATING.replace("sleep 0.2", "echo $i >> /mission/workspace/count; sleep 0.1")


def test_a_living_cell_is_saved_checked_changed_and_brought_back(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    pit.start()
    pit.spawn(cell, "worker", *sh(WRITING))
    pit.wait_event(cell, "agent_ready", "worker")
    pit.wait((cell.workspace / "count").exists, "work")
    saved = lazarus(pit, "checkpoint", "pond", "--note", "first", "--json")
    assert saved["pause_seconds"] > 0
    assert pit.wait_event(cell, "checkpoint_taken").data["note"] == "first"
    then = len((cell.workspace / "count").read_text().splitlines())
    listing = subprocess.run(
        ["tar", "tzf", saved["archive"]], capture_output=True, text=True, check=True
    )
    assert "workspace/count" in listing.stdout
    assert "sound" in lazarus(pit, "checkpoint", "verify", "pond")
    (cell.workspace / "extra").write_text("made later")
    second = lazarus(pit, "checkpoint", "pond", "--json")
    assert "added    workspace/extra" in lazarus(
        pit, "checkpoint", "diff", "pond", saved["name"], second["name"]
    )
    lazarus(pit, "restore", "pond", "--checkpoint", saved["name"])
    pit.wait_event(cell, "agent_ready", "worker", generation=2)
    assert not (cell.workspace / "extra").exists()
    assert (cell.restoring / "workspace" / "extra").read_text() == "made later"
    lines = (cell.workspace / "count").read_text().splitlines()
    assert lines[0] == "1"
    lazarus(pit, "undo", "pond", "--checkpoint", second["name"])
    kept = [one / "workspace" / "extra" for one in cell.replaced.iterdir()]
    assert [one.read_text() for one in kept] == ["made later"], "a later undo lost what was kept"
    lazarus(pit, "checkpoint", "pond")
    assert not cell.replaced.exists()
    assert not cell.restoring.exists()
    assert "1" in lines[1 : then + 1], "the count does not go on from the checkpoint"
    assert len(processes("workspace/count")) >= 1


def test_undo_touches_only_what_differs_and_keeps_stopped_agents_stopped(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    pit.start()
    for name in ("kept", "changed", "removed"):
        (cell.workspace / name).write_text(name)
    lazarus(pit, "checkpoint", "pond")
    inode = (cell.workspace / "kept").stat().st_ino
    (cell.workspace / "changed").write_text("otherwise")
    (cell.workspace / "removed").unlink()
    (cell.workspace / "added").write_text("new")
    lazarus(pit, "undo", "pond")
    found = {path.name: path.read_text() for path in cell.workspace.iterdir()}
    assert found == {"kept": "kept", "changed": "changed", "removed": "removed"}
    assert (cell.workspace / "kept").stat().st_ino == inode


def test_a_restore_that_is_killed_leaves_nobody_stopped(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    pit.start()
    pit.spawn(cell, "worker", *sh(WRITING))
    pit.wait_event(cell, "agent_ready", "worker")
    lazarus(pit, "checkpoint", "pond")
    argv = [sys.executable, "-m", "lazarus_pit", "restore", "pond", "--config", str(pit.config)]
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as restoring:
        pit.wait_event(cell, "agent_stopped", "worker")
        restoring.kill()
    pit.wait_event(cell, "agent_ready", "worker", count=2)
    assert (cell.workspace / "count").exists()
    lazarus(pit, "restore", "pond")


def test_a_fork_is_a_new_cell_with_the_same_work_and_nobody_started(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    pit.start()
    pit.spawn(cell, "worker", *sh(WRITING))
    pit.wait_event(cell, "agent_ready", "worker")
    pit.wait((cell.workspace / "count").exists, "work")
    lazarus(pit, "checkpoint", "pond")
    made = lazarus(pit, "fork", "pond", "--name", "pond-b", "--json")
    assert made["uuid"] != cell.uuid
    fork = next(paths for paths in pit.cells() if paths.uuid == made["uuid"])
    assert (fork.workspace / "count").read_text().startswith("1\n")
    assert not pit.events(fork, "agent_started")
    told = [event.event for event in pit.events(fork)][:3]
    assert told == ["cell_created", "agent_joined", "cell_forked"]
    lazarus(pit, "start", "pond-b/worker")
    pit.wait_event(fork, "agent_ready", "worker")
    assert "already" in lazarus(pit, "fork", "pond", "--name", "pond-b", fails=2)


def test_the_daemon_takes_checkpoints_by_itself_and_discards_old_ones(pit: Pit) -> None:
    cell = pit.cell(checkpoint_interval=0.2, checkpoints_kept={"last": 1, "hourly": 0, "daily": 0})
    pit.start()
    pit.wait_event(cell, "checkpoint_taken", count=2)
    pit.wait_event(cell, "checkpoint_discarded")
    store.update_manifest(cell, lambda old: replace(old, checkpoint_interval=None))


def test_a_life_that_a_dead_daemon_and_worker_left_frozen_moves_again(pit: Pit) -> None:
    cell = pit.cell()
    pit.start()
    pit.spawn(cell, "worker", *sh(WRITING))
    pit.wait_event(cell, "agent_ready", "worker")
    health = pit.wait(lambda: pit.health(cell).get("worker"), "its state")
    leaf = health.readings.get("cgroup")
    if leaf is None:
        pytest.skip("no cgroup for agents here")
    (Path(leaf) / "cgroup.freeze").write_text("1")
    pit.kill9()
    pit.start()
    pit.wait_event(cell, "agent_adopted", "worker")
    pit.wait(lambda: "frozen 0" in (Path(leaf) / "cgroup.events").read_text(), "the thaw")
    assert not pit.events(cell, "agent_died")


def test_what_cannot_be_is_said(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    pit.start()
    assert "no checkpoint yet" in lazarus(pit, "restore", "pond", fails=2)
    lazarus(pit, "checkpoint", "pond")
    archive = next(cell.checkpoints.glob("*.tar.gz"))
    whole = archive.read_bytes()
    middle = len(whole) // 2
    archive.write_bytes(whole[: middle - 9] + bytes(18) + whole[middle + 9 :])
    assert archive.name in lazarus(pit, "verify", "pond", fails=1)
    lazarus(pit, "restore", "pond", fails=1)
    assert cell.workspace.is_dir()
