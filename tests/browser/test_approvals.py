"""Somebody dies, the page asks, a key decides; whoever comes late is told who did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.chromium import Page, chromium
from browser.test_eyes import AXE, LOOK, shoot
from browser.test_lives import TAB
from integration.pit import Pit
from integration.website import Website, website
from lazarus_pit.cells.files import replace_file
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.core.far import Far, FarPhase
from lazarus_pit.formats import pool_state

ONCE = "echo life >> lives; [ -e died ] || { touch died; exit 3; }; exec sleep 600"


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[tuple[Pit, CellPaths, Website, Page]]:
    pit = Pit(tmp_path, liveness="process", revive_policy="ask").start()
    try:
        cell = pit.cell(name="pond")
        pit.spawn(cell, "scribe", "sh", "-c", ONCE)
        with website(pit) as site, chromium(tmp_path) as browser:
            page = browser.page(f"{site.url}#login={site.new_link('approver', 'ada')}")
            yield pit, cell, site, page
    finally:
        pit.close()


def test_by_keyboard_alone_it_is_brought_back(asking: tuple[Pit, CellPaths, Website, Page]) -> None:
    pit, cell, _, page = asking
    far = Far(key="timmy", phase=FarPhase.ESCALATED, reason="denied", first_dead_at=1.0)
    replace_file(PitPaths(pit.root).pool, pool_state.encode([far]), mode=0o600)
    page.wait("document.querySelector('#pool').innerText.includes('given up')", "a gateway")
    page.wait("document.querySelector('.asked')", "the question")
    said = page.text(".asked")
    assert "pond / scribe" in said
    assert "expires in" in said
    assert page.js("document.querySelectorAll('#needs-list > li').length") == 1
    if AXE:
        page.js(Path(AXE).read_text(encoding="utf-8") + ";0")
        found = page.js(LOOK)
        assert found == [], json.dumps(found, indent=1)
    shoot(page, "asked")
    for _ in range(20):
        page.press(*TAB)
        if page.js("document.activeElement.matches('.asked [data-verb=approve]')"):
            break
    page.press("Enter", 13, "\r")
    page.wait("!document.querySelector('.asked')", "nobody asked about")
    assert page.js("document.activeElement.id") == "needs-title", "focus stays near"
    page.wait("document.querySelector('#answered').innerText.includes('approved by ada (web)')")
    page.wait("document.querySelector('#counts').innerText.includes('1 alive')", "it lives")
    assert (cell.workspace / "lives").read_text().split() == ["life", "life"]
    shoot(page, "answered")
    assert pit.events(cell, "approval_granted", "scribe")[0].data["by"] == "ada"
    assert page.complaints() == []


def test_who_comes_late_is_told_who_decided(
    asking: tuple[Pit, CellPaths, Website, Page],
) -> None:
    pit, cell, site, page = asking
    page.wait("document.querySelector('.asked')", "the question")
    request = page.js("document.querySelector('.asked').dataset.request")
    page.js("window.late = document.querySelector('.asked [data-verb=approve]')")
    with site.by_socket() as client:
        done = client.post(f"/api/v1/approvals/{request}/deny", json={"by": "eve"})
        assert done.status_code == 202, done.text
    page.js("window.late.click()")
    page.wait("document.querySelector('#notice').innerText.includes('denied before, by eve')")
    pit.wait_event(cell, "agent_escalated", "scribe", reason="denied")
    page.wait("document.querySelector('#needs-list').innerText.includes('declined to revive')")
