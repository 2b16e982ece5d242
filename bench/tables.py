"""Tables of figures, and ratios against the best peer of the same run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

OURS = "lazarus"


def show(report: Mapping[str, Any], words: Mapping[str, str]) -> None:
    """Print everything that a run has found."""
    machine = ", ".join(f"{name} {value}" for name, value in report["machine"].items())
    print(f"\n{machine}\nagent: {report['agent']}\nrules: {report['rules']}")
    for count, found in report["side_by_side"].items():
        print(f"\n{count} agents, side by side\n")
        _side_by_side(found, words)
    for count, figures in report["own"].items():
        print(f"\n{count} agents, the pit alone\n")
        for name, value in figures.items():
            print(f"  {name:46} {_number(value)}")


def _side_by_side(found: Mapping[str, Mapping[str, float]], words: Mapping[str, str]) -> None:
    names = list(found)
    peers = [name for name in names if not name.startswith(OURS)]
    width = max(len(word) for word in words.values())
    heads = [*names, *([f"{OURS} / best peer"] if OURS in names and peers else [])]
    print(f"{'':{width}}  " + "  ".join(f"{head:>13}" for head in heads))
    for key, word in words.items():
        cells = [_number(found[name][key]) for name in names]
        if len(heads) > len(names):
            cells.append(_ratio(found, key, peers))
        print(f"{word:{width}}  " + "  ".join(f"{cell:>13}" for cell in cells))
    lost = {name: found[name]["lost"] for name in names if found[name]["lost"]}
    if lost:
        print(f"replacements that did not come in time: {lost}")


def _ratio(found: Mapping[str, Mapping[str, float]], key: str, peers: list[str]) -> str:
    values = {name: found[name][key] for name in peers if not math.isnan(found[name][key])}
    if not values:
        return "-"
    best = min(values, key=lambda name: values[name])
    if values[best] < 0.005:
        return f"({best})"
    return f"{found[OURS][key] / values[best]:.2f} ({best})"


def _number(value: object) -> str:
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"
