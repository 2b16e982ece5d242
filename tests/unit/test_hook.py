"""``lazarus hook``: what real programs' hooks say, read back as the pit reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit import beat, hook, session
from lazarus_pit.core.model import HoldKind
from lazarus_pit.formats import heartbeat
from lazarus_pit.formats.heartbeat import Heartbeat

SESSION = "0d2f4b0e-1f9f-4b58-9d45-0c8f3a2d9a11"
CALL = {"session_id": SESSION, "tool_name": "Bash", "tool_use_id": "toolu_1"}
LS: dict[str, Any] = {**CALL, "tool_input": {"command": "ls"}}


@pytest.fixture
def cell(tmp_path: Path) -> dict[str, str]:
    """An agent's environment, in directories as a cell has them."""
    for name in ("hb", "home", "inbox", "outbox"):
        (tmp_path / name).mkdir()
    manifest = {"mission": "Chart it", "agents": [{"name": "bob", "role": "reviewer"}]}
    (tmp_path / "pub").mkdir()
    (tmp_path / "pub" / "cell.json").write_text(json.dumps(manifest))
    return {
        beat.FILE: str(tmp_path / "hb" / "timmy.json"),
        "HOME": str(tmp_path / "home"),
        "NOTIFY_SOCKET": str(tmp_path / "pub" / "notify.sock"),
        "LAZARUS_AGENT": "timmy",
        "LAZARUS_ROLE": "developer",
        "LAZARUS_GENERATION": "4",
        "LAZARUS_INBOX": str(tmp_path / "inbox"),
        "LAZARUS_OUTBOX": str(tmp_path / "outbox"),
    }


def read(cell: dict[str, str]) -> Heartbeat:
    return heartbeat.parse(Path(cell[beat.FILE]).read_bytes())


def fire(cell: dict[str, str], name: str, **said: Any) -> Heartbeat:
    hook.happened(name, said, cell)
    return read(cell)


def deliver(cell: dict[str, str], number: int, body: str) -> None:
    said = {"id": f"mail-000{number}", "from": "bob", "to": "timmy", "body": body}
    Path(cell["LAZARUS_INBOX"], f"{number:020}.json").write_text(json.dumps(said))


def test_a_tool_is_busy_work_until_it_has_run(cell: dict[str, str]) -> None:
    before = fire(cell, "UserPromptSubmit", session_id=SESSION)
    running = fire(cell, "PreToolUse", **LS)
    assert (running.status, running.tool, running.generation) == ("in tool: Bash", "Bash", 4)
    assert running.busy_until is not None
    assert running.busy_until - time.time() > session.LEASES[session.TOOL] - 60
    assert running.cycle == before.cycle, "beginning a tool is no progress"
    assert session.open_calls(session.load(cell)) == {"toolu_1": "Bash: ls"}
    after = fire(cell, "PostToolUse", **LS, tool_response={"stdout": "a"})
    assert (after.status, after.session) == ("thinking", SESSION)
    assert after.cycle is not None
    assert before.cycle is not None
    assert after.cycle > before.cycle
    assert session.open_calls(session.load(cell)) == {}


def test_the_same_call_with_the_same_outcome_is_counted(cell: dict[str, str]) -> None:
    seen = [fire(cell, "PostToolUse", **LS, tool_response=one) for one in ("a", "a", "a", "b")]
    assert [one.tool_repeats for one in seen] == [1, 2, 3, 1]
    assert seen[0].tool_digest == seen[2].tool_digest != seen[3].tool_digest
    failed = fire(cell, "PostToolUseFailure", **LS, error="b")
    assert (failed.tool_digest, failed.tool_repeats) == (seen[3].tool_digest, 2)


def test_calls_that_take_turns_are_counted_by_their_rounds(cell: dict[str, str]) -> None:
    said = [("PostToolUse", {"tool_response": one}) for one in "abab"]
    seen = [fire(cell, event, **LS, **more) for event, more in said]
    assert [one.tool_repeats for one in seen] == [1, 1, 1, 2]
    assert fire(cell, "PostToolUse", **LS, tool_response="c").tool_repeats == 1
    next_life = {**cell, "LAZARUS_GENERATION": "5"}
    assert fire(next_life, "PostToolUse", **LS, tool_response="a").tool_repeats == 1


def test_of_two_tools_at_once_one_still_runs(cell: dict[str, str]) -> None:
    fire(cell, "PreToolUse", **LS)
    fire(cell, "PreToolUse", **{**LS, "tool_use_id": "toolu_2"})
    assert fire(cell, "PostToolUse", **LS).status == "in tool: Bash"


def test_a_person_is_waited_for(cell: dict[str, str]) -> None:
    for said in (
        {"notification_type": "permission_prompt"},
        {"message": "Claude needs your permission to use Bash"},
    ):
        assert fire(cell, "Notification", **said).hold is HoldKind.NEEDS_INPUT
        assert fire(cell, "PreToolUse", **LS).hold is None
    assert fire(cell, "Notification", notification_type="auth_success").hold is None
    assert fire(cell, "PermissionRequest", **LS).hold is HoldKind.NEEDS_INPUT


@pytest.mark.parametrize(
    ("error", "hold"),
    [
        ("rate_limit", HoldKind.QUOTA_WAIT),
        ("authentication_failed", HoldKind.AUTH_HOLD),
        ("server_error", None),
    ],
)
def test_a_turn_that_failed_for_want_of_quota_or_login_is_a_hold(
    cell: dict[str, str], error: str, hold: HoldKind | None
) -> None:
    assert fire(cell, "StopFailure", error=error).hold is hold
    assert fire(cell, "SessionEnd", reason="other").hold is hold, "the end does not undo it"


def test_other_spellings_mean_the_same(cell: dict[str, str]) -> None:
    assert fire(cell, "BeforeTool", tool_name="run").status == "in tool: run"
    assert fire(cell, "sessionStart").status == "ready"
    assert fire(cell, "SomethingNew").status == "ready"


def test_a_new_life_counts_anew_and_knows_its_conversation(cell: dict[str, str]) -> None:
    assert fire(cell, "Stop", session_id=SESSION).turns == 1
    cell |= {"LAZARUS_GENERATION": "5", session.ASKED: SESSION}
    after = fire(cell, "SessionStart", session_id="another")
    assert (after.turns, after.session, after.session_asked) == (0, "another", SESSION)


def test_mail_is_shown_once_and_keeps_an_agent_from_stopping(cell: dict[str, str]) -> None:
    deliver(cell, 1, "read page two")
    shown = hook.answered("PostToolUse", LS, cell)
    assert shown is not None
    assert shown["hookSpecificOutput"]["hookEventName"] == "PostToolUse"
    assert "read page two" in shown["hookSpecificOutput"]["additionalContext"]
    assert hook.answered("PostToolUse", LS, cell) is None
    deliver(cell, 2, "and page three")
    stopped = hook.answered("Stop", {}, cell)
    assert stopped is not None
    assert stopped["decision"] == "block"
    assert "and page three" in stopped["reason"]
    assert "read page two" not in stopped["reason"]
    assert hook.answered("Stop", {"stop_hook_active": True}, cell) is None


def test_a_session_begins_with_who_and_what_for(cell: dict[str, str]) -> None:
    shown = hook.answered("SessionStart", {}, cell)
    text = shown["hookSpecificOutput"]["additionalContext"] if shown else ""
    assert all(words in text for words in ("timmy", "developer", "Chart it", "bob (reviewer)"))


GARBAGE = (b"", b"[]", b"{", b"\xff\x00", b'{"tool_input": ' + b"[" * 99999, b'{"session_id": 7}')


def run(cell: dict[str, str], *words: str, said: bytes | int) -> subprocess.CompletedProcess[bytes]:
    given: dict[str, Any] = {"stdin": said} if isinstance(said, int) else {"input": said}
    source = str(Path(hook.__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {source!r}); from lazarus_pit.hook import main; "
    argv = [sys.executable, "-I", "-S", "-c", f"{code}sys.exit(main(sys.argv[1:]))", *words]
    return subprocess.run(argv, env=cell, capture_output=True, timeout=30, check=False, **given)


@pytest.mark.parametrize("said", GARBAGE)
def test_garbage_is_a_sign_of_life_and_stops_no_turn(cell: dict[str, str], said: bytes) -> None:
    done = run(cell, "PreToolUse", said=said)
    assert done.returncode == 0, done.stderr
    assert read(cell).status == "in tool: a tool"


def test_mail_alone_is_shown_without_a_beat(cell: dict[str, str]) -> None:
    deliver(cell, 1, "read page two")
    done = run(cell, "--mail", "PostToolUse", said=json.dumps(LS).encode())
    assert "read page two" in done.stdout.decode()
    assert not Path(cell[beat.FILE]).exists()


def test_an_input_that_never_ends_is_not_waited_for(cell: dict[str, str]) -> None:
    reader, writer = os.pipe()
    try:
        assert run(cell, "Stop", said=reader).returncode == 0
    finally:
        os.close(reader)
        os.close(writer)
    assert read(cell).status == "finished"


def test_a_planted_fifo_and_a_held_lock_stop_nobody(cell: dict[str, str]) -> None:
    os.mkfifo(Path(cell["HOME"], session.FILE))
    assert run(cell, "Stop", said=b"{}").returncode == 0
    assert read(cell).status == "finished"


def test_outside_a_cell_nothing_is_done(tmp_path: Path) -> None:
    done = run({"HOME": str(tmp_path)}, "Stop", said=b"{}")
    assert (done.returncode, done.stdout, list(tmp_path.iterdir())) == (0, b"", [])
