"""A checkpoint is one instant: of all files together, whatever the agents are writing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.saving import make_cell, unpack, work
from launching import until
from lazarus_pit.cells.checkpoint.ears import FOLLOW
from lazarus_pit.cells.checkpoint.run import Still, run
from lazarus_pit.cells.checkpoint.save import Saved, SaveRequest
from lazarus_pit.cells.checkpoint.worker import Order, Progress
from lazarus_pit.errors import WorldError
from lazarus_pit.linux import cgroup

WRITER = """
import mmap, os, select, struct, sys
root = sys.argv[1]
logs = [open(f"{root}/log{n}", "ab", buffering=0) for n in range(5)]
maps = []
for name in ("first.map", "second.map"):
    file = open(f"{root}/{name}", "w+b")
    file.truncate(4096)
    maps.append(mmap.mmap(file.fileno(), 4096))
number = 0
while True:
    number += 1
    record = struct.pack("<Q", number)
    for log in logs:
        log.write(record)
    for page in maps:
        page[:8] = record
    if number % 8 == 0:
        path = f"{root}/made{number // 8 % 50}"
        open(path + ".new", "wb").write(record)
        os.rename(path + ".new", path)
    if number % 4 == 0:
        select.select([], [], [], 0.0001)
"""


def save(cell: Path, freezer: Cgroup, follow: tuple[str, ...] = FOLLOW) -> Saved:
    request = SaveRequest(cell=str(cell), store=str(cell / "checkpoints"), follow=follow)
    saved = work(request, freezer)
    assert isinstance(saved, Saved)
    return saved


def signal_workers(number: signal.Signals) -> None:
    """Send a signal to the workers that are children of ours."""
    me = os.getpid()
    for child in map(int, Path(f"/proc/{me}/task/{me}/children").read_text().split()):
        if b"checkpoint.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
            os.kill(child, number)


class Cgroup:
    """The freezer of one cgroup leaf."""

    def __init__(self, leaf: str) -> None:
        self.leaf = leaf
        self.thawed = 0

    async def freeze(self) -> tuple[int, ...]:
        if not cgroup.freeze(self.leaf):
            raise WorldError("the leaf does not freeze")
        return tuple(cgroup.pids(self.leaf))

    async def thaw(self) -> None:
        cgroup.thaw(self.leaf)
        self.thawed += 1


@pytest.fixture
def leaf() -> Iterator[str]:
    tree, why = cgroup.find_tree(f"test-{uuid.uuid4().hex[:12]}")
    if tree is None:
        pytest.skip(why)
    path = cgroup.make_leaf(tree, "cell", "writer", 1)
    try:
        yield path
    finally:
        cgroup.thaw(path)
        cgroup.kill(path)
        until(lambda: not cgroup.is_populated(path), "the end of the writer")
        cgroup.remove_leaf(path)
        cgroup.remove_tree(tree)
        with contextlib.suppress(OSError):
            os.rmdir(tree.path)


@pytest.fixture
def written(tmp_path: Path, leaf: str) -> Iterator[Path]:
    cell = make_cell(tmp_path)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(cell / "workspace")])
    Path(leaf, "cgroup.procs").write_text(str(writer.pid))
    last = cell / "workspace" / "made49"
    try:
        until(last.exists, "a lot of writing")
        yield cell
    finally:
        cgroup.thaw(leaf)
        writer.kill()
        writer.wait()


def record(path: Path) -> int:
    return int.from_bytes(path.read_bytes()[:8], "little")


def numbers(workspace: Path) -> list[int]:
    """The last record of each file, in the order in which they are written; each log is whole."""
    last = []
    for number in range(5):
        raw = (workspace / f"log{number}").read_bytes()
        count = len(raw) // 8
        assert raw == b"".join(struct.pack("<Q", n) for n in range(1, count + 1))
        last.append(count)
    last += [record(workspace / name) for name in ("first.map", "second.map")]
    made = [record(path) for path in workspace.glob("made*") if path.suffix != ".new"]
    assert last[-1] - 8 <= max(made) <= last[0]
    return last


@pytest.mark.cgroup
@pytest.mark.parametrize("follow", [("fanotify",), ("inotify",), ()])
def test_every_checkpoint_is_consistent_across_files(
    written: Path, leaf: str, tmp_path: Path, follow: tuple[str, ...]
) -> None:
    freezer = Cgroup(leaf)
    seen = []
    for number in range(3):
        saved = save(written, freezer, follow)
        assert saved.captured >= 2
        assert not [one for one in saved.left_out if not one.path.endswith(".new")]
        target = tmp_path / f"copy{number}"
        unpack(saved.archive, target)
        last = numbers(target / "workspace")
        assert last == sorted(last, reverse=True)
        assert last[0] - last[-1] <= 1
        seen.append(last[0])
        before = (written / "workspace" / "log0").stat().st_size
        path = written / "workspace" / "log0"
        until(lambda was=before, log=path: log.stat().st_size > was, "the thaw")  # type: ignore[misc]
    assert seen == sorted(set(seen))


@pytest.mark.cgroup
def test_a_worker_that_dies_while_the_cell_is_frozen_leaves_it_thawed(
    written: Path, leaf: str
) -> None:
    class Murder(Cgroup):
        async def freeze(self) -> tuple[int, ...]:
            pids = await super().freeze()
            signal_workers(signal.SIGKILL)
            return pids

    freezer = Murder(leaf)
    with pytest.raises(WorldError, match="ended with -9"):
        save(written, freezer)
    assert freezer.thawed == 1
    assert not cgroup.is_frozen(leaf)
    assert save(written, Cgroup(leaf)).entries


@pytest.mark.cgroup
def test_a_cell_that_does_not_freeze_is_not_saved(written: Path, leaf: str) -> None:
    class Stuck(Cgroup):
        async def freeze(self) -> tuple[int, ...]:
            raise WorldError("stuck in the kernel")

    with pytest.raises(WorldError, match="could not be frozen: stuck in the kernel"):
        save(written, Stuck(leaf))
    assert not list((written / "checkpoints").iterdir())


def test_a_worker_that_keeps_the_cell_frozen_is_ended(tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    events: list[str] = []

    class Slow(Still):
        async def freeze(self) -> tuple[int, ...]:
            events.append("frozen")
            signal_workers(signal.SIGSTOP)
            return ()

        async def thaw(self) -> None:
            events.append("thawed")

    request = SaveRequest(cell=str(cell), store=str(cell / "checkpoints"))
    stages: list[Progress] = []
    slow = run(Order(request=request), Slow(), stages.append, longest_freeze=0.2)
    with pytest.raises(WorldError, match="kept the cell frozen"):
        asyncio.run(slow)
    assert events == ["frozen", "thawed"]
    assert stages[0].stage == "scan"


def test_a_worker_whose_parent_dies_thaws_the_cell_itself(tmp_path: Path) -> None:
    cell = make_cell(tmp_path)
    thaw_file = tmp_path / "cgroup.freeze"
    thaw_file.write_text("1")
    order = {
        "request": {"type": "save", "cell": str(cell), "store": str(cell / "checkpoints")},
        "thaw_files": [str(thaw_file)],
    }
    with subprocess.Popen(
        [sys.executable, "-m", "lazarus_pit.cells.checkpoint.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        assert worker.stderr is not None
        worker.stdin.write(repr(order).replace("'", '"').encode() + b"\n")
        worker.stdin.flush()
        assert any(b'"freeze"}' in line for line in worker.stdout)
        worker.stdin.close()
        worker.stdout.close()
        assert worker.stderr.read() == b""
        assert worker.wait() == 1
    assert thaw_file.read_text() == "0"
    assert not list((cell / "checkpoints").iterdir())
