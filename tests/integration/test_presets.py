"""Agents with a preset under a real daemon; the programs are small but speak as Codex does."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit, send
from integration.typing_it import Typist
from lazarus_pit.cells import store
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import Desired

STARTED = """echo '{"type":"thread.started","thread_id":"conv-1"}'"""
CALL = '{"id":"i","type":"command_execution","command":"make"}'
TOOL = f"""echo '{{"type":"item.started","item":{CALL}}}'"""
DIES = f"""
case "$*" in
*resume*) {STARTED}; printf '%s\\n' "$@" > told ;;
*) {STARTED}; {TOOL}; touch at-work; exec sleep 600 ;;
esac"""
THROTTLED = f"""{STARTED}
echo '{{"type":"turn.failed","error":{{"message":"last status: 429 Too Many Requests"}}}}'
exit 1"""
FORGETFUL = f"""
case "$*" in *resume*) echo 'no rollout found' >&2; exit 1 ;; esac
{STARTED}; [ -e once ] || {{ touch once; exit 1; }}"""


@pytest.fixture(scope="module")
def pit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pit]:
    pit = Pit(tmp_path_factory.mktemp("presets")).start()
    yield pit
    pit.close()


def spawn(pit: Pit, script: str) -> CellPaths:
    cell = pit.cell()
    recipe = {"name": "codex", "task": "build it"}
    pit.spawn(cell, "ada", "sh", "-c", script, "codex", preset=recipe)
    return cell


def names(pit: Pit, cell: CellPaths) -> list[str]:
    return [event.event for event in pit.events(cell, agent="ada")]


def test_a_revived_agent_goes_on_with_its_conversation_and_is_told_what_happened(pit: Pit) -> None:
    cell = spawn(pit, DIES)
    pit.wait(lambda: cell.conversation("ada").exists() and "make" in _remembered(cell), "a call")
    send(int(pit.events(cell, "agent_started")[0].data["pid"]), signal.SIGKILL)
    pit.wait_event(cell, "agent_exited", "ada")
    resumed = pit.wait_event(cell, "session_resumed", "ada")
    assert (resumed.data["session"], resumed.data["generation"]) == ("conv-1", 2)
    told = (cell.workspace / "told").read_text()
    assert "\nconv-1\n" in told
    assert all(words in told for words in ("signal 9", "life 2", "make", "build it"))


def _remembered(cell: CellPaths) -> str:
    return cell.conversation("ada").read_text()


def test_a_conversation_comes_with_its_home_and_is_only_its_own_programs(pit: Pit) -> None:
    homes = []
    for program in ("codex", "pi"):
        cell = pit.cell()
        recipe = {"name": "codex", "task": "build it"}
        argv = ("sh", "-c", DIES, "codex")
        pit.spawn(cell, "ada", *argv, preset=recipe, desired=Desired.STOP)
        brought = cell.conversation("ada")
        brought.write_text(json.dumps({"session": "conv-1", "preset": program}))
        pit.want(cell, "ada", desired=Desired.RUN)
        homes.append(cell)
    pit.wait_event(homes[0], "session_resumed", "ada", generation=1)
    pit.wait((homes[1].workspace / "at-work").exists, "a conversation of its own")
    assert not pit.events(homes[1], "session_resumed")


def test_an_end_for_want_of_quota_is_a_hold_and_no_death(pit: Pit) -> None:
    cell = spawn(pit, THROTTLED)
    left = pit.wait_event(cell, "agent_left_waiting", "ada")
    assert left.data["hold"] == "quota_wait"
    assert "agent_died" not in names(pit, cell)


def test_a_conversation_that_is_gone_is_told_and_a_new_one_begun(pit: Pit) -> None:
    cell = spawn(pit, FORGETFUL)
    pit.wait_event(cell, "agent_exited", "ada")
    lost = [event.data for event in pit.events(cell, "session_lost", "ada")]
    assert [(one["generation"], one["reason"]) for one in lost] == [
        (2, "not_found"),
        (3, "not_found"),
    ]
    assert lost[0]["asked"] == "conv-1"


def test_a_preset_that_is_none_is_never_tried_again(pit: Pit) -> None:
    cell = pit.cell()
    pit.spawn(cell, "ada", "true", preset={"name": "nosuch", "task": "x"})
    pit.wait_event(cell, "agent_escalated", "ada", reason="cannot_start")
    failed = pit.wait_event(cell, "agent_start_failed", "ada")
    assert "nosuch" in failed.data["why"]
    assert "codex" in failed.data["why"]


def test_a_preset_whose_program_is_missing_is_told_at_once(pit: Pit) -> None:
    cell = pit.cell(name="bare-shelf")
    lazarus = Typist(pit.root, pit.config)
    program = ("--preset", "codex", "--program", "nosuch-codex")
    spawned = lazarus("spawn", "bare-shelf", "ada", *program, "--", "build")
    assert spawned.code == 1
    assert "could not be started" in spawned.out
    missing = "nosuch-codex: not found on its PATH, /lazarus/bin:"
    assert missing in spawned.out
    assert "ready" not in spawned.out
    assert not pit.events(cell, "agent_started")
    assert missing in lazarus("why", "bare-shelf/ada").out
    assert missing in lazarus.fails(1, "sandbox", "explain", "bare-shelf/ada")


def test_what_holds_an_agent_is_told_with_the_command_that_is_really_started(pit: Pit) -> None:
    cell = pit.cell(name="shown")
    recipe = {"name": "codex", "task": "build it"}
    pit.spawn(cell, "ada", "true", preset=recipe, desired=Desired.STOP)
    told = Typist(pit.root, pit.config)("sandbox", "explain", "shown/ada", "--json").json()
    assert told["program"].startswith("true exec ")
    assert told["program"].endswith("'build it'")
    assert f"lazarus drive codex --begin '' -- {told['program']}" in told["command"]
    assert not cell.last_life("ada").exists()


def test_a_login_shell_finds_our_command(pit: Pit) -> None:
    cell = pit.cell()
    pit.spawn(cell, "ada", "sh", "-lc", "command -v lazarus > found")
    pit.wait_event(cell, "agent_exited", "ada")
    assert (cell.workspace / "found").read_text() == "/lazarus/bin/lazarus\n"


def test_what_an_agent_plants_in_place_of_its_memory_is_not_followed(
    pit: Pit, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"session": "stolen"}')
    plants = f'rm -f "$HOME/.lazarus-session.json"; ln -s {secret} "$HOME/.lazarus-session.json"'
    cell = spawn(pit, f"[ -e once ] || {{ {plants}; touch once; kill -9 $PPID; }}")
    pit.wait_event(cell, "session_lost", "ada", reason="none_known")
    pit.wait_event(cell, "agent_exited", "ada")
    assert all("stolen" not in str(event.data) for event in pit.events(cell))


def test_a_preset_can_be_typed_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    down = Pit(tmp_path)
    cell = down.cell(name="pond")
    lazarus = Typist(down.root)
    own = ("--model", "m", "--argument=--own", "--permissions", "ask")
    task = ("--preset", "codex", *own, "--no-wait", "--", "do", "it")
    assert lazarus("spawn", "pond", "ada", *task).code == 0
    token = lazarus("invite", "pond", "ben").out.strip()
    assert lazarus("join", token, "--program", "/opt/codex", *task).code == 0
    members = store.read_manifest(cell).agents
    assert [member.command for member in members] == [("codex",), ("/opt/codex",)]
    wanted = {"name": "codex", "task": "do it", "model": "m", "arguments": ["--own"]}
    wanted |= {"permissions": "ask"}
    assert [member.preset for member in members] == [wanted, wanted]
    for words, says in (
        (("--preset", "nosuch", "--", "x"), "expected one of claude_code"),
        (("--preset", "codex"), "expected its task"),
        (("--preset", "codex", "--", " "), "task: empty"),
        (("--model", "m", "--", "x"), "--model: expected --preset with it"),
        (("--preset", "aider", "--permissions", "ask", "--", "x"), "aider cannot wait, expected"),
        (("--preset", "command", "--program", "p", "--", "x"), "--program: expected --preset"),
    ):
        assert says in lazarus.fails(2, "spawn", "pond", "eve", *words)


def test_a_program_that_cannot_wait_for_people_is_not_started_to(pit: Pit) -> None:
    cell = pit.cell()
    recipe = {"name": "aider", "task": "build it", "permissions": "ask"}
    pit.spawn(cell, "ada", "true", preset=recipe)
    pit.wait_event(cell, "agent_escalated", "ada", reason="cannot_start")
    assert "found ask, which aider cannot do" in str(pit.events(cell, agent="ada"))
