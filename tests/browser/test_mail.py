"""A person writes on the page, and mail is shown as the text that it is."""

from __future__ import annotations

from pathlib import Path

from browser.conftest import HOSTILE, World
from browser.test_eyes import AXE, LOOK, shoot
from browser.test_lives import look_at
from lazarus_pit.core.model import Role
from lazarus_pit.formats.manifest import Kind


def test_a_person_writes_and_sees_it_lie_there(world: World) -> None:
    world.pit.spawn(world.pond, "ada", kind=Kind.HUMAN, role=Role.COORDINATOR)
    page = world.page("operator")
    look_at(page, world.pond)
    page.click("[aria-expanded=false]")
    page.wait("document.activeElement.name === 'body'", "the text to write")
    page.type(f"Read this. {HOSTILE}")
    page.js("document.querySelector('.mailform [name=to]').value = '*'")
    page.click(".mailform [type=submit]")
    page.wait("document.querySelector('.mails li')", "the mail")
    said = page.text(".mails li")
    assert HOSTILE in said
    assert "ada → " in said
    assert "waits" in said
    page.js("document.querySelector('.mailform').scrollIntoView()")
    shoot(page, "mail")
    if AXE:
        page.js(Path(AXE).read_text(encoding="utf-8") + ";0")
        assert page.js(LOOK) == []
    assert page.js("window.harmed") is None
    assert page.complaints() == []


def test_a_viewer_only_reads(world: World) -> None:
    page = world.page("viewer")
    look_at(page, world.pond)
    assert page.js("document.querySelector('[aria-expanded]').checkVisibility()") is False
