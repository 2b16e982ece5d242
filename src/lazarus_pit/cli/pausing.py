"""Stop every agent of a cell for a while, and let exactly those run again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from msgspec.structs import replace

from lazarus_pit.cells import store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.pause import paused
from lazarus_pit.cli import say
from lazarus_pit.cli.endings import lives_of
from lazarus_pit.cli.pulse import feel
from lazarus_pit.config import Config
from lazarus_pit.core.model import Desired, Seconds
from lazarus_pit.errors import RefusedError
from lazarus_pit.formats.manifest import Manifest

LOOK_AGAIN: Seconds = 0.05
"""Between two looks at lives that are ending: nobody tells a command when they are gone."""


@contextmanager
def stopped(config: Config, paths: CellPaths, seconds: Seconds) -> Iterator[None]:
    """Hold every agent of a cell stopped; whatever becomes of us, they run again afterwards.

    Raises:
        RefusedError: something still lives, or another command holds the cell.
    """
    watched = feel(PitPaths(paths.root)).up
    if not watched and lives_of(config, paths):
        raise RefusedError(
            "agents of this cell still live and no daemon is there to stop them: `lazarus up`"
        )
    with paused(paths):
        deadline = time.monotonic() + seconds
        while left := lives_of(config, paths):
            if time.monotonic() >= deadline:
                raise RefusedError(
                    f"{say.count(len(left), 'agent')} still live after {say.span(seconds)}: "
                    "nothing was changed"
                )
            time.sleep(LOOK_AGAIN)
        yield


def resume(paths: CellPaths, running: frozenset[str]) -> None:
    """Want these agents running again."""
    _want(paths, running, Desired.RUN)


def _want(paths: CellPaths, names: frozenset[str], desired: Desired) -> None:
    def change(old: Manifest) -> Manifest:
        members = tuple(
            replace(member, desired=desired) if member.name in names else member
            for member in old.agents
        )
        return replace(old, agents=members)

    store.update_manifest(paths, change)
