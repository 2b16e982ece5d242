"""Actions over the API on a real daemon with real agents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.pit import Pit
from integration.website import Website, website
from lazarus_pit.cells.layout import CellPaths


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Website, CellPaths]]:
    pit = Pit(tmp_path_factory.mktemp("acts"), liveness="process").start()
    try:
        cell = pit.cell(name="pond")
        pit.spawn(cell, "scribe", "sleep", "600")
        pit.wait_event(cell, "agent_started", "scribe")
        with website(pit) as site:
            yield site, cell
    finally:
        pit.close()


def test_stops_starts_and_revives(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    agent = f"/api/v1/cells/{cell.uuid}/agents/scribe"
    with site.client(site.login("operator")) as client:
        for word, event, count in (
            ("stop", "agent_stopped", 1),
            ("start", "agent_started", 2),
            ("revive", "agent_started", 3),
        ):
            answer = client.post(f"{agent}/{word}")
            assert (answer.status_code, answer.json()["ok"]) == (202, True), answer.text
            site.pit.wait_event(cell, event, "scribe", count=count)


def test_saves_restores_and_forks(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    page = cell.workspace / "page"
    page.write_text("first")
    base = f"/api/v1/cells/{cell.uuid}"
    with site.by_socket() as client:
        assert client.post(f"{base}/checkpoint", json={"note": "one"}).status_code == 202
        saved = client.get(base).json()["checkpoints"][-1]["id"]
        page.write_text("second")
        restored = client.post(f"{base}/restore", json={"checkpoint": saved})
        assert restored.status_code == 202, restored.text
        site.pit.wait(lambda: page.read_text() == "first", "the page is back")
        unknown = client.post(f"{base}/restore", json={"checkpoint": "19990101"})
        strange = client.post(f"{base}/fork", json={"to": "x"})
        forked = client.post(f"{base}/fork", json={"name": "pond-b"})
        assert forked.status_code == 202, forked.text
        names = [found["name"] for found in client.get("/api/v1/fleet").json()["cells"]]
    assert sorted(names) == ["pond", "pond-b"]
    assert 400 <= unknown.status_code < 500
    assert strange.status_code == 400
    assert strange.json()["error"] == "body: found 'to', expected checkpoint, name"


def test_freezes_and_thaws(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    base = f"/api/v1/cells/{cell.uuid}"
    with site.by_socket() as client:
        frozen = client.post(f"{base}/freeze")
        again = client.post(f"{base}/freeze")
        refused = client.post(f"{base}/agents/scribe/revive")
        thawed = client.post(f"{base}/thaw")
    assert (frozen.status_code, again.status_code, thawed.status_code) == (202, 409, 202)
    assert "frozen" in again.json()["error"]
    assert "lazarus thaw" in refused.json()["error"]


def test_a_viewer_only_looks(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    with site.client(site.login("viewer")) as client:
        answer = client.post(f"/api/v1/cells/{cell.uuid}/agents/scribe/stop")
        missing = client.post("/api/v1/cells/nonsense/freeze")
    assert (answer.status_code, missing.status_code) == (403, 403)
    with site.client() as client:
        assert client.post(f"/api/v1/cells/{cell.uuid}/freeze").status_code == 401
