"""Real programs ask people before they use a tool, and hear the answer, over deaths and in time."""

from __future__ import annotations

import os
import signal

import pytest

from agents.conftest import World
from integration.test_approvals import lazarus

ASKERS = ("claude_code", "codex", "opencode", "pi", "gemini", "qwen", "acp")
STEP = "echo done > pushed.txt # the-push"
HOW_LONG = "LAZARUS_PERMISSION_SECONDS"


@pytest.mark.parametrize("program", ASKERS)
def test_people_say_yes_to_one_that_has_died_meanwhile(world: World, program: str) -> None:
    cell, pit = world.pit.cell(), world.pit
    job = {"before": [STEP], "after": [STEP]}
    world.spawn(cell, "ada", program, job, permissions="ask")
    asked = pit.wait_event(cell, "question_asked", "ada")
    assert "the-push" in asked.data["question"]
    os.kill(int(pit.wait_event(cell, "agent_started", "ada").data["pid"]), signal.SIGKILL)
    pit.wait_event(cell, "agent_started", "ada", generation=2)
    done = lazarus(pit, "approve", asked.data["request"], "--as", "eve")
    assert done.returncode == 0, done.stderr
    pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    assert (cell.workspace / "pushed.txt").exists()
    assert len({one.data["request"] for one in pit.events(cell, "question_asked")}) == 1


@pytest.mark.parametrize("program", ASKERS)
def test_people_say_no_and_nothing_is_run(world: World, program: str) -> None:
    cell, pit = world.pit.cell(), world.pit
    world.spawn(cell, "ada", program, {"before": [STEP]}, permissions="ask")
    asked = pit.wait_event(cell, "question_asked", "ada")
    assert lazarus(pit, "deny", asked.data["request"], "--as", "eve").returncode == 0
    pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    assert not (cell.workspace / "pushed.txt").exists()


def test_nobody_answers_and_nothing_is_run(world: World) -> None:
    cell, pit = world.pit.cell(), world.pit
    job = {"before": [STEP]}
    world.spawn(cell, "ada", "claude_code", job, permissions="ask", env={HOW_LONG: "2"})
    pit.wait_event(cell, "question_answered", "ada", outcome="expired")
    pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    assert not (cell.workspace / "pushed.txt").exists()
