"""A permission prompt as a question to people: a real daemon, and deaths on both sides of it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit, send
from integration.test_approvals import lazarus

CALL = {"tool_name": "Bash", "tool_input": {"command": "git push"}, "permission_mode": "default"}
PROMPT = f"""
lazarus beat
echo '{json.dumps(CALL)}' | lazarus hook --ask PreToolUse > answer
lazarus mail inbox > mail
"""


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path, revive_policy="auto")
    yield pit
    pit.close()


def test_people_are_asked_once_whoever_dies_meanwhile(pit: Pit) -> None:
    pit.start()
    cell = pit.cell(name="pond")
    pit.spawn(cell, "scribe", "/bin/sh", "-c", PROMPT)
    told = pit.wait_event(cell, "question_asked", "scribe")
    assert told.data["question"] == "May I use Bash? git push"
    (request,) = json.loads(lazarus(pit, "approvals", "--json").stdout)
    started = pit.wait_event(cell, "agent_started", "scribe")
    send(int(started.data["pid"]), signal.SIGKILL)
    pit.wait_event(cell, "agent_died", "scribe")
    pit.wait_event(cell, "agent_started", "scribe", generation=2)
    pit.kill9()
    done = lazarus(pit, "approve", request["id"][:6], "--as", "ada", "--comment", "to the fork")
    assert done.returncode == 0, done.stderr
    pit.start()
    pit.wait_event(cell, "agent_exited", "scribe", exit="exit 0")
    answer = json.loads((cell.workspace / "answer").read_text())["hookSpecificOutput"]
    assert answer["permissionDecision"] == "allow"
    assert "approved by ada: to the fork" in answer["permissionDecisionReason"]
    asked = {one.data["request"] for one in pit.events(cell, "question_asked")}
    assert asked == {request["id"][:8]}, "asked once; a killed daemon may tell of it twice"
    assert "decision" not in (cell.workspace / "mail").read_text(), "its mail was taken away"
