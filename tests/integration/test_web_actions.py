"""Actions over the API on a real daemon with real agents."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.pit import Pit
from integration.website import Website, agents_of, website
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.core.model import Role
from lazarus_pit.formats.manifest import Kind


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Website, CellPaths]]:
    pit = Pit(tmp_path_factory.mktemp("acts"), liveness="process").start()
    try:
        cell = pit.cell(name="pond")
        pit.spawn(cell, "scribe", "sleep", "600")
        pit.spawn(cell, "ada", kind=Kind.HUMAN, role=Role.COORDINATOR)
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


def test_settings_are_changed_by_whoever_logged_in(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    base = f"/api/v1/cells/{cell.uuid}"
    with site.client(site.login("operator")) as client:
        done = client.post(f"{base}/set", json={"settings": ["mission_minutes=90"]})
        assert done.status_code == 202, done.text
        own = client.post(f"{base}/agents/scribe/set", json={"settings": ["on_revive=fresh"]})
        assert own.status_code == 202, own.text
        for wrong in ({}, {"settings": ["--as=root"]}, {"settings": ["status=archived"]}):
            assert client.post(f"{base}/set", json=wrong).status_code == 400
    told = site.pit.events(cell, "settings_changed")
    assert [(one.agent, one.data["set"]) for one in told] == [
        (None, {"mission_minutes": 90}),
        ("scribe", {"on_revive": "fresh"}),
    ]


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


def test_the_same_wish_is_done_once_and_can_be_asked_for(
    living: tuple[Website, CellPaths],
) -> None:
    site, cell = living
    base = f"/api/v1/cells/{cell.uuid}"
    with site.by_socket() as client:
        before = len(client.get(base).json()["checkpoints"])
        key = {"Idempotency-Key": "mine-1"}
        first, again = (client.post(f"{base}/checkpoint", headers=key) for _ in range(2))
        other = client.post(f"{base}/checkpoint", headers=key, json={"note": "another"})
        assert len(client.get(base).json()["checkpoints"]) == before + 1
        found = client.get(first.headers["location"]).json()
        listed = client.get("/api/v1/operations").json()["operations"]
        assert client.get("/api/v1/operations/nonsense").status_code == 404
    assert (first.status_code, again.json()) == (202, first.json())
    assert (other.status_code, "used before" in other.json()["error"]) == (409, True)
    assert (found["verb"], found["subject"], found["state"]) == ("checkpoint", cell.uuid, "done")
    assert found in listed


def test_a_wish_about_another_state_is_refused(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    base = f"/api/v1/cells/{cell.uuid}"
    site.pit.wait(lambda: site.pit.health(cell)["scribe"].phase == "running", "scribe runs")
    with site.by_socket() as client:
        agent = agents_of(client.get(base).json())["scribe"]
        stale = client.post(f"{base}/agents/scribe/stop", headers={"If-Match": '"1.dead.run"'})
        assert (stale.status_code, agent["version"] in stale.json()["error"]) == (412, True)
        version = client.get(base).json()["version"]
        frozen = client.post(f"{base}/freeze", headers={"If-Match": f'"{version}"'})
        assert frozen.status_code == 202, frozen.text
        late = client.post(f"{base}/thaw", headers={"If-Match": f'"{version}"'})
        assert (late.status_code, client.post(f"{base}/thaw").status_code) == (412, 202)


def test_a_person_writes_and_everybody_may_read(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    base = f"/api/v1/cells/{cell.uuid}/mail"
    body = "<b>-- --root=/ \u202e</b>" + "x" * 3000
    with site.client(site.login("operator")) as client:
        sent = client.post(base, json={"as": "ada", "to": "*", "subject": "Hm", "body": body})
        assert sent.status_code == 202, sent.text
        found = site.pit.wait(lambda: client.get(base).json()["mail"], "that it is delivered")
        whole = client.get(f"{base}/scribe/{found[-1]['id']}").json()
        posed = client.post(base, json={"as": "scribe", "to": "ada", "body": "?"})
        empty = client.post(base, json={"as": "ada", "to": "scribe"})
    mail = found[-1]
    assert (mail["from"], mail["receiver"], mail["state"]) == ("ada", "scribe", "waiting")
    assert (mail["is_cut"], mail["body"]) == (True, body[:2000])
    assert (whole["is_cut"], whole["body"]) == (False, body)
    assert (posed.status_code, "expected a person" in posed.json()["error"]) == (400, True)
    assert (empty.status_code, empty.json()["error"]) == (400, "body: missing")
    with site.client(site.login("viewer")) as client:
        assert client.get(base).status_code == 200
        assert client.post(base, json={}).status_code == 403


def test_a_cell_and_its_agent_are_made(living: tuple[Website, CellPaths]) -> None:
    site, _ = living
    with site.client(site.login("operator", "ada")) as client:
        made = client.post("/api/v1/cells", json={"mission": "--root=/", "name": "reef"})
        assert made.status_code == 202, made.text
        base = f"/api/v1/cells/{made.json()['said']}"
        argv = ["sh", "-c", 'echo "$1"; exec sleep 600', "sh", "--root=/nowhere"]
        begun = client.post(f"{base}/agents", json={"name": "diver", "argv": argv})
        assert begun.status_code == 202, begun.text
        cell = PitPaths(site.pit.root).cell(made.json()["said"])
        site.pit.wait_event(cell, "agent_started", "diver")
        site.pit.wait(lambda: client.get(f"{base}/agents/diver/log").text, "what it printed")
        printed = client.get(f"{base}/agents/diver/log").text
        posed = client.post(f"{base}/agents", json={"name": "--rw=/etc", "argv": ["true"]})
        empty = client.post(f"{base}/agents", json={"name": "other", "argv": []})
        archived = client.post(f"{base}/archive")
    assert printed == "--root=/nowhere\n"
    assert site.pit.events(cell, "cell_created")[0].data["by"] == "ada"
    assert (posed.status_code, empty.status_code, archived.status_code) == (400, 400, 202)


def test_who_is_asked_about_is_for_an_approver(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    dies = "[ -e died ] || { touch died; exit 3; }; exec sleep 600"
    site.pit.spawn(cell, "dier", "sh", "-c", dies, rules={"revive_policy": "ask"})
    site.pit.wait(
        lambda: (h := site.pit.health(cell).get("dier")) and h.phase == "awaiting", "it waits"
    )
    base = f"/api/v1/cells/{cell.uuid}"
    path = f"{base}/agents/dier/revive"
    with site.client(site.login("operator")) as client:
        for way in (path, f"{base}/restore", f"{base}/undo", f"{base}/archive"):
            refused = client.post(way)
            assert refused.status_code == 403, way
            assert "dier is asked about" in refused.json()["error"]
        assert client.post(f"{base}/checkpoint").status_code == 202
    with site.client(site.login("approver")) as client:
        assert client.post(path).status_code == 202
    site.pit.wait_event(cell, "agent_started", "dier", count=2)
