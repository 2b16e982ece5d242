"""Back to a checkpoint in place beside rsync from a copy: both mend the same edits in one tree."""

from __future__ import annotations

import random
import shutil
import statistics
from pathlib import Path

from bench import checkpoint_trees
from bench.checkpoint_meter import Cost, measured
from bench.checkpoint_tools import Lazarus, run

SHARES = (0.001, 0.01)


def compare(cell: Path, place: Path, rounds: int, chance: random.Random) -> None:
    """Measure and print; rsync that is not installed is named and left out."""
    has_rsync = shutil.which("rsync") is not None
    if not has_rsync:
        print("\nundo beside rsync: rsync is not installed and is left out: apt-get install rsync")
    ours = Lazarus(cell, place / "store-undo")
    ours.prepare()
    copy = place / "copy"
    run("cp", "-a", cell / "workspace", copy)
    print(f"\nundo in place, medians of {rounds} rounds\n")
    print(f"{'':18}{'lazarus undo':>24}{'rsync -a --delete':>24}{'times ours':>14}")
    for share in SHARES:
        costs = [_round(ours, copy, share, chance, rsync=has_rsync) for _ in range(rounds)]
        cells = [_text([one[tool] for one in costs]) for tool in range(1 + has_rsync)]
        ratio = [one[1].wall / one[0].wall for one in costs] if has_rsync else []
        times = f"{statistics.median(ratio):.1f}x" if ratio else ""
        absent = "" if has_rsync else "not installed"
        shown = [*cells, absent][:2]
        print(f"{f'{share:.1%} changed':18}{shown[0]:>24}{shown[1]:>24}{times:>14}", flush=True)


def _text(costs: list[Cost]) -> str:
    wall = statistics.median(cost.wall for cost in costs)
    cpu = statistics.median(cost.cpu for cost in costs)
    return f"{wall:.2f} s ({cpu:.2f} s)"


def _round(
    ours: Lazarus, copy: Path, share: float, chance: random.Random, *, rsync: bool
) -> list[Cost]:
    """Change and mend twice: by ours first, as only then the copy and the checkpoint are one."""
    workspace, place = ours.cell / "workspace", copy.parent
    ours.save()
    checkpoint_trees.change(workspace, share, chance)
    costs = [measured(lambda: ours.undo(place / "staging"), place)]
    if rsync:
        run("diff", "-r", "--no-dereference", copy, workspace)
        checkpoint_trees.change(workspace, share, chance)
        costs.append(measured(lambda: run("rsync", "-a", "--delete", f"{copy}/", workspace), place))
    return costs
