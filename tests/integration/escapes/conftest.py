"""Walls, and an outside to get at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from launching import Nest, open_way, own_tree
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap
from outside import Outside


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("furniture"))


@pytest.fixture
def walls(scratch: str) -> Iterator[Bubblewrap]:
    bwrap, notes = find_bwrap()
    if bwrap is None:
        pytest.skip(f"no working bubblewrap: {notes}")
    with own_tree() as tree:
        yield Bubblewrap(bwrap, scratch, tree)


@pytest.fixture
def outside(tmp_path: Path) -> Outside:
    open_way(tmp_path)
    return Outside(Nest(tmp_path), tmp_path)
