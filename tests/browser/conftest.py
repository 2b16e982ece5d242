"""One pit, one page and one browser for all that is looked at here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from browser.chromium import Chromium, Page, chromium
from integration.pit import Pit
from integration.website import Website, website
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.web import keys

HOSTILE = "<img src=x onerror=window.harmed=1>"
CRASHES = ("sh", "-c", "echo boom; exit 3")
_LINE = f"\\033[31mred\\033[0m {HOSTILE}<script>window.harmed=1</script> \\342\\200\\256txt\\n"
PRINTS = ("sh", "-c", f"printf '{_LINE}'; exec sleep 600")


class World(NamedTuple):
    """What runs, and what looks at it."""

    pit: Pit
    site: Website
    browser: Chromium
    pond: CellPaths
    swamp: CellPaths

    def page(self, role: keys.Role = "approver") -> Page:
        """Open a tab that is logged in and has seen the fleet."""
        page = self.browser.page(f"{self.site.url}#login={self.site.new_link(role)}")
        page.wait("document.querySelector('#link').dataset.state === 'live'", "a live stream")
        page.wait("document.querySelector('.card')", "the cells")
        return page


@pytest.fixture
def world(one_world: World) -> Iterator[World]:
    """The one world, with no tab left open by the test before."""
    yield one_world
    one_world.browser.close_pages()


@pytest.fixture
def yard(one_yard: World) -> Iterator[World]:
    """Another one, in which cells and members may come and go."""
    yield one_yard
    one_yard.browser.close_pages()


@pytest.fixture(scope="session")
def one_yard(one_world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    pit = Pit(tmp_path_factory.mktemp("yard"), liveness="process").start()
    try:
        pond = pit.cell(name="pond")
        pit.spawn(pond, "scribe", "sleep", "600")
        pit.wait_event(pond, "agent_started", "scribe")
        with website(pit) as site:
            yield World(pit, site, one_world.browser, pond, pond)
    finally:
        pit.close()


@pytest.fixture(scope="session")
def one_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("browser")
    pit = Pit(folder, liveness="process").start()
    try:
        pond, swamp = pit.cell(name="pond"), pit.cell(name=HOSTILE)
        for name in ("scribe", "reader"):
            pit.spawn(pond, name, "sleep", "600")
        pit.spawn(swamp, "crier", *PRINTS)
        pit.spawn(swamp, "faller", *CRASHES, rules={"max_revive_attempts": 1})
        pit.wait_event(pond, "agent_started", "reader")
        pit.wait_event(swamp, "agent_escalated", "faller")
        with website(pit) as site, chromium(folder) as browser:
            yield World(pit, site, browser, pond, swamp)
    finally:
        pit.close()
