"""How long agents stand still for a checkpoint of a large tree, by what changed meanwhile.

The worker is driven over its pipes as the daemon does, and answered at once: what is measured is
all between its asking for the freeze and the thaw. Files are changed once its live pass has read
everything.
"""

from __future__ import annotations

import random
import statistics
from functools import partial
from pathlib import Path

from bench import checkpoint_trees
from bench.checkpoint_tools import Lazarus

SHARES = (0.0, 0.0001, 0.001)


def compare(cell: Path, place: Path, rounds: int, chance: random.Random) -> None:
    """Measure and print."""
    ours = Lazarus(cell, place / "store-pause")
    ours.prepare()
    ours.save()
    files = sorted(path for path in (cell / "workspace").rglob("*") if path.is_file())
    entries = sum(1 for _ in (cell / "workspace").rglob("*"))
    print(f"\npause at {entries:,} entries, {rounds} rounds: median (longest), ms\n")
    print(f"{'':24}{'with fanotify':>20}{'by a rescan':>20}")
    for share in SHARES:
        shown = []
        for fanotify in (True, False):
            pauses = []
            for _ in range(rounds):
                chosen = chance.sample(files, int(len(files) * share))
                ours.save(meanwhile=partial(checkpoint_trees.touch_up, chosen), fanotify=fanotify)
                pauses.append(ours.pause * 1e3)
                ours.forget_all_but_newest()
            shown.append(f"{statistics.median(pauses):.1f} ({max(pauses):.1f})")
        title = f"{int(len(files) * share):,} files changed"
        print(f"{title:24}{shown[0]:>20}{shown[1]:>20}", flush=True)
