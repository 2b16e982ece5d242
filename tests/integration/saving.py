"""Work with the checkpoint worker as the daemon does: a process, an event loop, a freezer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from lazarus_pit.cells.checkpoint import run
from lazarus_pit.cells.checkpoint.restore import Restored, RestoreRequest
from lazarus_pit.cells.checkpoint.save import Saved, SaveRequest
from lazarus_pit.cells.checkpoint.undo import UndoRequest, Undone
from lazarus_pit.cells.checkpoint.unpack import Unpacked, UnpackRequest
from lazarus_pit.cells.checkpoint.verify import Verified, VerifyRequest
from lazarus_pit.cells.checkpoint.worker import Order, Progress, Request


def make_cell(root: Path) -> Path:
    """Make the directories of a cell and nothing in them."""
    cell = root / "cell"
    for part in ("workspace", "bus/inbox/a", ".lazarus/home/a", "logs"):
        (cell / part).mkdir(parents=True)
    (cell / "cell.json").write_text('{"uuid": "x"}')
    return cell


def work(request: Request, freezer: run.Freezer | None = None) -> Any:
    """Have a worker process do it and wait."""
    stages: list[Progress] = []
    return asyncio.run(run.run(Order(request=request), freezer or run.Still(), stages.append))


def save(cell: Path, freezer: run.Freezer | None = None, **more: Any) -> Saved:
    request = SaveRequest(cell=str(cell), store=str(cell / "checkpoints"), **more)
    saved = work(request, freezer)
    assert isinstance(saved, Saved)
    return saved


def verify(archive: str | Path) -> Verified:
    verified = work(VerifyRequest(archive=str(archive)))
    assert isinstance(verified, Verified)
    return verified


def unpack(archive: str | Path, target: Path, **more: Any) -> Unpacked:
    unpacked = work(UnpackRequest(archive=str(archive), target=str(target), **more))
    assert isinstance(unpacked, Unpacked)
    return unpacked


def restore(cell: Path, archive: str | Path, staging: Path) -> Restored:
    request = RestoreRequest(cell=str(cell), archive=str(archive), staging=str(staging))
    restored = work(request)
    assert isinstance(restored, Restored)
    return restored


def undo(cell: Path, archive: str | Path) -> Undone:
    staging = str(cell / ".lazarus" / "undo")
    undone = work(UndoRequest(cell=str(cell), archive=str(archive), staging=staging))
    assert isinstance(undone, Undone)
    return undone
