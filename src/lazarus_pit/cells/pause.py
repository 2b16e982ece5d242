"""A cell in other hands: while somebody restores it, its agents are to be stopped.

Who that is holds a lock, and no wish is rewritten for it. So whatever becomes of that process, the
kernel gives the lock back, and everybody who is wanted running runs again.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from lazarus_pit.cells import store
from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.files import durably
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.errors import RefusedError

_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def paused(paths: CellPaths) -> Iterator[None]:
    """Hold a cell.

    Raises:
        RefusedError: somebody else holds it.
        StoreError: the operating system refused.
    """
    with durably("cannot be opened", paths.paused):
        lock = os.open(paths.paused, _LOCK, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(f"cell {paths.uuid} is being restored by another command") from None
        _look(paths)
        yield
    finally:
        os.close(lock)
        _look(paths)


def _look(paths: CellPaths) -> None:
    """Have the daemon look: it reads a manifest that has changed at once."""
    store.update_manifest(paths, lambda old: replace(old, pauses=old.pauses + 1))


def is_paused(paths: CellPaths) -> bool:
    """Whether somebody holds the cell."""
    try:
        lock = os.open(paths.paused, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def is_busy(paths: CellPaths) -> bool:
    """Whether somebody holds the cell, or a worker of who held it has not yet ended."""
    return is_paused(paths) or shelf.is_held(paths.checkpoints)
