"""What was copied while the agents ran is used only where it is what stood still in the end."""

from __future__ import annotations

import time
from pathlib import Path
from shutil import rmtree

import pytest

from integration.saving import make_cell, save, unpack, verify
from launching import until
from lazarus_pit.cells.checkpoint.capture import GRAIN_NS
from lazarus_pit.cells.checkpoint.ears import FOLLOW
from trees import picture

WAYS = pytest.mark.parametrize("follow", [*[(way,) for way in FOLLOW], ()])


def age(path: Path) -> None:
    """Wait until the file is not young any more."""
    until(lambda: time.time_ns() > path.stat().st_ctime_ns + 2 * GRAIN_NS, "an old file")


@pytest.mark.root
@WAYS
def test_what_was_swapped_and_swapped_back_is_saved_as_it_stands(
    tmp_path: Path, follow: tuple[str, ...]
) -> None:
    cell = make_cell(tmp_path)
    work = cell / "workspace"
    for name in ("one", "two"):
        (work / name).mkdir()
        (work / name / "file").write_text(name)
    age(work / "two" / "file")

    def swap() -> None:
        (work / "one").rename(work / "away")
        (work / "two").rename(work / "one")
        (work / "away").rename(work / "two")

    saved = save(cell, earlier=swap, meanwhile=swap, follow=follow)
    verify(saved.archive)
    unpack(saved.archive, tmp_path / "copy")
    assert picture(tmp_path / "copy" / "workspace") == picture(work)


@pytest.mark.root
@WAYS
def test_a_file_changed_through_a_name_that_is_gone_at_the_freeze_is_saved(
    tmp_path: Path, follow: tuple[str, ...]
) -> None:
    cell = make_cell(tmp_path)
    work = cell / "workspace"
    (work / "file").write_text("before")
    age(work / "file")

    def change() -> None:
        (work / "made").mkdir()
        (work / "made" / "name").hardlink_to(work / "file")
        (work / "made" / "name").write_text("changed")

    saved = save(
        cell,
        earlier=change,
        meanwhile=lambda: rmtree(work / "made", ignore_errors=True),
        follow=follow,
    )
    unpack(saved.archive, tmp_path / "copy")
    assert picture(tmp_path / "copy" / "workspace") == picture(work)
