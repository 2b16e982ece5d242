"""What agents and manifests say is text and nothing else; nothing is loaded from elsewhere."""

from __future__ import annotations

from browser.conftest import HOSTILE, World


def test_hostile_names_and_logs_do_nothing(world: World) -> None:
    page = world.page()
    names = page.js("[...document.querySelectorAll('.card .name')].map((n) => n.textContent)")
    assert HOSTILE in names
    page.js(f"location.hash = '#/{world.swamp.uuid}/crier'")
    page.wait("document.querySelector('.log').innerText.includes('<script>')", "its log")
    log = page.text(".log")
    assert log.startswith(f"red {HOSTILE}<script>window.harmed=1</script>")
    assert "\u202e" not in log
    assert "\x1b" not in log
    assert page.js("document.querySelectorAll('img, main script').length") == 0
    assert page.js("window.harmed") is None
    assert page.complaints() == []


def test_the_browser_itself_refuses_markup(world: World) -> None:
    page = world.page()
    tried = "document.body.innerHTML = '<b>'; return 'set'"
    tried = f"(() => {{ try {{ {tried}; }} catch {{ return 'refused'; }} }})()"
    assert page.js(tried) == "refused"


def test_nothing_comes_from_elsewhere(world: World) -> None:
    page = world.page()
    page.js(f"location.hash = '#/{world.pond.uuid}'")
    page.wait("document.querySelector('.view .events li')", "the events")
    requested = page.requested()
    assert len(requested) > 10
    assert [url for url in requested if not url.startswith((world.site.url, "about:"))] == []
    secrets = [url for url in requested if "login=" in url.partition("#")[0]]
    assert secrets == []
