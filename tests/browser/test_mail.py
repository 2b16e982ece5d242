"""A person writes on the page, mail is shown as the text that it is, and others are invited."""

from __future__ import annotations

import subprocess
import sys
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
    page.click("[data-opens=mail]")
    page.wait("document.activeElement.name === 'body'", "the text to write")
    page.type(f"Read this. {HOSTILE}")
    page.js("document.querySelector('[data-form=mail] [name=to]').value = '*'")
    page.click("[data-form=mail] [type=submit]")
    page.wait("document.querySelector('.mails li')", "the mail")
    said = page.text(".mails li")
    assert HOSTILE in said
    assert "ada → " in said
    assert "waits" in said
    page.js("document.querySelector('[data-form=mail]').scrollIntoView()")
    shoot(page, "mail")
    if AXE:
        page.js(Path(AXE).read_text(encoding="utf-8") + ";0")
        assert page.js(LOOK) == []
    assert page.js("window.harmed") is None
    assert page.complaints() == []


def test_a_viewer_only_reads(world: World) -> None:
    page = world.page("viewer")
    look_at(page, world.pond)
    assert (
        page.js("[...document.querySelectorAll('[data-opens]')].some((n) => n.checkVisibility())")
        is False
    )


def test_somebody_is_invited_comes_and_is_taken_out(world: World) -> None:
    page = world.page("operator")
    look_at(page, world.pond)
    page.click("[data-opens=invite]")
    page.wait("document.activeElement.name === 'name'", "the name to write")
    page.type("guest")
    page.click("[data-form=invite] [name=human]")
    page.press("Enter", 13, "\r")
    said = page.wait("document.querySelector('.given').innerText", "the token")
    assert str(said).startswith("lazarus join invite-")
    with world.site.by_socket() as client:
        assert str(said).split()[-1] not in client.get("/api/v1/operations").text
    argv = [sys.executable, "-m", "lazarus_pit", *str(said).split()[1:]]
    subprocess.run([*argv, "--config", str(world.pit.config)], check=True, capture_output=True)
    page.wait("document.querySelector('.member[data-agent=guest]')", "the guest")
    look_at(page, world.pond, "guest")
    page.click(".viewhead [data-verb=kick]")
    page.click("#ask-yes")
    page.wait("document.querySelector('.viewhead').innerText.includes('no longer a member')")
    # Who looked at the guest may have asked once more while it went: that is a 404, and no fault.
    assert not [one for one in page.complaints() if "/agents/guest/" not in one]
