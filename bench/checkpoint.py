"""Checkpoints beside tar, pigz, zstd, restic and borg: pause, time, processor, size, restore.

    python -m bench.checkpoint [--files 30000] [--rounds 3] [--entries 100000] [--json FILE]
                               [--under DIR]

Every round runs all tools on the same tree in random order: a first save, a save after 1 % of the
files changed, a save with nothing changed, a restore. A peer that is not installed is named and
left out (``apt-get install pigz zstd restic borgbackup``). ``pause`` is how long agents would have
to stand still for a sound copy: ours is what the worker measured; for an incremental tool the
shortest there is, a second run with nothing changed while they are frozen; for others a whole run.
Then ``lazarus undo`` beside ``rsync -a --delete``, and the pause of ours at ``--entries``.

Nothing that was restored is removed before the end: ext4 without a journal passes over inodes that
were removed in the last minutes one by one, and the next tool to make files would pay for that.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from bench import checkpoint_pause, checkpoint_trees, checkpoint_undo
from bench.checkpoint_meter import measured
from bench.checkpoint_tools import TOOLS, Lazarus, Tool

CHANGED = 0.01
WORDS = {
    "pause_ms": "pause, ms",
    "first_s": "first save, s",
    "first_cpu_s": "  processor, s",
    "size_mb": "  stored, MB",
    "again_s": "1 % changed, s",
    "again_cpu_s": "  processor, s",
    "growth_mb": "  stored more, MB",
    "restore_s": "restore, s",
    "restore_cpu_s": "  processor, s",
}
Figures = dict[str, float]


def megabytes(store: Path) -> float:
    return sum(path.stat().st_size for path in store.rglob("*") if path.is_file()) / 1e6


def one_round(cell: Path, place: Path, kinds: list[type[Tool]], chance: random.Random) -> Any:
    """Measure every tool once on the same tree."""
    tools = [kind(cell, place / f"store-{kind.__name__}") for kind in kinds]
    figures: dict[str, Figures] = {tool.name: {} for tool in tools}
    for tool in chance.sample(tools, len(tools)):
        tool.prepare()
        found = figures[tool.name]
        found["first_s"], found["first_cpu_s"] = measured(tool.save, place)
        found["size_mb"] = megabytes(tool.store)
    checkpoint_trees.change(cell / "workspace", CHANGED, chance)
    for tool in chance.sample(tools, len(tools)):
        found = figures[tool.name]
        found["again_s"], found["again_cpu_s"] = measured(tool.save, place)
        found["growth_mb"] = megabytes(tool.store) - found["size_mb"]
        found["pause_ms"] = pause_of(tool, found, place) * 1e3
    for tool in chance.sample(tools, len(tools)):
        target = Path(tempfile.mkdtemp(prefix="out-", dir=place)) / "out"
        found = figures[tool.name]
        restore = partial(tool.restore, target)
        found["restore_s"], found["restore_cpu_s"] = measured(restore, place)
    for tool in tools:
        shutil.rmtree(tool.store)
    return figures


def pause_of(tool: Tool, found: Figures, place: Path) -> float:
    if not tool.keeps_increments:
        return found["again_s"]
    wall, _ = measured(tool.save, place)
    return tool.pause if isinstance(tool, Lazarus) else wall


def summed(rounds: list[dict[str, Figures]]) -> dict[str, Figures]:
    return {
        name: {key: statistics.median(one[name][key] for one in rounds) for key in WORDS}
        for name in rounds[0]
    }


def show(title: str, rounds: list[dict[str, Figures]]) -> None:
    """Print medians, and for each peer the median of the ratios within a round."""
    found = summed(rounds)
    names = list(found)
    print(f"\n{title}, medians of {len(rounds)} rounds (in brackets: times ours)\n")
    print(f"{'':18}" + "".join(f"{name:>20}" for name in names))
    for key, word in WORDS.items():
        cells = []
        for name in names:
            ratios = [one[name][key] / max(one["lazarus"][key], 1e-9) for one in rounds]
            ratio = "" if name == "lazarus" else f" ({statistics.median(ratios):.1f}x)"
            cells.append(f"{found[name][key]:,.2f}{ratio}")
        print(f"{word:18}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=30_000, help="small files, 0: no such tree")
    parser.add_argument("--large", type=int, default=8, help="files of 64 MiB, 0: no such tree")
    parser.add_argument("--entries", type=int, default=0, help="files in the tree for the pause")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--under", default=None, help="directory to work in")
    parser.add_argument("--json", default=None, help="file to write all figures to")
    options = parser.parse_args()
    kinds = [kind for kind in TOOLS if not kind(Path(), Path()).missing()]
    for kind in TOOLS:
        if kind not in kinds:
            print(f"{kind.name} is not here and is left out: apt-get install {kind.package}")
    report = {}
    chance = random.Random(checkpoint_trees.SEED)
    with tempfile.TemporaryDirectory(dir=options.under) as name:
        for title, count in (
            ("many small files", options.files),
            ("a few large files", options.large),
        ):
            if not count:
                continue
            place = Path(name) / title.split()[-2]
            cell = place / "cell"
            workspace = cell / "workspace"
            workspace.mkdir(parents=True)
            if title.startswith("many"):
                checkpoint_trees.small_files(workspace, options.files)
            else:
                checkpoint_trees.large_files(workspace, options.large, 64 << 20)
            rounds = [one_round(cell, place, kinds, chance) for _ in range(options.rounds)]
            report[title] = rounds
            show(f"{title}: {megabytes(workspace):,.0f} MB", rounds)
            if title.startswith("many"):
                checkpoint_undo.compare(cell, place, options.rounds, chance)
        if options.entries:
            place = Path(name) / "entries"
            checkpoint_trees.small_files(place / "cell" / "workspace", options.entries)
            checkpoint_pause.compare(place / "cell", place, options.rounds, chance)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
