"""A thousand agents: little is touched when one changes; a hidden tab gives its stream back."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from browser.chromium import Page, chromium
from browser.conftest import World
from integration.pit import Pit
from integration.website import Website, website
from lazarus_pit.cells import store
from lazarus_pit.core.model import Role
from lazarus_pit.formats.manifest import Kind, Manifest, Member

CELLS, MEMBERS = 20, 50
TOUCHED = """
window.touched = 0;
new MutationObserver((records) => { window.touched += records.length; }).observe(
  document.querySelector('#cells-list'),
  { subtree: true, childList: true, attributes: true, characterData: true });
"""


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[tuple[Pit, Website, Page]]:
    """A thousand members of cells that no daemon watches: what the page shows is on disk."""
    pit = Pit(tmp_path)
    names = [f"agent-{number}" for number in range(MEMBERS)]
    member = Member(name="", role=Role.DEVELOPER, command=("true",))
    for number in range(CELLS):
        pit.cell(name=f"cell {number}", agents=tuple(replace(member, name=n) for n in names))
    with website(pit) as site, chromium(tmp_path) as browser:
        page = browser.page(f"{site.url}#login={site.link}")
        page.wait(f"document.querySelectorAll('.square').length === {CELLS * MEMBERS}", "all")
        yield pit, site, page


def test_one_change_among_a_thousand_touches_little(crowd: tuple[Pit, Website, Page]) -> None:
    pit, _, page = crowd
    page.wait("document.querySelector('#down')", "that the daemon is down")
    page.js(TOUCHED)
    paths = pit.cells()[0]

    def change(old: Manifest) -> Manifest:
        first, *others = old.agents
        return replace(old, agents=(replace(first, kind=Kind.HUMAN), *others))

    store.update_manifest(paths, change)
    page.wait("document.querySelector('#counts').innerText.includes('1 person')", "one person")
    page.wait("window.touched > 0", "the square")
    assert page.js("window.touched") < 30
    assert page.complaints() == []


def test_cells_keep_their_places_under_a_hand(crowd: tuple[Pit, Website, Page]) -> None:
    pit, _, page = crowd
    page.size(1280, 900)
    names = "[...document.querySelectorAll('.card .name')].map((n) => n.textContent)"
    before = page.js(names)
    page.hover(640, 700)  # Far enough down that a row more of what needs us does not pass it.
    page.wait("document.querySelector('#cells-list').matches(':hover')", "the hand on the cells")
    last = next(p for p in pit.cells() if f'"{before[-1]}"' in p.manifest.read_text())
    last.manifest.write_text("{")
    page.wait("document.querySelector('#needs-list').innerText.trim()", "that it is unreadable")
    while_held = page.js("[...document.querySelectorAll('.card')].map((n) => n.dataset.tone)")
    assert (while_held[0], while_held[-1]) == ("move", "bad")
    page.hover(2, 2)
    page.wait("document.querySelector('.card').dataset.tone === 'bad'", "the worst first")


def test_a_filter_shows_what_matches(crowd: tuple[Pit, Website, Page]) -> None:
    _, _, page = crowd
    page.click("#filter")
    page.type("cell 7")
    page.wait("document.querySelectorAll('.card').length === 1", "one card")
    assert page.text(".card .name") == "cell 7"


def test_a_hidden_tab_closes_its_stream_and_takes_it_up_again(world: World) -> None:
    page = world.page()

    def readers() -> str:
        with world.site.by_socket() as client:
            lines = client.get("/metrics").text.splitlines()
        return next(line for line in lines if line.startswith("lazarus_stream_readers "))

    before = readers()

    def turn(hidden: str) -> None:
        page.js(
            f"Object.defineProperty(document, 'hidden', {{value: {hidden}, configurable: true}});"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )

    turn("true")
    page.wait("document.querySelector('#link').dataset.state === 'paused'", "a pause")
    world.pit.wait(lambda: readers() != before, "that the server has one reader less")
    world.pit.spawn(world.pond, "late", "sleep", "600")
    world.pit.wait_event(world.pond, "agent_started", "late")
    turn("false")
    page.wait("document.querySelector('#link').dataset.state === 'live'", "live again")
    page.wait("document.querySelector('.square[data-agent=late]')", "what was missed")


def test_a_server_that_ends_is_noticed_and_found_again(crowd: tuple[Pit, Website, Page]) -> None:
    pit, site, page = crowd
    port = site.url.rstrip("/").rpartition(":")[2]
    site.close()
    page.wait("document.querySelector('#link').dataset.state === 'lost'", "the loss")
    argv = [sys.executable, "-m", "lazarus_pit", "web", "serve", "--port", port]
    with subprocess.Popen(
        [*argv, "--config", str(pit.config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as again:
        try:
            page.wait("document.querySelector('#link').dataset.state === 'live'", "live again")
        finally:
            again.terminate()
