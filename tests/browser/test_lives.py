"""The page shows a real pit: agents die, come back, stop, freeze, are restored as one looks on."""

from __future__ import annotations

import json
import signal

from browser.chromium import Page
from browser.conftest import World
from integration.pit import send
from lazarus_pit.cells.layout import CellPaths

ESCAPE, TAB, ENTER = ("Escape", 27), ("Tab", 9), ("Enter", 13)


def member(name: str) -> str:
    return f".member[data-agent={json.dumps(name)}]"


def look_at(page: Page, cell: CellPaths, agent: str = "") -> None:
    page.js(f"location.hash = '#/{cell.uuid}/{agent}'")
    page.wait("document.querySelector('.view .events li')", "the events")


def state_of(name: str) -> str:
    return f"document.querySelector({json.dumps(member(name) + ' .tone')})?.textContent"


def test_a_link_opens_once_and_leaves_no_trace(world: World) -> None:
    secret = world.site.new_link("operator")
    page = world.browser.page(f"{world.site.url}#login={secret}")
    page.wait("document.querySelectorAll('.card').length === 2", "both cells")
    assert page.js("location.href") == f"{world.site.url}#/"
    assert page.js("document.cookie") == ""
    page.go("about:blank")
    page.go(world.site.url)
    page.wait("document.querySelector('.card')", "the cells after a reload, by the same token")
    other = world.browser.page(f"{world.site.url}#login={secret}")
    other.wait("document.querySelector('#door').checkVisibility()", "the door")
    said = other.wait("document.querySelector('#door-said').innerText", "why it stays closed")
    assert "lazarus web link" in said


def test_a_link_opens_in_a_tab_that_is_here_already(world: World) -> None:
    page = world.page("viewer")
    page.js(f"location.hash = '#login={world.site.new_link('approver')}'")
    page.wait("sessionStorage.getItem('lazarus-role') === 'approver'", "the greater role")
    page.wait("document.querySelector('.card')", "the cells")
    assert "login" not in page.js("location.href")


def test_a_pasted_link_opens_too(world: World) -> None:
    page = world.browser.page(world.site.url)
    page.click("#door-link")
    page.type(f"{world.site.url}#login={world.site.new_link('viewer')}")
    page.press("Enter", 13, "\r")
    page.wait("document.querySelector('.card')", "the cells")


def test_one_is_killed_and_comes_back_before_our_eyes(world: World) -> None:
    page = world.page()
    look_at(page, world.pond)
    page.js("window.before = document.querySelector('.view')")
    health = world.pit.health(world.pond)["scribe"]
    assert health.pid is not None
    page.wait(f"{state_of('scribe')} === 'alive'", "scribe alive")
    send(health.pid, signal.SIGKILL)
    row = json.dumps(member("scribe"))
    page.wait(
        f"Number(document.querySelector({row}).dataset.generation) > {health.generation}"
        f" && {state_of('scribe')} === 'alive'",
        "scribe alive again",
    )
    page.wait("document.querySelector('.events').innerText.includes('is back')", "its return told")
    assert "its process ended" in page.text(".events")
    page.wait("document.querySelector('.lives .mark.died')", "its death in the picture")
    assert "1 death" in page.js("document.querySelector('.lives').getAttribute('aria-label')")
    assert page.js("document.querySelector('.view') === window.before"), "nothing was built anew"


def test_stop_asks_first_and_start_does_not(world: World) -> None:
    page = world.page()
    look_at(page, world.pond)
    stop = f"{member('reader')} [data-verb=stop]"
    page.click(stop)
    page.wait("document.querySelector('#ask').open", "the question")
    assert page.js("document.activeElement.id") == "ask-no"
    page.press(*ESCAPE)
    page.wait("!document.querySelector('#ask').open", "the question gone")
    assert page.js(f"document.activeElement.matches({json.dumps(stop)})"), "focus is back"
    assert world.pit.events(world.pond, "agent_stopped", "reader") == []
    page.click(stop)
    page.click("#ask-yes")
    page.wait(f"{state_of('reader')} === 'stopped'", "reader stopped")
    page.click(f"{member('reader')} [data-verb=start]")
    page.wait(f"{state_of('reader')} === 'alive'", "reader alive")


def test_freezes_and_thaws(world: World) -> None:
    page = world.page()
    look_at(page, world.pond)
    page.click(".viewhead [data-verb=freeze]")
    page.wait(f"{state_of('scribe')} === 'frozen'", "scribe frozen")
    page.wait("document.querySelector('#counts').innerText.includes('frozen')", "it counted")
    page.click(".viewhead [data-verb=thaw]")
    page.wait(f"{state_of('scribe')} === 'alive'", "scribe alive")


def test_restores_after_asking(world: World) -> None:
    draft = world.pond.workspace / "draft"
    draft.write_text("first")
    page = world.page()
    look_at(page, world.pond)
    page.click(".viewhead [data-verb=checkpoint]")
    page.wait("document.querySelector('.saved li')", "the checkpoint")
    draft.write_text("second")
    page.click(".saved [aria-label^=Restore]")
    page.wait("document.querySelector('#ask').open", "the question")
    assert "pond" in page.text("#ask-title")
    page.click("#ask-no")
    assert draft.read_text() == "second"
    page.click(".saved [aria-label^=Restore]")
    page.click("#ask-yes")
    world.pit.wait(lambda: draft.read_text() == "first", "the draft is back")
    page.wait("document.querySelector('.events').innerText.includes('as in checkpoint')", "it told")
    page.wait(f"{state_of('scribe')} === 'alive'", "scribe alive")


def test_who_was_given_up_is_first_and_revived_from_there(world: World) -> None:
    page = world.page()
    page.wait("document.querySelector('#needs-list').innerText.includes('faller')", "its call")
    assert page.js("document.title").startswith("(")
    assert page.js("document.querySelector('.card').dataset.tone") == "bad"
    before = len(world.pit.events(world.swamp, "agent_started", "faller"))
    page.click("#needs-list [data-verb=revive]")
    world.pit.wait_event(world.swamp, "agent_started", "faller", count=before + 1)


def test_a_refusal_is_told_with_its_reason(world: World) -> None:
    page = world.page()
    look_at(page, world.pond)
    with world.site.by_socket() as client:
        client.post(f"/api/v1/cells/{world.pond.uuid}/freeze")
    page.wait("document.querySelector('.viewhead [data-verb=thaw]').checkVisibility()", "Thaw")
    page.js("document.querySelector('.viewhead [data-verb=freeze]').click()")
    page.wait("document.querySelector('#notice').innerText.includes('refused')", "a refusal")
    page.click(".viewhead [data-verb=thaw]")
    page.wait(f"{state_of('scribe')} === 'alive'", "scribe alive")


def test_a_viewer_is_offered_nothing(world: World) -> None:
    page = world.page("viewer")
    look_at(page, world.pond)
    page.wait("document.querySelector('.member')", "the members")
    shown = "[...document.querySelectorAll('[data-verb]')].filter((n) => n.checkVisibility())"
    assert page.js(f"{shown}.length") == 0


def test_why_and_log_of_one_agent(world: World) -> None:
    page = world.page()
    look_at(page, world.swamp, "faller")
    page.wait("document.querySelector('.why').innerText.includes('What changes it')", "why")
    page.wait("document.querySelector('.log').innerText.includes('boom')", "its log")


def test_by_keyboard_alone(world: World) -> None:
    page = world.page()
    page.wait("document.querySelector('#needs-list .name')", "who needs us")
    for _ in range(40):
        page.press(*TAB)
        if page.js("document.activeElement.matches('.card .name')"):
            break
    outline = page.js("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "focus is seen"
    page.press("Enter", 13, "\r")
    page.wait("document.activeElement.matches('.viewhead h2')", "focus in what was opened")


def test_what_a_life_goes_through_is_in_the_picture(world: World) -> None:
    page = world.page("viewer")
    told = [
        (0, "agent_started"), (10, "heartbeat_stale"), (12, "agent_stalled"),
        (20, "agent_recovered"), (30, "agent_frozen"), (40, "agent_died"), (41, "agent_started"),
        (50, "agent_held"),
    ]  # fmt: skip
    lines = [
        {"ts": f"1970-01-01T00:00:{at:02}Z", "event": event, "agent": "a", "generation": 1}
        for at, event in told
    ]
    found = page.js(
        f"import('/static/lives.js').then((m) => m.livesOf({json.dumps(lines)}).get('a')"
        ".map(({to, end, spells}) => [to, end, spells.map((s) => [s.kind, s.from, s.to])]))"
    )
    assert found == [
        [40, "died", [["silent", 10, 20], ["frozen", 30, 40]]],
        [None, None, [["held", 50, None]]],
    ]
    look_at(page, world.pond)
    with world.site.by_socket() as client:
        client.post(f"/api/v1/cells/{world.pond.uuid}/freeze")
        page.wait("document.querySelector('.lives .spell.frozen')", "that it stood still")
        client.post(f"/api/v1/cells/{world.pond.uuid}/thaw")
    assert page.complaints() == []
