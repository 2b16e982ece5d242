"""Where archives lie while they come in or go out: a folder each, gone when its work is done.

A folder is locked by whoever works in it, the command included: what is not was left by a server
that was killed, and is removed by the next.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.files import durably
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.remove import remove_tree

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder(NamedTuple):
    """A folder, and the lock on it, which a command inherits."""

    path: Path
    lock: int

    @property
    def archive(self) -> Path:
        """The one file in it."""
        return self.path / "cell.tar.gz"


@contextmanager
def folder(pit: PitPaths) -> Iterator[Folder]:
    """Make a folder that is gone when the block ends.

    Raises:
        StoreError: it cannot be made.
    """
    place = pit.transit / secrets.token_hex(8)
    with durably("cannot be made", place):
        pit.transit.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _swept(pit):  # Not before it is locked.
            place.mkdir(mode=0o700)
            lock = os.open(place, _DIRECTORY)
            fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield Folder(place, lock)
    finally:
        remove_tree(place)
        os.close(lock)


def sweep(pit: PitPaths) -> None:
    """Remove what nobody works in any more."""
    with suppress(OSError), _swept(pit):
        for place in pit.transit.iterdir():
            with suppress(OSError):
                lock = os.open(place, _DIRECTORY)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove_tree(place)
                finally:
                    os.close(lock)


@contextmanager
def _swept(pit: PitPaths) -> Iterator[None]:
    """Keep folders from being made and removed at once."""
    whole = os.open(pit.transit, _DIRECTORY)
    try:
        fcntl.flock(whole, fcntl.LOCK_EX)
        yield
    finally:
        os.close(whole)
