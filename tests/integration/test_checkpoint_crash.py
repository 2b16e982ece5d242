"""Power cuts, kills and full disks: what was there stays, what has a name is whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.saving import make_cell, restore, save, undo, unpack, verify
from lazarus_pit.cells.checkpoint.restore import recover, remove_tree
from lazarus_pit.cells.checkpoint.shelf import checkpoints
from lazarus_pit.errors import StoreError, WorldError
from trees import make_hostile, picture

SAVE_STEPS = ["scan", "read", "freeze", "compress", "assemble", "publish", "done"]
RESTORE_STEPS = ["unpack", "finish", "sync", "exchange"]


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    cell = make_cell(tmp_path)
    make_hostile(cell / "workspace")
    return cell


def killed_at(step: str, request: dict[str, str]) -> bool:
    """Run a worker and kill it when it says that it is at this step."""
    with subprocess.Popen(
        [sys.executable, "-m", "lazarus_pit.cells.checkpoint.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(json.dumps({"request": request}).encode() + b"\n")
        worker.stdin.flush()
        for line in worker.stdout:
            said = json.loads(line)
            if step in (said.get("stage"), said["type"]):
                worker.kill()
                return True
            if said["type"] in ("freeze", "thaw"):
                worker.stdin.write(b"{}\n")
                worker.stdin.flush()
            assert said["type"] != "failed", said
    return False


@pytest.mark.parametrize("way", ["restore", "undo"])
def test_a_store_that_refuses_an_index_spoils_no_way_back(
    cell: Path, tmp_path: Path, way: str
) -> None:
    first = Path(save(cell).archive)
    before = picture(cell / "workspace")
    (cell / "workspace" / "later").write_text("x")
    # Nothing can be written under this name, as on a disk that is full or read-only.
    (first.parent / f".lazarus-{first.name.removesuffix('.tar.gz')}.idx.part").mkdir()
    if way == "restore":
        restore(cell, first, tmp_path / "staging")
    else:
        undo(cell, first)
    assert picture(cell / "workspace") == before


@pytest.mark.parametrize("step", SAVE_STEPS)
def test_a_save_killed_at_any_step(cell: Path, step: str) -> None:
    before = picture(cell / "workspace")
    store = cell / "checkpoints"
    first = save(cell)
    (cell / "workspace" / "large.bin").write_bytes(os.urandom(2 << 20))
    before = picture(cell / "workspace")
    request = {"type": "save", "cell": str(cell), "store": str(store)}
    assert killed_at(step, request)
    assert picture(cell / "workspace") == before
    for one in checkpoints(store):
        verify(one.archive)
    assert checkpoints(store)[0].name == first.name
    last = save(cell)
    verify(last.archive)
    assert not [name for name in os.listdir(store) if name.startswith(".")]


@pytest.mark.parametrize("step", RESTORE_STEPS)
def test_a_restore_killed_at_any_step(cell: Path, step: str) -> None:
    saved = save(cell)
    old = picture(cell / "workspace")
    (cell / "workspace" / "large.bin").write_bytes(b"new")
    new = picture(cell / "workspace")
    staging = cell / ".lazarus" / "staging"
    request = {
        "type": "restore",
        "cell": str(cell),
        "archive": saved.archive,
        "staging": str(staging),
    }
    assert killed_at(step, request)
    recover(cell, staging)
    now = picture(cell / "workspace")
    assert now in (old, new)
    if step != "exchange":
        assert now == new
    assert not recover(cell, staging)
    remove_tree(staging)
    assert picture(cell / "workspace") == now
    restore(cell, saved.archive, staging)
    assert picture(cell / "workspace") == old


def test_a_restore_cut_between_two_exchanges_is_finished_once(cell: Path) -> None:
    home = cell / ".lazarus" / "home" / "a"
    (home / "memory").write_text("old")
    saved = save(cell)
    (home / "memory").write_text("new")
    (cell / "workspace" / "large.bin").write_bytes(b"new")
    staging = cell / ".lazarus" / "staging"
    unpack(saved.archive, staging)
    parts = [".lazarus/home", "workspace"]
    inodes = {part: (staging / part).stat().st_ino for part in parts}
    (staging / "intent.json").write_text(json.dumps({"parts": inodes}))
    # The crash came after the first exchange:
    swapped = staging / "between"
    (cell / ".lazarus" / "home").rename(swapped)
    (staging / ".lazarus" / "home").rename(cell / ".lazarus" / "home")
    swapped.rename(staging / ".lazarus" / "home")
    for first_time in (True, False):
        assert recover(cell, staging) == first_time
        assert (home / "memory").read_text() == "old"
        assert (cell / "workspace" / "large.bin").stat().st_size > 3
        assert (staging / ".lazarus" / "home" / "a" / "memory").read_text() == "new"
        assert (staging / "workspace" / "large.bin").read_bytes() == b"new"


@pytest.mark.parametrize("step", ["unpack", "apply"])
def test_an_undo_killed_half_way_is_mended_by_another(cell: Path, step: str) -> None:
    saved = save(cell)
    old = picture(cell / "workspace")
    shutil.rmtree(cell / "workspace" / "plain")
    (cell / "workspace" / "large.bin").write_bytes(b"new")
    staging = str(cell / ".lazarus" / "undo")
    request = {"type": "undo", "cell": str(cell), "archive": saved.archive, "staging": staging}
    assert killed_at(step, request)
    undo(cell, saved.archive)
    assert picture(cell / "workspace") == old


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", disk], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
def test_a_full_disk_leaves_nothing_half_done(cell: Path, small_disk: Path, tmp_path: Path) -> None:
    store = small_disk / "checkpoints"
    shutil.rmtree(cell / "workspace" / "plain")
    work = cell / "workspace"
    first = save(cell, store).name
    before = picture(work)
    (work / "noise").write_bytes(os.urandom(12 << 20))
    grown = picture(work)
    with pytest.raises(StoreError, match="the disk is full"):
        save(cell, store)
    assert picture(work) == grown
    assert [one.name for one in checkpoints(store)] == [first]
    verify(checkpoints(store)[0].archive)
    (work / "noise").unlink()
    with pytest.raises(WorldError, match=r"no room for a checkpoint: .* bytes are free"):
        save(cell, store, room=1 << 40)
    # Restoring onto a disk that is full fails before anything is exchanged.
    target = small_disk / "copy"
    filler = small_disk / "filler"
    free = os.statvfs(small_disk).f_bavail * 4096
    filler.write_bytes(bytes(free - (1 << 20)))
    with pytest.raises(StoreError, match="bytes to unpack, but only"):
        unpack(checkpoints(store)[0].archive, target)
    assert not target.exists()
    unpack(checkpoints(store)[0].archive, tmp_path / "elsewhere")
    assert {name for name in before if b"links" not in name} <= set(
        picture(tmp_path / "elsewhere" / "workspace")
    )
