"""Actions over the API on a real daemon with real agents."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from integration.pit import Pit
from integration.website import Website, agents_of, website
from lazarus_pit.cells import store
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
    assert strange.json()["error"] == "body: found 'to', expected checkpoint, name, start"


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
    with site.client(site.login("operator", "grace")) as client:
        frozen = client.post(f"{base}/freeze")
        again = client.post(f"{base}/freeze")
        refused = client.post(f"{base}/agents/scribe/revive")
        thawed = client.post(f"{base}/thaw")
    assert (frozen.status_code, again.status_code, thawed.status_code) == (202, 409, 202)
    assert "frozen" in again.json()["error"]
    assert "lazarus thaw" in refused.json()["error"]
    assert site.pit.events(cell, "cell_frozen")[-1].data["by"] == "grace"


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
        wish = {
            "name": "diver", "argv": argv, "on_revive": "fresh", "network": "allow",
            "allow": ["pypi.org", "--rw=/etc"], "limit": ["pids=64"],
        }  # fmt: skip
        flag = client.post(f"{base}/agents", json=wish)
        wish["allow"] = ["pypi.org", "files.pythonhosted.org:443"]
        begun = client.post(f"{base}/agents", json=wish)
        assert begun.status_code == 202, begun.text
        cell = PitPaths(site.pit.root).cell(made.json()["said"])
        site.pit.wait_event(cell, "agent_started", "diver")
        site.pit.wait(lambda: client.get(f"{base}/agents/diver/log").text, "what it printed")
        printed = client.get(f"{base}/agents/diver/log").text
        posed = client.post(f"{base}/agents", json={"name": "--rw=/etc", "argv": ["true"]})
        empty = client.post(f"{base}/agents", json={"name": "other", "argv": []})
        text = client.post(f"{base}/agents", json={"name": "x", "argv": ["true"], "env": "A=B"})
        archived = client.post(f"{base}/archive")
    assert printed == "--root=/nowhere\n"
    diver = store.read_manifest(cell).agents[0]
    assert (diver.rules["on_revive"], diver.limits) == ("fresh", {"pids": 64})
    assert (diver.network, diver.allow) == ("allow", tuple(wish["allow"]))
    assert (flag.status_code, "--rw=/etc" in flag.json()["error"]) == (400, True)
    assert text.json()["error"].startswith("env: expected a list of at most 100 texts")
    assert site.pit.events(cell, "agent_joined", "diver")[0].data["by"] == "ada"
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


def test_a_cell_is_destroyed_by_who_names_what_is_lost(living: tuple[Website, CellPaths]) -> None:
    site, _ = living
    with site.client(site.login("operator", "grace")) as client:
        made = client.post("/api/v1/cells", json={"mission": "short", "name": "puddle"}).json()
        base = f"/api/v1/cells/{made['said']}"
        early = client.post(f"{base}/destroy")
        assert client.post(f"{base}/archive").status_code == 202
        cell = PitPaths(site.pit.root).cell(made["said"])
        (cell.workspace / "late").write_text("after the last checkpoint")
        asked = client.post(f"{base}/destroy")
        wrong = client.post(f"{base}/destroy", json={"token": "1-files-00000000"})
        lost = client.post(f"{base}/destroy", json={"token": asked.json()["token"]})
        assert client.get(base).status_code == 404
        found = client.get(f"/api/v1/operations/{lost.json()['operation']}").json()
    assert (early.status_code, "token" in early.json()) == (409, False)
    assert (asked.status_code, "late" in asked.json()["error"]) == (409, True)
    assert (wrong.status_code, wrong.json()["token"]) == (409, asked.json()["token"])
    assert (lost.status_code, found["by"], found["state"]) == (202, "grace", "done"), lost.text
    assert not cell.cell.exists()


def test_an_invitation_is_seen_closed_and_accepted(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    base = f"/api/v1/cells/{cell.uuid}"
    with site.client(site.login("operator", "grace")) as client:
        for name in ("otto", "ida"):
            client.post(f"{base}/invite", json={"name": name, "human": name == "ida"})
        given = client.post(f"{base}/invite", json={"name": "eve", "human": True}).json()
        listed = {
            one["name"]: one for one in client.get("/api/v1/invitations").json()["invitations"]
        }
        assert (listed["ida"]["state"], listed["ida"]["by"]) == ("open", "grace")
        revoked = client.post(f"/api/v1/invitations/{listed['ida']['id']}/revoke")
        assert revoked.status_code == 202, revoked.text
        token = given["said"]
        mail = {"as": "ada", "to": "ada", "subject": token, "body": f"lazarus join {token}"}
        assert client.post(f"{base}/mail", json=mail).status_code == 202
        joined = client.post("/api/v1/join", json={"token": token})
        assert joined.status_code == 202, joined.text
        assert client.post(f"{base}/leave", json={"as": "eve"}).status_code == 202
        states = {
            o["name"]: o["state"] for o in client.get("/api/v1/invitations").json()["invitations"]
        }
    assert (states["otto"], states["ida"], states["eve"]) == ("open", "revoked", "accepted")
    with site.client(site.login("viewer")) as client:
        shown = site.pit.wait(
            lambda: "lazarus join" in (text := client.get(f"{base}/mail").text) and text, "the mail"
        )
    assert token not in shown


def invitations(client: httpx2.Client) -> dict[str, dict[str, Any]]:
    found = client.get("/api/v1/invitations").json()["invitations"]
    return {one["name"]: one for one in found}


def test_a_cell_leaves_and_comes_back(living: tuple[Website, CellPaths]) -> None:
    site, cell = living
    way = f"/api/v1/cells/{cell.uuid}/export"
    transit = PitPaths(site.pit.root).transit
    with site.client(site.login("viewer")) as client:
        assert client.get(way).status_code == 403
        assert client.post("/api/v1/import", content=b"x").status_code == 403
    with site.client(site.login("operator", "grace")) as client:
        sent = client.get(way)
        assert sent.status_code == 200, sent.text
        made = client.post("/api/v1/import?name=pond-c", content=sent.content)
        assert made.status_code == 202, made.text
        before = set(site.pit.root.iterdir())
        bad = client.post("/api/v1/import", content=sent.content[:-9])
        empty = client.post("/api/v1/import", content=b"")
        started = client.post("/api/v1/import?start=2", content=sent.content)
    name = f'attachment; filename="pond-{cell.uuid[:8]}.tar.gz"'
    assert sent.headers["content-disposition"] == name
    assert sent.headers["content-length"] == str(len(sent.content))
    assert sent.headers["content-type"] == "application/gzip"
    assert site.pit.events(cell, "cell_exported")[-1].data["by"] == "grace"
    twin = PitPaths(site.pit.root).cell(made.json()["said"])
    assert site.pit.events(twin, "cell_imported")[-1].data["by"] == "grace"
    assert (bad.status_code, empty.status_code, started.status_code) == (409, 400, 400), bad.text
    assert set(site.pit.root.iterdir()) == before
    assert list(transit.iterdir()) == []


def test_who_goes_in_the_middle_makes_nothing(living: tuple[Website, CellPaths]) -> None:
    site, _ = living
    pit = PitPaths(site.pit.root)
    before = set(pit.root.iterdir())
    url = httpx2.URL(site.url)
    with socket.create_connection((url.host, url.port or 80)) as gone:
        head = f"POST /api/v1/import HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 99\r\n"
        gone.sendall(f"{head}Authorization: Bearer {site.login('operator')}\r\n\r\nx".encode())
        site.pit.wait(lambda: list(pit.transit.glob("*/*")), "what has come so far")
    site.pit.wait(lambda: not list(pit.transit.iterdir()), "nothing of it")
    assert set(pit.root.iterdir()) == before
