"""axe-core finds nothing in dark, in light and at a telephone's width; nothing scrolls sideways."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from browser.chromium import Page
from browser.conftest import World

AXE = os.environ.get("LAZARUS_AXE", "")
"""Where ``axe.min.js`` is; ``make test-browser`` gets it."""
LOOK = """axe.run().then(({violations}) => violations.map(({id, impact, nodes}) => ({
  id, impact, nodes: nodes.map((node) => node.html.slice(0, 160) + ' ' + node.failureSummary),
})))"""
SIZES = {"desk": (1280, 900), "phone": (390, 844)}


def shoot(page: Page, name: str) -> None:
    """Leave a picture for people, where they asked for one."""
    if shots := os.environ.get("LAZARUS_SHOTS"):
        page.picture(Path(shots) / f"{name}.png")


@pytest.fixture
def page(world: World) -> Page:
    found = world.page()
    if AXE:
        found.js(Path(AXE).read_text(encoding="utf-8") + ";0")
    return found


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("what", ["fleet", "cell", "agent", "question"])
def test_is_readable_and_reachable(
    world: World, page: Page, what: str, size: str, scheme: str
) -> None:
    place = {"fleet": "", "agent": f"{world.swamp.uuid}/faller"}.get(what, world.pond.uuid)
    page.media(scheme)
    page.size(*SIZES[size], phone=size == "phone")
    page.js(f"location.hash = '#/{place}'")
    if what != "fleet":
        page.wait("document.querySelector('.view .events li')", "the events")
    if what == "question":
        page.click(".member [data-verb=stop]")
        page.wait("document.querySelector('#ask').open", "the question")
    width = page.js("document.documentElement.scrollWidth")
    shoot(page, f"{what}-{size}-{scheme}")
    assert width <= SIZES[size][0], "it scrolls sideways"
    if not AXE:
        pytest.skip("LAZARUS_AXE names no axe.min.js: npm was not there to get it")
    found = page.js(LOOK)
    assert found == [], json.dumps(found, indent=1)
