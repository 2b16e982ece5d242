"""One switch for the fleet: every cell stands still, and moves again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from integration.pit import Pit
from integration.test_daemon_lives import BEATING, sh
from integration.typing_it import Typist
from lazarus_pit.cells import store
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    pit.start()
    yield pit
    pit.close()


def is_running(pit: Pit, cell: CellPaths) -> bool:
    health = pit.health(cell).get("worker")
    return health is not None and health.phase == "running" and health.pid is not None


def test_all_cells_stand_still_and_move_again_but_archived_ones(pit: Pit) -> None:
    lazarus = Typist(pit.root, pit.config)
    cells = [pit.cell(name=name) for name in ("pond", "lake")]
    ended = pit.cell(name="gone")
    assert lazarus("cell", "archive", "gone").code == 0
    for cell in cells:
        pit.spawn(cell, "worker", *sh(BEATING))
    for cell in cells:
        pit.wait(partial(is_running, pit, cell), "the state that the command reads")
    said = lazarus("freeze", "--all")
    assert (said.code, said.out.count("worker stands still")) == (0, 2)
    assert {store.read_manifest(cell).status for cell in cells} == {CellStatus.FROZEN}
    assert store.read_manifest(ended).status is CellStatus.ARCHIVED
    assert "no cell is active" in lazarus("freeze", "--all").out
    said = lazarus("thaw", "--all")
    assert (said.code, said.out.count("worker moves again")) == (0, 2)
    assert {store.read_manifest(cell).status for cell in cells} == {CellStatus.ACTIVE}


def test_a_cell_that_cannot_be_read_keeps_no_other_back(tmp_path: Path) -> None:
    lazarus = Typist(tmp_path / "missions")
    good, bad = (
        lazarus("cell", "create", "--name", name, "--mission", "m").out.strip()
        for name in ("good", "bad")
    )
    (lazarus.root / bad / "cell.json").write_text("{")
    said = lazarus("freeze", "--all")
    assert said.code == 1
    assert f"{bad[:8]} is passed over" in said.err
    assert lazarus("cell", "show", good, "--json").json()["status"] == "frozen"


@pytest.mark.parametrize("words", [(), ("pond", "--all")])
def test_it_is_one_cell_or_all(tmp_path: Path, words: tuple[str, ...]) -> None:
    said = Typist(tmp_path / "missions").fails(2, "thaw", *words)
    assert "expected a CELL or --all" in said
