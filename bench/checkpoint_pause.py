"""How long agents stand still for a checkpoint of a large tree, by what changed meanwhile.

The worker is driven over its pipes as the daemon does, and answered at once: what is measured is
all between its asking for the freeze and the thaw. Files are changed when its live pass has read
everything, or, which is the worst that can be, right before it asks for the freeze.
"""

from __future__ import annotations

import random
import statistics
from functools import partial
from pathlib import Path

from bench import checkpoint_trees
from bench.checkpoint_tools import Lazarus

SHARES = (0.0, 0.0001, 0.001)
WAYS = {"fanotify": ("fanotify",), "inotify": ("inotify",), "a rescan": ()}
WHEN = {"after the live pass": "follow", "right before the freeze": "freeze"}


def compare(cell: Path, place: Path, rounds: int, chance: random.Random) -> None:
    """Measure and print."""
    ours = Lazarus(cell, place / "store-pause")
    ours.prepare()
    ours.save()
    files = sorted(path for path in (cell / "workspace").rglob("*") if path.is_file())
    entries = sum(1 for _ in (cell / "workspace").rglob("*"))
    print(f"\npause at {entries:,} entries, {rounds} rounds: median (longest), ms\n")
    print(f"{'':48}" + "".join(f"{way:>20}" for way in WAYS))
    for when, stage in WHEN.items():
        for share in SHARES:
            count = int(len(files) * share)
            found: dict[str, list[float]] = {way: [] for way in WAYS}
            for _ in range(rounds):
                for way in chance.sample(list(WAYS), len(WAYS)):
                    change = partial(checkpoint_trees.touch_up, chance.sample(files, count))
                    # Whoever hears of nothing has no stage in which to follow changes.
                    at = stage if WAYS[way] else "freeze"
                    ours.save(meanwhile=change, at=at, follow=WAYS[way])
                    found[way].append(ours.pause * 1e3)
                    ours.forget_all_but_newest()
            cells = [f"{statistics.median(one):.1f} ({max(one):.1f})" for one in found.values()]
            title = f"{count:,} files changed {when}"
            print(f"{title:48}" + "".join(f"{cell:>20}" for cell in cells), flush=True)
