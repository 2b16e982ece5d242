"""What comes from elsewhere, and what is compared: the forms of the page, by keyboard and mouse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from browser.chromium import Page
from browser.conftest import HOSTILE, World
from browser.test_eyes import AXE, LOOK, shoot
from browser.test_lives import TAB, look_at
from integration.typing_it import process
from lazarus_pit.cells.layout import PitPaths


def lazarus(yard: World, *words: str) -> str:
    done = process(*words, "--config", str(yard.pit.config))
    assert done.code == 0, done
    return done.out.strip()


def look_over(page: Page, name: str) -> None:
    shoot(page, name)
    if AXE:
        page.js(Path(AXE).read_text(encoding="utf-8") + ";0")
        found = page.js(LOOK)
        assert found == [], json.dumps(found, indent=1)


def choose(page: Page, selector: str, file: Path) -> None:
    """Choose a file as its picker does, which no script may."""
    wanted = {"expression": f"document.querySelector({json.dumps(selector)})"}
    found = page.cdp("Runtime.evaluate", **wanted)["result"]["objectId"]
    page.cdp("DOM.setFileInputFiles", files=[str(file)], objectId=found)


def test_an_archive_becomes_a_cell(yard: World, tmp_path: Path) -> None:
    archive = tmp_path / "away.tar.gz"
    lazarus(yard, "cell", "export", yard.pond.uuid, str(archive))
    page = yard.page("operator")
    page.click("[data-opens=import]")
    page.wait("document.activeElement.name === 'archive'", "the file to choose")
    look_over(page, "import")
    choose(page, "[name=archive]", archive)
    page.click("[data-form=import] [name=name]")
    page.type("brought")
    page.press("Enter", 13, "\r")
    page.wait("document.querySelector('.viewhead h2')?.innerText === 'brought'", "the new cell")
    assert page.js("document.querySelector('[data-form=import]').hidden")
    made = PitPaths(yard.pit.root).cell(page.js("location.hash").split("/")[1])
    assert (made.workspace).is_dir()
    assert page.complaints() == []
    page.js("location.hash = '#/'")
    (tmp_path / "no.tar.gz").write_bytes(b"no archive")
    page.click("[data-opens=import]")
    choose(page, "[name=archive]", tmp_path / "no.tar.gz")
    page.click("[data-form=import] [type=submit]")
    page.wait("document.querySelector('#notice').innerText.includes('no.tar.gz: refused')")


@pytest.mark.parametrize("is_person", [True, False], ids=["person", "agent"])
def test_whoever_is_invited_joins(yard: World, *, is_person: bool) -> None:
    name = "ada-in" if is_person else "bot-in"
    flags = ["--human"] if is_person else []
    token = lazarus(yard, "invite", yard.pond.uuid, name, *flags)
    page = yard.page("operator")
    page.js("document.querySelector('[data-opens=join]').focus()")
    page.press("Enter", 13, "\r")
    page.wait("document.activeElement.name === 'token'", "the token to write")
    page.type(f"lazarus join {token}")
    page.press(*TAB)
    if not is_person:
        page.type("sleep\n600")
        look_over(page, "join")
    page.press(*TAB)
    page.press(*TAB)
    page.press(*TAB)
    assert page.js("document.activeElement.type") == "submit"
    page.press("Enter", 13, "\r")
    page.wait("document.querySelector('[data-form=join]').hidden", "the end of it")
    page.wait("document.activeElement.dataset.opens === 'join'", "the keyboard back there")
    yard.pit.wait_event(yard.pond, "agent_joined", name)
    if not is_person:
        yard.pit.wait_event(yard.pond, "agent_started", name)
    page.wait(f"document.querySelector('.square[data-agent={name}]')", "the newcomer")
    assert page.complaints() == []


def test_escape_shuts_a_form(yard: World) -> None:
    page = yard.page("operator")
    page.click("[data-opens=join]")
    page.wait("document.activeElement.name === 'token'", "the token to write")
    page.press("Escape", 27)
    page.wait("document.activeElement.dataset.opens === 'join'", "the keyboard back there")
    assert page.js("document.activeElement.getAttribute('aria-expanded')") == "false"


def test_checkpoints_are_checked_and_compared(yard: World) -> None:
    cell = yard.pit.cell(name="tide")
    (cell.workspace / "page").write_text("first")
    lazarus(yard, "checkpoint", cell.uuid)
    (cell.workspace / "page").write_text("second")
    (cell.workspace / HOSTILE).write_text("")
    lazarus(yard, "checkpoint", cell.uuid)
    page = yard.page("operator")
    look_at(page, cell)
    page.click(".saved > li [data-verb=verify]")
    page.wait("document.querySelector('#notice').innerText.includes('is sound')", "that it is")
    page.click("[data-opens=diff]")
    page.wait("document.activeElement.name === 'old'", "the one to choose")
    page.click("[data-form=diff] [type=submit]")
    said = page.wait("document.querySelector('[data-form=diff] pre').innerText", "what changed")
    assert "workspace/page" in said
    assert HOSTILE.replace(" ", "\\040") in said
    page.js("document.querySelector('[data-form=diff]').scrollIntoView()")
    look_over(page, "diff")
    victim = max(cell.checkpoints.glob("*.tar*"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 0xFF
    victim.write_bytes(data)
    page.click(".saved > li [data-verb=verify]")
    page.wait("document.querySelector('#notice').innerText.includes('refused')", "that it is not")
    assert page.js("window.harmed") is None


def test_a_viewer_is_offered_none_of_it(yard: World) -> None:
    page = yard.page("viewer")
    look_at(page, yard.pond)
    shown = "[...document.querySelectorAll('[data-opens], .saved button')]"
    assert page.js(f"{shown}.filter((one) => one.checkVisibility()).length") == 0
