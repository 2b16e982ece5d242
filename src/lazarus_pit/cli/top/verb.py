"""``lazarus top``: what it needs before anything is drawn."""

from __future__ import annotations

import os
import sys

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli.place import HERE, Place
from lazarus_pit.errors import UsageError

STREAMS = ("stdin", "stdout", "stderr")


def top(*, place: Place = HERE) -> int:
    """Watch the fleet and act on it. Works with the daemon up or down; q leaves."""
    config = place.settings()
    pit = PitPaths(config.root)
    if not pit.root.is_dir():
        found = "a file" if pit.root.exists() else "nothing"
        raise UsageError(
            f"--root: {pit.root}: found {found}, expected the directory of the mission cells "
            "(`lazarus cell create` makes it)"
        )
    for name in STREAMS:
        if not getattr(sys, name).isatty():
            raise UsageError(
                f"top: {name} is no terminal; `lazarus status --json` says the same to programs"
            )
    if os.environ.get("TERM", "") in ("", "dumb"):
        raise UsageError(
            f"TERM: found {os.environ.get('TERM', '')!r}, expected a terminal that can be drawn on"
        )
    from lazarus_pit.cli.top.app import Top  # noqa: PLC0415 - Textual takes a while to load

    view = Top(config)
    view.run()
    return view.return_code or 0
