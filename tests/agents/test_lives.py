"""Real programs die in the middle of their work, come back with their conversation, and finish."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from agents.conftest import World
from integration.pit import processes
from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus

EVERY = ("claude_code", "codex", "opencode", "pi", "gemini", "qwen")
LATE_TELLERS = ("opencode",)
"""Who tells of a call only when it has ended."""
LATE_WRITERS = {"qwen": (".qwen/projects/*/chats/*.jsonl", '"tool_result"')}
"""Who writes its conversation a moment after it acts: where, and what the first result looks like.

A death in that moment loses it.
"""
SLOW = "echo two > two.txt; sleep 300 # slow-step"
AFTER = "echo {remembered} > three.txt"
JOB: dict[str, Any] = {"before": ["echo one > one.txt", SLOW], "after": [AFTER]}


def at_work(world: World, cell: CellPaths, program: str) -> int:
    """Wait until the slow step runs and is known to run; return the pid of the life."""
    (started,) = [world.pit.wait_event(cell, "agent_started", "ada")]
    remembered = cell.conversation("ada")
    known = "slow-step" if program not in LATE_TELLERS else '"session": "'
    world.pit.wait(
        lambda: (cell.workspace / "two.txt").exists() and known in remembered.read_text(),
        "the slow step",
    )
    if program in LATE_WRITERS and (cell.workspace / "one.txt").exists():
        chats, result = LATE_WRITERS[program]
        home = cell.home("ada")
        world.pit.wait(
            lambda: any(result in one.read_text() for one in home.glob(chats)), "the first result"
        )
    return int(started.data["pid"])


def has_finished(world: World, cell: CellPaths) -> None:
    world.pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    resumed = world.pit.wait_event(cell, "session_resumed", "ada")
    assert resumed.data["generation"] == 2
    assert not world.pit.events(cell, "session_lost")
    remembered = (cell.workspace / "three.txt").read_text()
    assert int(remembered) >= 1, "the result of the first step is still in the conversation"
    assert not processes(cell.uuid), "nothing of any life is left"


@pytest.mark.parametrize("program", EVERY)
def test_killed_in_the_middle_of_a_tool_it_goes_on_and_finishes(world: World, program: str) -> None:
    cell = world.pit.cell()
    world.spawn(cell, "ada", program, JOB)
    os.kill(at_work(world, cell, program), signal.SIGKILL)
    has_finished(world, cell)
    assert world.pit.events(cell, "agent_died")[0].data["exit"] == "signal 9"


@pytest.mark.parametrize("program", ["claude_code", "codex"])
def test_standing_still_beyond_what_it_announced_it_is_ended_and_goes_on(
    world: World, program: str
) -> None:
    cell = world.pit.cell()
    world.spawn(cell, "ada", program, JOB, env={"LAZARUS_TOOL_SECONDS": "1"})
    at_work(world, cell, program)
    for pid in processes(cell.uuid):
        os.kill(pid, signal.SIGSTOP)
    hung = world.pit.wait_event(cell, "agent_hung", "ada")
    assert hung.data["stopped"]
    has_finished(world, cell)


@pytest.mark.parametrize("program", EVERY)
def test_frozen_and_thawed_it_finishes_in_the_same_life(world: World, program: str) -> None:
    cell = world.pit.cell()
    job = {"before": ["echo two > two.txt; sleep 2 # slow-step", "echo done > three.txt"]}
    world.spawn(cell, "ada", program, job)
    at_work(world, cell, program)
    provision.move_cell(cell, CellStatus.FROZEN)
    world.pit.wait_event(cell, "agent_frozen", "ada")
    provision.move_cell(cell, CellStatus.ACTIVE)
    world.pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    assert (cell.workspace / "three.txt").exists()
    assert not world.pit.events(cell, "agent_died")


FAULTS = [
    (429, "rate_limit_error", "This request would exceed your rate limit.", "quota_wait"),
    (401, "authentication_error", "invalid x-api-key", "auth_hold"),
]


LIMITED = [
    *(
        (program, fault)
        for program in ("claude_code", "codex", "mini_swe_agent")
        for fault in FAULTS
    ),
    *((program, FAULTS[1]) for program in ("gemini", "qwen", "aider", "opencode", "pi")),
]
"""The last five try again for minutes where quota is lacking."""


@pytest.mark.parametrize(
    ("program", "fault"), LIMITED, ids=[f"{program}-{fault[3]}" for program, fault in LIMITED]
)
def test_without_quota_or_login_it_is_held_and_not_dead(
    world: World, program: str, fault: tuple[int, str, str, str]
) -> None:
    cell = world.pit.cell()
    status, kind, message, hold = fault
    refusal = {"status": status, "type": kind, "message": message}
    world.spawn(cell, "ada", program, {"fault": refusal})
    assert world.pit.wait_event(cell, "agent_left_waiting", "ada").data["hold"] == hold
    assert not world.pit.events(cell, "agent_died")


def test_aider_finds_its_history_again(world: World) -> None:
    cell = world.pit.cell()
    after = {"say": "three.txt\n```\n{lives}\n```\n"}
    world.spawn(cell, "ada", "aider", {"before": [{"stall": True}], "after": [after]})
    history = cell.home("ada") / ".aider.chat.history.md"
    world.pit.wait(lambda: history.exists() and "#### SCRIPT" in history.read_text(), "its task")
    os.kill(int(world.pit.events(cell, "agent_started")[0].data["pid"]), signal.SIGKILL)
    world.pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    assert (cell.workspace / "three.txt").read_text() == "1\n"
    assert not processes(cell.uuid)


def test_mini_swe_agent_begins_anew_and_is_told(world: World) -> None:
    cell = world.pit.cell()
    over = "echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
    job = {"before": ["echo one > one.txt", SLOW], "after": ["echo again > three.txt", over]}
    world.spawn(cell, "ada", "mini_swe_agent", job)
    world.pit.wait((cell.workspace / "two.txt").exists, "the slow step")
    os.kill(int(world.pit.events(cell, "agent_started")[0].data["pid"]), signal.SIGKILL)
    world.pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    assert (cell.workspace / "three.txt").exists(), "the model was told of the death"
    assert not processes(cell.uuid)


def test_a_program_that_ends_well_after_a_failure_has_failed_all_the_same(world: World) -> None:
    cell = world.pit.cell()
    status, kind, message, hold = FAULTS[1]
    refusal = {"status": status, "type": kind, "message": message}
    world.spawn(cell, "ada", "pi", {"fault": refusal})
    left = world.pit.wait_event(cell, "agent_left_waiting", "ada")
    assert (left.data["hold"], left.data["exit"]) == (hold, "exit 1"), "pi itself exits with 0"


FULL = {
    "claude_code": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"},
    "codex": {
        "type": "invalid_request_error",
        "code": "context_length_exceeded",
        "message": "Your input exceeds the context window of this model.",
    },
}


@pytest.mark.parametrize("program", FULL)
def test_a_full_conversation_is_left_and_the_work_goes_on_in_a_new_one(
    world: World, program: str
) -> None:
    cell = world.pit.cell()
    full = {"fault": {"status": 400} | FULL[program]}
    world.spawn(cell, "ada", program, {"before": ["echo 1 > one.txt", full], "after": [AFTER]})
    world.pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    assert world.pit.wait_event(cell, "session_lost", "ada").data["reason"] == "exhausted"
    assert (cell.workspace / "three.txt").read_text() == "0\n", "a conversation of its own"
