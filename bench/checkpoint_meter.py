"""What a piece of work costs, when all of it is on the disk."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.linux.rename import sync_filesystem


class Cost(NamedTuple):
    """Seconds by the clock, and of processors."""

    wall: float
    cpu: float


def measured(work: Callable[[], object], place: Path) -> Cost:
    """Run and return the cost; all is on the disk when the clock starts, and when it stops."""
    _sync(place)  # Nobody pays for what others have left to be written.
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    work()
    _sync(place)  # Ours has done that itself; the others have not.
    wall = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, cpu)


def _sync(place: Path) -> None:
    fd = os.open(place, os.O_RDONLY)
    sync_filesystem(fd)
    os.close(fd)
