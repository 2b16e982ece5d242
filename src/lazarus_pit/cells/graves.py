"""The graveyard: the last checkpoint of each cell that was destroyed, outside of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lazarus_pit.cells.files import durably, sync_directory
from lazarus_pit.cells.layout import CellPaths, PitPaths

SUFFIX = ".tar.gz"


def bury(paths: CellPaths, checkpoint: str, kept: int) -> Path | None:
    """Keep a checkpoint beyond the end of its cell, and the newest ``kept`` of all; say where.

    ``None``: none are to be kept, or there is no such checkpoint.

    Raises:
        StoreError: it could not be kept; nothing has changed.
    """
    source = paths.checkpoints / f"{checkpoint}{SUFFIX}"
    yard = PitPaths(paths.root).graveyard
    if kept <= 0 or not checkpoint or not source.is_file():
        return None
    grave = yard / f"{paths.uuid}-{checkpoint}{SUFFIX}"
    with durably("cannot be kept", grave):
        yard.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not grave.exists():
            _copy(source, grave)
        os.utime(grave)  # It counts from its burial.
        for old in _graves(yard)[kept:]:
            old.unlink(missing_ok=True)
        sync_directory(yard)
    return grave


def _copy(source: Path, grave: Path) -> None:
    """Give the archive a second name; where that cannot be, copy it, whole or not at all."""
    try:
        os.link(source, grave, follow_symlinks=False)
    except OSError:
        part = grave.with_suffix(".part")
        try:
            with source.open("rb") as old, part.open("wb") as new:
                os.fchmod(new.fileno(), 0o600)
                shutil.copyfileobj(old, new, 1 << 20)
                new.flush()
                os.fsync(new.fileno())
            part.rename(grave)
        finally:
            part.unlink(missing_ok=True)


def _graves(yard: Path) -> list[Path]:
    """Return the graves, the newest first."""
    found = [path for path in yard.iterdir() if path.name.endswith(SUFFIX)]
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)
