"""Somebody dies, the page asks, a key decides; whoever comes late is told who did."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from browser.chromium import Page, chromium
from browser.conftest import HOSTILE, World
from browser.test_eyes import AXE, LOOK, shoot
from browser.test_lives import TAB
from integration.pit import Pit
from integration.website import Website, website
from lazarus_pit.cells.files import replace_file
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.core.far import Far, FarPhase
from lazarus_pit.formats import pool_state
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records

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


def test_a_question_is_seen_and_answered_and_the_agent_reads_why(yard: World) -> None:
    cell = yard.pit.cell(name="forum")
    asks = f"lazarus mail send --to pit --subject ask 'May I? {HOSTILE}'; "
    hears = "while :; do lazarus mail inbox > part; mv part mail; sleep 0.2; done"
    yard.pit.spawn(cell, "poet", "sh", "-c", asks + hears)
    link = yard.site.new_link("approver", "ada")
    page = yard.browser.page(f"{yard.site.url}#login={link}")
    page.wait("document.querySelector('.asked')?.innerText.includes('forum / poet')", "a question")
    said = page.text(".asked")
    assert f"May I? {HOSTILE}" in said
    assert "nobody is revived by it" in said
    if AXE:
        page.js(Path(AXE).read_text(encoding="utf-8") + ";0")
        found = page.js(LOOK)
        assert found == [], json.dumps(found, indent=1)
    page.js("document.querySelector('.asked [name=comment]').focus()")
    page.type("not on a Friday")
    shoot(page, "question")
    page.press(*TAB)
    page.press(*TAB)
    assert page.js("document.activeElement.dataset.verb") == "deny"
    page.press("Enter", 13, "\r")
    page.wait(
        "document.querySelector('#answered').innerText.includes('question denied by ada (web)')"
    )
    told = yard.pit.wait_event(cell, "question_answered", "poet", outcome="denied", by="ada")
    assert (told.data["via"], told.data["comment"]) == ("web", "not on a Friday")
    heard = cell.workspace / "mail"
    yard.pit.wait(lambda: heard.exists() and "denied by ada (web)" in heard.read_text(), "mail")
    letters = [one.read_text() for one in cell.inbox("poet").glob("*.json")]
    assert sum("not on a Friday" in one for one in letters) == 1
    assert not yard.pit.events(cell, "agent_died")
    assert page.js("window.harmed") is None
    assert page.complaints() == []


def test_records_that_refuse_are_told_for_as_long_as_they_do(yard: World, tmp_path: Path) -> None:
    pit = Pit(tmp_path)
    pit.cell(name="dry")
    records = PitPaths(pit.root).records
    records.mkdir()  # As a full disk: they cannot be opened.
    with website(pit) as site:
        page = yard.browser.page(f"{site.url}#login={site.new_link('approver')}")
        page.wait("document.querySelector('#unasked')", "that requests cannot be read")
        assert page.text("#unasked").startswith("Requests for your word cannot be read: ")
        assert page.text(".card .name") == "dry", "all else is seen"
        if AXE:
            page.js(Path(AXE).read_text(encoding="utf-8") + ";0")
            assert page.js(LOOK) == []
        records.rmdir()
        with opened_records(records) as db:
            approvals.open_request(
                db, "pool/far", 1, {"why": ""}, now=time.time(), expires=time.time() + 600
            )
        page.wait("!document.querySelector('#unasked')", "that they can again")
        page.wait("document.querySelector('.asked').innerText.includes('pool / far')", "all of it")
        assert page.complaints() == []
