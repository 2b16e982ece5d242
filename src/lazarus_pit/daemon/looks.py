"""A fresh look at one life right before a verdict: beats, output, files, processor time.

Taken outside the loop's thread, since a workspace may be large; bounded, since it is hostile.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections import deque
from typing import NamedTuple

from lazarus_pit.core.model import Life, Look
from lazarus_pit.sandboxes import lives

SAMPLE_SECONDS = 0.25
"""Over how long processor time is measured."""
COMPUTING_SHARE = 0.05
"""From which share of one processor on a silent life counts as computing."""
CLOCK_GRAIN = 0.05
"""File systems stamp with a clock that ticks; a stamp may seem younger than now by so much."""
FILES_LIMIT = 20_000
"""Entries of a workspace that one look reads at most."""


class Sights(NamedTuple):
    """Where to look: paths of one agent, empty where it has none or cannot be told from others."""

    heartbeat: str
    log: str
    workspace: str
    offsets: tuple[float, ...]
    """Wall clock minus monotonic clock at the start of the life and now: two, if it was stepped."""


async def look(life: Life, sights: Sights) -> Look:
    """Take a fresh look; what cannot be seen is ``None``."""
    before = lives.computing(life)
    await asyncio.sleep(SAMPLE_SECONDS)
    after = lives.computing(life)
    computing = None
    if before is not None and after is not None:
        computing = (after - before) / 1e6 >= SAMPLE_SECONDS * COMPUTING_SHARE
    return await asyncio.to_thread(_ages, life, sights, computing=computing)


def _ages(life: Life, sights: Sights, *, computing: bool | None) -> Look:
    return Look(
        beat_age=_age(sights.heartbeat, sights.offsets),
        output_age=_age(sights.log, sights.offsets),
        files_age=_newest_age(sights.workspace, sights.offsets) if sights.workspace else None,
        computing=computing,
        stopped=lives.stopped(life),
    )


def clock_offset() -> float:
    """Return wall clock minus monotonic clock in seconds: it moves when the clock is stepped."""
    return time.time() - time.monotonic()


def age_of(mtime: float, offsets: tuple[float, ...], now: float) -> float | None:
    """Age of a time stamp of the wall clock on the monotonic line, whatever the clock was stepped.

    A stamp was made under one of the offsets; under the wrong one it lies in the future or too
    far in the past, so the youngest possible age is the right one. A stamp that lies in the future
    under all of them was forged, and says nothing.
    """
    ages = [age for offset in offsets if (age := now + offset - mtime) >= -CLOCK_GRAIN]
    return max(0.0, min(ages)) if ages else None


def _age(path: str, offsets: tuple[float, ...]) -> float | None:
    if not path:
        return None
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return age_of(status.st_mtime, offsets, time.monotonic())


def _newest_age(top: str, offsets: tuple[float, ...]) -> float | None:
    """Age of the newest change below ``top``; breadth first, bounded, links not followed."""
    now = time.monotonic()
    newest: float | None = None
    left = FILES_LIMIT
    folders = deque([top])
    while folders and left > 0:
        try:
            with os.scandir(folders.popleft()) as entries:
                for entry in itertools.islice(entries, left):
                    left -= 1
                    with contextlib.suppress(OSError):  # It may go away while we look.
                        age = age_of(entry.stat(follow_symlinks=False).st_mtime, offsets, now)
                        if age is not None and (newest is None or age < newest):
                            newest = age
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(entry.path)
        except OSError:
            continue
    return newest
