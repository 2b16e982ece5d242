"""Take and restore checkpoints: here, or in a worker process as the daemon does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazarus_pit.cells.checkpoint import run
from lazarus_pit.cells.checkpoint import save as saving
from lazarus_pit.cells.checkpoint.restore import Restored, RestoreRequest
from lazarus_pit.cells.checkpoint.restore import restore as restore_here
from lazarus_pit.cells.checkpoint.save import Saved, SaveRequest
from lazarus_pit.cells.checkpoint.undo import Undone, UndoRequest
from lazarus_pit.cells.checkpoint.undo import undo as undo_here
from lazarus_pit.cells.checkpoint.unpack import Unpacked, UnpackRequest
from lazarus_pit.cells.checkpoint.unpack import unpack as unpack_here
from lazarus_pit.cells.checkpoint.verify import Verified, VerifyRequest
from lazarus_pit.cells.checkpoint.verify import verify as verify_here
from lazarus_pit.cells.checkpoint.worker import Order, Request


def make_cell(root: Path) -> Path:
    """Make the directories of a cell and nothing in them."""
    cell = root / "cell"
    for part in ("workspace", "bus/inbox/a", ".lazarus/home/a", "logs"):
        (cell / part).mkdir(parents=True)
    (cell / "cell.json").write_text('{"uuid": "x"}')
    return cell


def work(request: Request, freezer: run.Freezer | None = None) -> Any:
    """Have a worker process do it and wait."""
    order = Order(request=request)
    return asyncio.run(run.run(order, freezer or run.Still(), lambda _: None))


class _Nobody:
    """The freezer of a cell without processes; ``meanwhile`` happens just before the freeze."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        self._meanwhile = meanwhile

    def freeze(self) -> tuple[int, ...]:
        self._meanwhile()
        return ()

    def thaw(self) -> None:
        pass


def quiet(_stage: str, _done: float) -> None:
    """Hear no progress."""


def save(
    cell: Path,
    store: Path | None = None,
    meanwhile: Callable[[], object] = lambda: None,
    earlier: Callable[[], object] = lambda: None,
    **more: Any,
) -> Saved:
    """``earlier`` happens when the live pass has read everything, ``meanwhile`` at the freeze."""

    def report(stage: str, _done: float) -> None:
        if stage == "follow":
            earlier()

    request = SaveRequest(cell=str(cell), store=str(store or cell / "checkpoints"), jobs=1, **more)
    return saving.save(request, _Nobody(meanwhile), report)


def verify(archive: str | Path) -> Verified:
    return verify_here(VerifyRequest(archive=str(archive), jobs=1))


def unpack(archive: str | Path, target: Path, **more: Any) -> Unpacked:
    request = UnpackRequest(archive=str(archive), target=str(target), jobs=1, **more)
    return unpack_here(request, quiet)


def restore(cell: Path, archive: str | Path, staging: Path) -> Restored:
    request = RestoreRequest(cell=str(cell), archive=str(archive), staging=str(staging), jobs=1)
    return restore_here(request, quiet)


def undo(cell: Path, archive: str | Path) -> Undone:
    staging = str(cell / ".lazarus" / "undo")
    return undo_here(UndoRequest(cell=str(cell), archive=str(archive), staging=staging), quiet)
