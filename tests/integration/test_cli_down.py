"""Every verb works while no daemon runs: what people want is written down and waits."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from integration.typing_it import Typist, process, type_pit
from lazarus_pit.cells import journal, store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cli.sentences import SENTENCES
from lazarus_pit.cli.why import PITS
from lazarus_pit.core.model import CellStatus, Desired
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Member, Network
from lazarus_pit.linux.unix_sockets import near

REPOSITORY = Path(__file__).parents[2]
PROPOSAL = REPOSITORY / "examples" / "mission-proposal.md"


@pytest.fixture
def lazarus(tmp_path: Path) -> Typist:
    return Typist(tmp_path / "missions")


def create(lazarus: Typist, *words: str) -> CellPaths:
    said = lazarus("cell", "create", *words)
    assert said.code == 0, said
    return CellPaths(lazarus.root, said.out.strip())


def member(paths: CellPaths, name: str) -> Member:
    found = store.read_manifest(paths).member(name)
    assert found is not None
    return found


def test_a_mission_from_its_creation_to_its_end(lazarus: Typist) -> None:
    cell = create(lazarus, "--name", "pond", "--mission", "Count the limpets", "--by", "ada")
    said = lazarus(
        *("spawn", "pond", "scribe", "--role", "reviewer", "--policy", "ask", "--env", "A=1"),
        *(
            "--network",
            "host",
            "--rule",
            "resurrect_after=9",
            "--rule",
            "no_restart_exit_codes=[3]",
        ),
        *("--", "python3", "-c", "print('--role')"),
    )
    assert said.code == 0
    assert "takes effect at `lazarus up`" in said.out
    scribe = member(cell, "scribe")
    assert scribe.command == ("python3", "-c", "print('--role')")
    assert (scribe.role, scribe.network, scribe.env) == ("reviewer", Network.HOST, {"A": "1"})
    assert scribe.rules == {
        "revive_policy": "ask",
        "resurrect_after": 9,
        "no_restart_exit_codes": [3],
    }
    assert lazarus("stop", "scribe").code == 0
    assert member(cell, "scribe").desired is Desired.STOP
    assert lazarus("start", "pond/scribe").code == 0
    assert member(cell, "scribe").desired is Desired.RUN
    assert lazarus("revive", f"{cell.uuid[:8]}/scribe").code == 0
    assert member(cell, "scribe").request == 1
    assert lazarus("freeze", "pond").code == 0
    assert store.read_manifest(cell).status is CellStatus.FROZEN
    assert "frozen" in lazarus.fails(1, "start", "scribe")
    assert lazarus("thaw", "pond").code == 0
    assert "archive" in lazarus.fails(1, "cell", "destroy", "pond")
    assert lazarus("cell", "archive", "pond").code == 0
    assert "archived" in lazarus.fails(1, "freeze", "pond")
    assert "cell pond is archived already" in lazarus.fails(1, "cell", "archive", "pond")
    assert "mail log: expected --cell CELL" in lazarus.fails(2, "mail", "log")
    assert "archived" in lazarus.fails(1, "stop", "scribe")
    names = [line["event"] for line in lazarus("events", "pond", "--json").lines()]
    assert names == [
        *("cell_created", "agent_joined", *["agent_ordered"] * 3, "cell_frozen", "cell_thawed"),
        *("cell_archived", "checkpoint_taken"),
    ]
    assert lazarus("cell", "destroy", "pond").code == 0
    assert not cell.cell.exists()


def test_force_destroys_a_cell_that_is_active(lazarus: Typist) -> None:
    cell = create(lazarus, "--mission", "m")
    assert lazarus("cell", "destroy", cell.uuid, "--force").code == 0
    assert not cell.cell.exists()


def test_a_proposal_becomes_a_cell_and_its_agents_are_told_how_to_start(lazarus: Typist) -> None:
    cell = create(lazarus, "--from-proposal", str(PROPOSAL), "--name", "pond", "--issue", "7")
    manifest = store.read_manifest(cell)
    assert manifest.mission == "Write the field guide to tidal ponds"
    assert [agent.name for agent in manifest.agents] == ["scribe", "indexer"]
    assert manifest.rules == {"max_revive_attempts": 3}
    assert manifest.gitea_issue == 7
    kept = json.loads(cell.manifest.read_text())["proposal"]
    assert kept["success"][0]["text"].startswith("Killed or stopped")
    assert "spawn" in lazarus.fails(1, "start", "scribe")
    assert lazarus("spawn", "pond", "scribe", "--no-wait", "--", "true").code == 0
    assert member(cell, "scribe").command == ("true",)
    assert member(cell, "scribe").role == "developer"
    assert "is there already" in lazarus.fails(1, "spawn", "pond", "scribe", "--", "false")


def test_reading_changes_nothing_and_has_a_stable_shape(lazarus: Typist) -> None:
    cell = create(lazarus, "--name", "pond", "--mission", "Count")
    assert lazarus("spawn", "pond", "scribe", "--", "true").code == 0
    cell.log("scribe").write_bytes(b"one\n\x1b[31mtwo\x07\n\xff\n")
    before = {path: path.stat().st_mtime_ns for path in cell.cell.rglob("*")}
    status = lazarus("status", "--json").json()
    assert status["daemon"]["up"] is False
    assert set(status) == {"root", "daemon", "as_of", "cells"}
    assert set(status["cells"][0]) == {
        *(
            "uuid",
            "name",
            "status",
            "asleep",
            "mission",
            "created_at",
            "created_by",
            "path",
            "problem",
        ),
        "agents",
    }
    assert set(status["cells"][0]["agents"][0]) == {
        *("name", "role", "kind", "desired", "state", "phase", "reason", "healthy", "verdict"),
        *("heartbeat_age", "generation", "revive_count", "attempts_left", "pid", "sandbox"),
        *("says", "readings", "isolation", "limits", "unread"),
    }
    assert lazarus("cells", "--json").json()["cells"] == status["cells"]
    assert lazarus("cell", "show", "pond", "--json").json() == status["cells"][0]
    why = lazarus("why", "scribe", "--json").json()
    assert why["daemon_up"] is False
    assert why["rules"]["resurrect_after"] == 120.0
    assert why["next"] == ["It starts at `lazarus up`."]
    assert "DOWN" in lazarus("status").out
    assert "DOWN" in lazarus("why", "scribe").out
    assert lazarus("logs", "scribe", "-n", "2").out == "\\u001b[31mtwo\\u0007\n\ufffd\n"
    assert lazarus("logs", "scribe", "--json").lines()[0]["line"] == "one"
    assert lazarus("events").out.count("[pond]") == 2
    assert {path: path.stat().st_mtime_ns for path in cell.cell.rglob("*")} == before


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("status", "--colour"), "--colour"),
        (("cell", "show", "nowhere"), "no cell 'nowhere'"),
        (("why", "pond/nobody"), "no agent 'pond/nobody'"),
        (("cell", "create"), "--mission"),
        (("cell", "create", "--mission", "m", "--name", "Pond!"), "--name: found 'Pond!'"),
        (("cell", "create", "--mission", "m", "--name", "pond"), "there is a cell 'pond'"),
        (("cell", "create", "--from-proposal", "/nowhere"), "no such file"),
        (("spawn", "pond", "-x", "--", "p"), "-x"),
        (("spawn", "pond", "A/B", "--", "p"), "found 'A/B'"),
        (("spawn", "pond", "a"), "expected a program"),
        (("spawn", "pond", "a", "--env", "A", "--", "p"), "--env: found 'A', expected NAME=VALUE"),
        (("spawn", "pond", "a", "--rule", "speed=9", "--", "p"), "--rule: found 'speed'"),
        (("spawn", "pond", "a", "--rule", "kill_grace=x", "--", "p"), "--rule: kill_grace"),
        (("spawn", "pond", "a", "--role", "king", "--", "p"), "king"),
        (("events", "pond", "-n", "-1"), "--lines"),
        (("logs", "pond/scribe", "--raw", "--json"), "--raw"),
        (("simulate", "--seeds", "0"), "--seeds"),
    ],
)
def test_wrong_use_is_exit_code_2(lazarus: Typist, words: tuple[str, ...], complaint: str) -> None:
    create(lazarus, "--name", "pond", "--mission", "m")
    lazarus("spawn", "pond", "scribe", "--", "true")
    assert complaint in lazarus.fails(2, *words)


def test_a_proposal_that_is_none_names_its_file_and_line(lazarus: Typist, tmp_path: Path) -> None:
    page = tmp_path / "proposal.md"
    page.write_text(PROPOSAL.read_text().replace("indexer — developer", "indexer — wizard"))
    said = lazarus.fails(1, "cell", "create", "--from-proposal", str(page))
    assert f"{page}: Agents Invited, line 20:" in said


def test_a_corrupt_manifest_is_shown_as_such_and_refused(lazarus: Typist) -> None:
    cell = create(lazarus, "--name", "pond", "--mission", "m")
    create(lazarus, "--name", "lake", "--mission", "n")
    cell.manifest.write_text('{"uuid": 3}')
    assert f"{cell.uuid}: unreadable … " in lazarus("cells").out
    assert "lake" in lazarus("status").out
    assert str(cell.manifest) in lazarus.fails(1, "cell", "show", cell.uuid)
    assert str(cell.manifest) in lazarus.fails(1, "spawn", cell.uuid[:8], "a", "--", "p")


def test_a_corrupt_state_is_told_and_hides_nothing(lazarus: Typist) -> None:
    cell = create(lazarus, "--name", "pond", "--mission", "m")
    cell.state.write_text("{")
    assert "state.json" in lazarus("status").out
    assert "state.json" in lazarus("status", "--json").json()["cells"][0]["problem"]


def test_a_wrong_configuration_is_exit_code_2(tmp_path: Path) -> None:
    config = tmp_path / "pit.toml"
    config.write_text("[cells]\nroof = 1\n")
    lazarus = Typist(tmp_path, config)
    for words in (("status",), ("up",), ("cell", "create", "--mission", "m")):
        assert f"{config}: line 2: [cells] roof" in lazarus.fails(2, *words)
    said = type_pit("--config", str(config), "--status")
    assert (said.code, "roof" in said.err, "Traceback" in said.err) == (2, True, False)
    checks = lazarus("doctor", "--json")
    assert checks.code == 1
    assert "roof" in checks.out


def test_a_configuration_that_is_not_there_means_defaults_and_is_said(tmp_path: Path) -> None:
    said = Typist(tmp_path, tmp_path / "none.toml")("status", "--root", str(tmp_path))
    assert said.code == 0
    assert "none.toml: there is no such file" in said.err


def test_a_root_that_cannot_be_read_is_exit_code_75(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lazarus = Typist(tmp_path / "file")
    for words in (("status",), ("cells",), ("cell", "create", "--mission", "m")):
        assert str(tmp_path / "file") in lazarus.fails(75, *words)
    assert "file: found a file, expected a directory" in lazarus.fails(2, "up", "--alone")


def test_why_tells_of_the_pit_what_bears_on_the_agent(lazarus: Typist) -> None:
    lazarus("cell", "create", "--name", "pond", "--mission", "m")
    lazarus("spawn", "pond", "scribe", "--", "true")
    pit = PitPaths(lazarus.root)
    said = ({"event": "observer_doubted", "data": {"why": "suspend"}}, {"event": "gateway_lost"})
    assert {"observer_doubted", *PITS} <= set(SENTENCES)
    journal.append_events(pit.events, [Event(ts="2999-01-01T00:00:00Z", **one) for one in said])
    told = lazarus("why", "scribe").out
    assert ("doubts its own eyes" in told, "gateway" in told) == (True, False)


def test_a_link_to_a_page_that_nobody_serves_says_so(tmp_path: Path) -> None:
    pit = PitPaths(tmp_path)
    pit.private.mkdir(parents=True)
    lazarus = Typist(tmp_path)
    assert "nobody has served the page" in lazarus.fails(1, "web", "link")
    url = "http://127.0.0.1:8767/"
    pit.web_address.write_text(json.dumps({"url": url, "pid": 1}))
    with socket.socket(socket.AF_UNIX) as server, near(str(pit.web_socket)) as short:
        server.bind(short)
        server.listen()
        served = lazarus("web", "link")
        assert (served.out.startswith(f"{url}#login="), served.err) == (True, "")
    assert f"nobody serves the page below {tmp_path} now" in lazarus("web", "link").err


def test_an_unknown_user_can_create_a_cell(lazarus: Typist) -> None:
    env = {name: value for name, value in os.environ.items() if name not in ("LOGNAME", "USER")}
    said = process(*lazarus.place, "cell", "create", "--mission", "m", env=env)
    assert said.code == 0
    manifest = store.read_manifest(CellPaths(lazarus.root, said.out.strip()))
    assert manifest.created_by


def test_whoever_has_seen_enough_is_not_shouted_at(lazarus: Typist) -> None:
    create(lazarus, "--name", "pond", "--mission", "m")
    read, write = os.pipe()
    os.close(read)
    try:
        said = process(*lazarus.place, "events", stdout=write)
    finally:
        os.close(write)
    assert (said.code, said.err) == (0, "")


# ---------------------------------------------------------------- lazarus-pit


def test_the_pit_has_exactly_the_flags_of_the_contract() -> None:
    said = process("--help", module="lazarus_pit.cli.pit")
    assert said.code == 0
    flags = {word.strip(",[]|") for word in said.out.split() if word.strip("[").startswith("--")}
    assert flags == {"--config", "--status", "--list-cells", "--help", "--version"}
    assert type_pit("--version").out.strip() == "0.1.0"
    assert type_pit("--stat").code == 2
    assert type_pit("--status", "--list-cells").code == 2


def test_the_pit_lists_every_cell_and_shows_those_it_watches(tmp_path: Path) -> None:
    config = tmp_path / "pit.toml"
    config.write_text(f'[cells]\nroot = "{tmp_path}/missions"\n')
    assert "no cell below" in type_pit("--config", str(config), "--list-cells").out
    lazarus = Typist(tmp_path / "missions")
    pond = create(lazarus, "--name", "pond", "--mission", "Count")
    lake = create(lazarus, "--name", "lake", "--mission", "Swim")
    sea = create(lazarus, "--name", "sea", "--mission", "Sail")
    lazarus("spawn", "pond", "scribe", "--", "true")
    lazarus("cell", "archive", "lake")
    sea.manifest.write_text("{")
    listed = type_pit("--config", str(config), "--list-cells").out.splitlines()
    assert f"{pond.uuid}: active (pond, 1 member) … Count" in listed
    assert f"{lake.uuid}: archived (lake, 0 members) … Swim" in listed
    assert any(line.startswith(f"{sea.uuid}: unreadable … ") for line in listed)
    pond.heartbeat("scribe").write_text("{}")
    status = type_pit("--config", str(config), "--status").out
    assert "DOWN" in status
    assert "  scribe: waiting, heartbeat " in status
    assert lake.uuid not in status


def test_manifests_by_hand_are_read_like_ours(lazarus: Typist) -> None:
    cell = create(lazarus, "--name", "pond", "--mission", "m")
    store.update_manifest(cell, lambda old: replace(old, mission="\x1b[2Jm"))
    assert "\x1b" not in lazarus("status").out + lazarus("cells").out


def test_an_agent_is_given_a_list_of_places(lazarus: Typist) -> None:
    cell = create(lazarus, "--name", "pond", "--mission", "Ask around")
    places = ("--network", "allow", "--allow", "api.anthropic.com", "--allow", "github.com:22")
    said = lazarus("spawn", "pond", "scribe", *places, "--forward", "11434", "--", "true")
    assert said.code == 0, said
    scribe = member(cell, "scribe")
    assert scribe.network is Network.ALLOW
    assert scribe.allow == ("api.anthropic.com", "github.com:22")
    assert scribe.forward == (11434,)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--allow", "a.org"], "--allow: expected --network allow with it"),
        (["--network", "host", "--forward", "80"], "--forward: expected --network allow with it"),
        (["--network", "allow", "--allow", "http://a.org"], '--allow: found "http://a.org"'),
        (["--network", "allow", "--forward", "3128"], "--forward: found 3128"),
    ],
)
def test_a_list_that_cannot_be_kept_to_is_refused(
    lazarus: Typist, words: list[str], said: str
) -> None:
    create(lazarus, "--name", "pond", "--mission", "Ask around")
    assert said in lazarus.fails(2, "spawn", "pond", "scribe", *words, "--", "true")


def test_settings_are_changed_later_as_carefully_as_they_are_given(lazarus: Typist) -> None:
    cell = create(lazarus, "--name", "pond", "--mission", "Count the limpets")
    assert lazarus("spawn", "pond", "scribe", "--", "true").code == 0
    said = lazarus("cell", "set", "pond", "checkpoint_interval=900", "mission_minutes=60")
    assert "takes effect at `lazarus up`" in said.out
    found = store.read_manifest(cell)
    assert (found.checkpoint_interval, found.rules) == (900.0, {"mission_minutes": 60})
    before = cell.manifest.read_bytes()
    for words, complaint in (
        (("cell", "set", "pond"), "expected NAME=VALUE"),
        (("cell", "set", "pond", "checkpoint_interval=1e-9"), "expected at least 0.1"),
        (("cell", "set", "pond", "status=archived"), "status: no such setting"),
        (("agent", "set", "pond/scribe", "mission=x"), "mission: no such setting"),
        (("agent", "set", "pond/nobody", "budget_turns=1"), "nobody"),
        (("agent", "set", "pond/scribe", "budget_turns=2", "stall_after=x"), "stall_after: found"),
        (("cell", "import", "/tmp/" + "n" * 300), "name too long"),
        (("cell", "create", "--mission=x", "--checkpoint-interval=1e-9"), "found 1e-09"),
    ):
        assert complaint in lazarus.fails(2, *words)
    assert cell.manifest.read_bytes() == before
    assert "nothing has changed" in lazarus("cell", "set", "pond", "mission_minutes=60").out
    assert lazarus("cell", "archive", "pond").code == 0
    assert "nothing in it changes" in lazarus.fails(1, "cell", "set", "pond", "budget_turns=1")
