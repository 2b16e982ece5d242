"""The HTTP API over real sockets: who is let in, and what is shown."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from integration.pit import Pit
from integration.website import Website, website
from lazarus_pit.cells.layout import CellPaths, PitPaths


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Website, CellPaths]]:
    """No daemon: the API shows what is on disk all the same."""
    pit = Pit(tmp_path_factory.mktemp("web"))
    cell = pit.cell(name="pond")
    pit.spawn(cell, "scribe", "sleep", "60")
    cell.log("scribe").write_bytes(b"x" * 100 + b"the end\n")
    with website(pit) as site:
        yield site, cell


@pytest.fixture(scope="module")
def token(served: tuple[Website, CellPaths]) -> str:
    return served[0].login("viewer")


def test_shows_the_fleet_and_one_cell(served: tuple[Website, CellPaths], token: str) -> None:
    site, cell = served
    with site.client(token) as client:
        fleet = client.get("/api/v1/fleet").json()
        one = client.get(f"/api/v1/cells/{cell.uuid}").json()
        events = client.get(f"/api/v1/cells/{cell.uuid}/events?limit=1").json()["events"]
        why = client.get(f"/api/v1/cells/{cell.uuid}/agents/scribe/why").json()["lines"]
        log = client.get(f"/api/v1/cells/{cell.uuid}/agents/scribe/log?bytes=8")
    assert fleet["daemon"]["up"] is False
    assert [c["name"] for c in fleet["cells"]] == ["pond"]
    assert one.pop("checkpoints") == []
    assert one == fleet["cells"][0]
    assert one["agents"][0]["desired"] == "run"
    assert [event["event"] for event in events] == ["agent_joined"]
    assert "pond/scribe is" in "\n".join(why)
    assert (log.text, log.headers["content-type"]) == ("the end\n", "text/plain; charset=utf-8")


def test_the_whole_fleet_is_sent_again_only_when_it_has_changed(
    served: tuple[Website, CellPaths], token: str
) -> None:
    site, cell = served
    said = PitPaths(site.pit.root).daemon
    with site.client(token) as client:
        said.write_text('{"last_sweep": 1}')
        tag = client.get("/api/v1/fleet").headers["etag"]
        said.write_text('{"last_sweep": 2}')  # Nobody wants the whole fleet again for that.
        same = client.get("/api/v1/fleet", headers={"If-None-Match": tag})
        site.pit.spawn(cell, "reader", "sleep", "60")
        other = client.get("/api/v1/fleet", headers={"If-None-Match": tag})
        said.unlink()
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
    assert {agent["name"] for agent in other.json()["cells"][0]["agents"]} == {"scribe", "reader"}


def test_a_log_that_is_a_link_shows_nothing(served: tuple[Website, CellPaths], token: str) -> None:
    site, cell = served
    log = cell.log("scribe")
    kept = log.rename(log.with_name("kept"))
    log.symlink_to("/etc/passwd")
    try:
        with site.client(token) as client:
            answer = client.get(f"/api/v1/cells/{cell.uuid}/agents/scribe/log")
        assert answer.status_code == 503
        assert "root:" not in answer.text
    finally:
        kept.replace(log)


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/v1/cells/nonsense", 404, "no such cell"),
        ("/api/v1/cells/00000000-0000-4000-8000-000000000000", 404, "no such cell"),
        ("/api/v1/cells/{uuid}/agents/nobody/why", 404, "no such agent"),
        ("/api/v1/cells/{uuid}/agents/nobody/log", 404, "no such agent"),
        ("/api/v1/cells/{uuid}/events?limit=0", 400, "limit: found '0'"),
        ("/api/v1/cells/{uuid}/events?cursor=noon", 400, "cursor: found 'noon'"),
        ("/api/v1/cells/{uuid}/agents/scribe/log?bytes=-1", 400, "bytes: found '-1'"),
    ],
)
def test_what_cannot_be_shown_is_said(
    served: tuple[Website, CellPaths], token: str, path: str, status: int, said: str
) -> None:
    site, cell = served
    with site.client(token) as client:
        answer = client.get(path.replace("{uuid}", cell.uuid))
    assert answer.status_code == status
    assert said in answer.json()["error"]


def test_a_link_logs_in_once(served: tuple[Website, CellPaths]) -> None:
    site, _ = served
    link = site.printed_link("viewer")
    with site.client() as client:
        first, second = (client.post("/api/v1/login", json={"link": link}) for _ in range(2))
        strange = client.post("/api/v1/login", content=b"[]")
    assert (first.status_code, first.json()["role"]) == (200, "viewer")
    assert (second.status_code, strange.status_code) == (401, 400)
    keys = PitPaths(site.pit.root).web_keys
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    assert link not in keys.read_text()
    assert first.json()["token"] not in keys.read_text()
    assert "set-cookie" not in first.headers


def test_a_program_has_a_token_of_its_own(served: tuple[Website, CellPaths]) -> None:
    site, _ = served
    argv = [sys.executable, "-m", "lazarus_pit", "web", "token", "--days"]
    where = ["--config", str(site.pit.config)]
    made = subprocess.run([*argv, "1", *where], capture_output=True, text=True, check=True)
    wrong = subprocess.run([*argv, "0", *where], capture_output=True, text=True, check=False)
    with site.client(made.stdout.strip()) as client:
        assert client.get("/metrics").text.startswith("# HELP lazarus_up ")
        assert client.post("/api/v1/approvals/x/approve").status_code == 403
    assert (wrong.returncode, "expected 1 to 3650" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Cookie": "token=TOKEN"}, 401),
        ({"Authorization": "Bearer TOKEN", "Host": "evil.example"}, 421),
        ({"Authorization": "Bearer TOKEN", "Origin": "http://127.0.0.1:1"}, 403),
        ({"Authorization": "Bearer TOKEN", "Origin": "null"}, 403),
        ({"Authorization": "Bearer TOKEN"}, 200),
    ],
)
def test_only_a_bearer_who_means_us_is_let_in(
    served: tuple[Website, CellPaths], token: str, headers: dict[str, str], status: int
) -> None:
    site, _ = served
    said = {name: value.replace("TOKEN", token) for name, value in headers.items()}
    with site.client(**said) as client:
        answer = client.get("/api/v1/fleet")
    assert answer.status_code == status
    assert "require-trusted-types-for 'script'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_the_socket_needs_no_token_but_its_owner(served: tuple[Website, CellPaths]) -> None:
    site, _ = served
    with site.by_socket() as client:
        assert client.get("/api/v1/fleet").status_code == 200
    path = PitPaths(site.pit.root).web_socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_says_what_it_can_do_and_how_it_is(served: tuple[Website, CellPaths]) -> None:
    site, _ = served
    with site.client() as client:
        document = client.get("/openapi.json").json()
        assert client.get("/healthz").json()["service"] == "lazarus-web"
        assert client.get("/readyz").status_code == 503
    assert document["openapi"] == "3.1.0"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = [p["name"] for p in operation["parameters"] if p["in"] == "path"]
            assert all(f"{{{name}}}" in path for name in named)
    assert "get" in document["paths"]["/api/v1/fleet"]


def test_metrics_and_fleet_need_no_records(served: tuple[Website, CellPaths]) -> None:
    site, _ = served
    records = PitPaths(site.pit.root).records
    records.mkdir()  # As a full disk: they cannot be opened.
    try:
        with site.by_socket() as client:
            shown = client.get("/metrics")
            refused = client.get("/api/v1/approvals")
            fleet = client.get("/api/v1/fleet").json()
    finally:
        records.rmdir()
    assert (shown.status_code, refused.status_code) == (200, 503)
    assert [cell["name"] for cell in fleet["cells"]] == ["pond"]
    assert (fleet["approvals"], str(records) in fleet["approvals_problem"]) == ([], True)
    assert "lazarus_up 0\n" in shown.text
    assert "\nlazarus_approvals_open " not in shown.text


def test_a_root_with_a_long_name_is_served(tmp_path: Path) -> None:
    place = tmp_path / ("long-" * 24)  # A socket's own name has 107 bytes.
    place.mkdir()
    pit = Pit(place)
    with website(pit) as site, site.client() as client:
        assert client.get("/healthz").status_code == 200
        assert PitPaths(pit.root).web_socket.is_socket()


def test_a_port_that_is_none_is_refused(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "lazarus_pit", "web", "serve", "--port=65536"]
    done = subprocess.run(
        [*argv, "--root", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "--port: found 65536" in done.stderr) == (2, True)
    assert not list(tmp_path.iterdir())


def test_a_taken_port_is_named(served: tuple[Website, CellPaths], tmp_path: Path) -> None:
    site, _ = served
    port = str(httpx2.URL(site.url).port)
    argv = [sys.executable, "-m", "lazarus_pit", "web", "serve", "--port", port]
    done = subprocess.run(
        [*argv, "--root", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr
    assert f"pid {site.process.pid}" in done.stderr
