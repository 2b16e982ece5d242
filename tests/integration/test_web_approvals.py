"""Approvals over the API: listed, streamed, answered once, by those who may."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from integration.pit import Pit
from integration.test_web_stream import frames
from integration.website import Website, website
from lazarus_pit.cells.files import replace_file
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.core.far import Far, FarPhase
from lazarus_pit.formats import pool_state
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records
from lazarus_pit.web import keys


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    """No daemon: the records alone say who is asked about."""
    pit = Pit(tmp_path_factory.mktemp("asked"))
    pit.cell(name="pond")
    with website(pit) as served:
        yield served


def ask(site: Website, subject: str) -> str:
    now = time.time()
    facts = {"died": now - 90, "attempts": 2}
    with opened_records(PitPaths(site.pit.root).records) as db:
        found = approvals.open_request(db, subject, 3, facts, expires=now + 300, now=now)
    return found.id


def test_an_answer_is_heard_once_and_says_who_gave_it(site: Website) -> None:
    cell = site.pit.cells()[0].uuid
    request = ask(site, f"{cell}/scribe")
    token = site.login("approver", "ada")
    with site.client(token) as client, client.stream("GET", "/api/v1/stream") as answer:
        seen = frames(answer)
        next(seen)
        listed = client.get("/api/v1/approvals").json()["approvals"]
        assert [(one["id"], one["cell"], one["agent"]) for one in listed] == [
            (request, cell, "scribe")
        ]
        assert (listed[0]["outcome"], listed[0]["attempts"]) == ("open", 2)
        assert listed[0]["why"] == ""
        done = client.post(f"/api/v1/approvals/{request}/approve")
        assert done.status_code == 202, done.text
        # That it is asked may be told after we began to read, too.
        told = next(
            asked
            for f in seen
            if f.event == "fleet"
            for asked in f.data.get("approvals", [])[:1]
            if asked["outcome"] != "open"
        )
        late = client.post(f"/api/v1/approvals/{request}/deny")
        fleet = client.get("/api/v1/fleet").json()
    assert (told["outcome"], told["by"], told["via"]) == ("approved", "ada", "web")
    assert late.status_code == 409
    assert "approved before, by ada (web)" in late.json()["error"]
    assert fleet["approvals"][0] == told


def test_a_gateway_of_the_pool_is_in_no_cell(site: Website) -> None:
    request = ask(site, "pool/odd/name")
    with site.by_socket() as client:
        listed = client.get("/api/v1/approvals?limit=0").json()["approvals"]
        done = client.post(f"/api/v1/approvals/{request}/deny", json={"by": "eve"})
        after = client.get("/api/v1/approvals").json()["approvals"][0]
    assert [(one["cell"], one["agent"]) for one in listed] == [(None, "odd/name")]
    assert done.status_code == 202, done.text
    assert (after["outcome"], after["by"]) == ("denied", "eve")


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_approver_answers(site: Website, role: keys.Role) -> None:
    request = ask(site, "pool/far")
    with site.client(site.login(role)) as client:
        refused = client.post(f"/api/v1/approvals/{request}/approve")
        assert client.get("/api/v1/approvals").status_code == 200
    assert (refused.status_code, refused.json()["error"]) == (
        403,
        f"found {role}, expected approver",
    )


def test_a_question_is_not_ended_by_bringing_the_cell_back(site: Website) -> None:
    cell = site.pit.cells()[0].uuid
    ask(site, f"{cell}/held")  # Whatever its phase: one that is frozen beside is shown as frozen.
    with site.client(site.login("operator")) as client:
        refused = client.post(f"/api/v1/cells/{cell}/restore")
    assert refused.status_code == 403
    assert "held is asked about" in refused.json()["error"]


def test_nobody_answers_in_the_name_of_another(site: Website) -> None:
    request = ask(site, "pool/far")
    with site.client(site.login("approver", "ada")) as client:
        posed = client.post(f"/api/v1/approvals/{request}/approve", json={"by": "eve"})
        unknown = client.post("/api/v1/approvals/00000000/approve")
    assert (posed.status_code, unknown.status_code) == (403, 404)
    assert "the token says who decides, and that is ada" in posed.json()["error"]


def test_who_is_outside_the_cells_is_shown_as_the_pool_remembers(site: Website) -> None:
    paths = PitPaths(site.pit.root)
    far = Far(key="timmy", phase=FarPhase.REVIVING, first_dead_at=9.0, attempts=(1.0, 2.0))
    with site.by_socket() as client, client.stream("GET", "/api/v1/stream") as answer:
        seen = frames(answer)
        next(seen)
        replace_file(paths.pool, pool_state.encode([far]), mode=0o600)
        frame = next(f for f in seen if f.event == "fleet" and "gateways" in f.data)
        whole = client.get("/api/v1/fleet").json()
        replace_file(paths.pool, b"{", mode=0o600)
        assert client.get("/api/v1/fleet").json()["gateways"] == []
    shown = {
        "name": "timmy", "phase": "reviving", "reason": "", "dead_since": 9.0, "attempts": 2,
    }  # fmt: skip
    assert frame.data["gateways"] == whole["gateways"] == [shown]
