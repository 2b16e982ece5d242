"""Signs of progress on a terminal: a bar, a word, a number; each gone when the work is done."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from lazarus_pit.cells.checkpoint.worker import Progress
from lazarus_pit.core.model import Seconds

_EVERY: Seconds = 0.1
"""Between two numbers that are shown."""


def progress(at: Progress) -> None:
    """Draw a bar on a terminal; elsewhere say each stage once, when it is done."""
    if sys.stderr.isatty():
        _draw(f"{at.stage:10} [{'#' * round(at.done * 30):30}]")
    elif at.done >= 1.0:
        print(f"lazarus: {at.stage}: done", file=sys.stderr, flush=True)


@contextmanager
def shown(what: str = "") -> Iterator[Callable[[Progress], None]]:
    """Show on a terminal what is done meanwhile; what is yielded draws a bar there, else nothing.

    Whatever was drawn within is wiped away at the end.
    """
    on_terminal = sys.stderr.isatty()
    if on_terminal and what:
        _draw(f"{what} …")
    try:
        yield progress if on_terminal else lambda _: None
    finally:
        if on_terminal:
            _draw("")


def counting(what: str) -> Callable[[int], None]:
    """Return what is called with how many more are done, and shows the sum on a terminal."""
    total, latest = 0, 0.0

    def count(more: int) -> None:
        nonlocal total, latest
        total += more
        if sys.stderr.isatty() and time.monotonic() - latest >= _EVERY:
            latest = time.monotonic()
            _draw(f"{what}: {total:,}")

    return count


def _draw(text: str) -> None:
    print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
