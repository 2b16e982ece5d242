"""Whether a daemon watches this root, and what it last said about itself."""

from __future__ import annotations

import time

from msgspec import Struct

from lazarus_pit.cells.files import read_hostile
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli.say import span
from lazarus_pit.core.model import Seconds
from lazarus_pit.daemon import standing
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import text

_LIMIT = 64 * 1024


class Report(Struct, frozen=True, kw_only=True):
    """``daemon.json``: what a daemon says about itself at every sweep."""

    pid: int
    last_sweep: float
    sandbox: str = ""
    unconfined: bool = False
    cgroups: str = ""
    store: str = ""
    unwatched: int = 0


class Pulse(Struct, frozen=True, kw_only=True):
    """The daemon as seen from outside. ``report`` may be of one that has ended."""

    up: bool
    report: Report | None = None

    @property
    def age(self) -> Seconds | None:
        """Since its last sweep; ``None`` where there was none."""
        return max(0.0, time.time() - self.report.last_sweep) if self.report else None


def feel(pit: PitPaths) -> Pulse:
    """Look for the daemon of this root: the lock tells whether it lives."""
    report = None
    try:
        data = read_hostile(pit.daemon, _LIMIT)
        report = text.decode(data, Report, str(pit.daemon)) if data else None
    except (FormatError, StoreError):
        report = None  # What it said cannot be read; whether it lives, the lock still tells.
    return Pulse(up=standing.is_held(pit.lock), report=report)


def headline(pit: PitPaths, pulse: Pulse) -> str:
    """Say it on one line: up or down, since when unseen, what holds the agents."""
    report = pulse.report
    if not pulse.up:
        seen = f"; last seen {_ago(pulse)}" if report else ""
        return f"the pit is DOWN below {pit.root}{seen}; agents that run go on unwatched"
    if report is None:
        return f"the pit is up below {pit.root}"
    trouble = [] if report.store in ("", "ok") else [f"RECORDS NOT WRITTEN: {report.store}"]
    if report.unwatched:
        trouble.append(f"{report.unwatched} watches refused by the kernel, polled instead")
    return ", ".join(
        [
            f"the pit is up below {pit.root}: pid {report.pid}",
            f"last sweep {_ago(pulse)}",
            f"sandbox {sandbox_word(report)}",
            *trouble,
        ]
    )


def sandbox_word(report: Report) -> str:
    """Name what holds the agents; nobody may overlook that nothing does."""
    return f"UNCONFINED ({report.sandbox})" if report.unconfined else report.sandbox or "unknown"


def _ago(pulse: Pulse) -> str:
    return f"{span(pulse.age)} ago"
