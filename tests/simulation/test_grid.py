from __future__ import annotations

import os
from pathlib import Path

from simulation import grid

GOLDEN = Path(__file__).with_name("grid.txt")


def test_every_phase_and_every_fact_has_a_line() -> None:
    assert grid.undecided() == []


def test_the_grid_is_as_agreed() -> None:
    """A change here is a change of what the pit does: look at the difference, then rewrite."""
    page = grid.render()
    if os.environ.get("LAZARUS_REWRITE"):
        GOLDEN.write_text(page, encoding="utf-8")
    assert page == GOLDEN.read_text(encoding="utf-8")
