"""A cell is saved to a file; another is destroyed by who agrees; one that sleeps is shown so."""

from __future__ import annotations

import tarfile
from pathlib import Path

from browser.chromium import Page
from browser.conftest import World
from browser.test_lives import look_at
from lazarus_pit.cells.provision import move_cell
from lazarus_pit.core.model import CellStatus

BUTTON = ".viewhead [data-verb={}]:not([hidden])"


def press(page: Page, verb: str) -> None:
    selector = BUTTON.format(verb)
    page.wait(f"document.querySelector('{selector}')", verb)
    page.click(selector)


def test_a_cell_is_exported(world: World, tmp_path: Path) -> None:
    page = world.page("operator")
    page.cdp("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    look_at(page, world.pond)
    press(page, "export")
    name = f"pond-{world.pond.uuid[:8]}.tar.gz"
    world.pit.wait((tmp_path / name).exists, "the file")
    with tarfile.open(tmp_path / name) as archive:
        assert any(one.name.endswith("cell.json") for one in archive)
    assert page.complaints() == []


def test_work_is_lost_only_after_it_was_named(world: World) -> None:
    cell = world.pit.cell(name="puddle")
    move_cell(cell, CellStatus.ARCHIVED)
    (cell.workspace / "only-here").write_text("work")
    page = world.page("operator")
    page.js(f"location.hash = '#/{cell.uuid}/'")
    for answer, said in (("#ask-no", "Destroy puddle?"), ("#ask-yes", "Destroy puddle?")):
        press(page, "destroy")
        page.wait(f"document.querySelector('#ask-title').textContent === '{said}'", "a question")
        page.click(answer)
    page.wait("document.querySelector('#ask-title').textContent === 'Lose work of puddle?'", "more")
    said = page.text("#ask-text")
    assert "only-here" in said
    assert "--token" not in said
    assert cell.cell.exists()
    page.click("#ask-yes")
    world.pit.wait(lambda: not cell.cell.exists(), "the end of it")
    page.wait(
        "document.querySelector('#notice').textContent.startsWith('destroy puddle: cell')", ""
    )


def test_one_that_sleeps_is_shown_so(world: World) -> None:
    cell = world.pit.cell(name="nap", idle_freeze_after=0.5)
    world.pit.spawn(cell, "dozer", "sleep", "600")
    page = world.page("operator")
    page.js(f"location.hash = '#/{cell.uuid}/'")
    page.wait("document.querySelector('.viewhead .tone')?.textContent === 'asleep'", "asleep")
    press(page, "thaw")
    world.pit.wait_event(cell, "cell_thawed")
    move_cell(cell, CellStatus.ARCHIVED)
