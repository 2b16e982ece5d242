"""What was copied while the agents ran is used only where it is what stood still in the end."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from integration.saving import make_cell, save, unpack, verify
from launching import until
from lazarus_pit.cells.checkpoint.capture import GRAIN_NS
from lazarus_pit.cells.checkpoint.ears import FOLLOW
from trees import picture


@pytest.mark.root
@pytest.mark.parametrize("follow", [*[(way,) for way in FOLLOW], ()])
def test_what_was_swapped_and_swapped_back_is_saved_as_it_stands(
    tmp_path: Path, follow: tuple[str, ...]
) -> None:
    cell = make_cell(tmp_path)
    work = cell / "workspace"
    for name in ("one", "two"):
        (work / name).mkdir()
        (work / name / "file").write_text(name)
    written = (work / "two" / "file").stat().st_ctime_ns
    until(lambda: time.time_ns() > written + 2 * GRAIN_NS, "files that are not young")

    def swap() -> None:
        (work / "one").rename(work / "away")
        (work / "two").rename(work / "one")
        (work / "away").rename(work / "two")

    saved = save(cell, earlier=swap, meanwhile=swap, follow=follow)
    verify(saved.archive)
    unpack(saved.archive, tmp_path / "copy")
    assert picture(tmp_path / "copy" / "workspace") == picture(work)
