"""An agent that runs away is frozen and asked about; a yes lets the same process go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit, processes
from integration.typing_it import Typist
from lazarus_pit.cells.layout import CellPaths

COUNTING = (
    "n=0; while :; do n=$((n+1)); "
    'printf \'{"cycle": %d, "turns": %d}\' $n $n > "$LAZARUS_HEARTBEAT_FILE.part"; '
    'mv "$LAZARUS_HEARTBEAT_FILE.part" "$LAZARUS_HEARTBEAT_FILE"; '
    "echo $n >> count; sleep 0.02; done # marker-runaway"
)


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    yield pit
    pit.close()


CIRCLING = (
    "lazarus beat; while :; do "
    'echo \'{"tool_name": "Bash", "tool_input": {"command": "ls"}, "tool_response": "nothing"}\' '
    "| lazarus hook PostToolUse; done"
)


def running_away(pit: Pit, script: str, **rules: object) -> CellPaths:
    cell = pit.cell(name="pond")
    pit.spawn(cell, "scribe", "/bin/sh", "-c", script, rules=rules)
    pit.start()
    pit.wait_event(cell, "agent_held", "scribe")
    pit.wait_event(cell, "agent_frozen", "scribe")
    return cell


def asked(pit: Pit) -> str:
    lazarus = Typist(pit.root)
    found = pit.wait(lambda: lazarus("approvals", "--json").json(), "a request")
    return str(found[0]["facts"]["why"])


def test_a_yes_lets_it_go_on_and_a_no_ends_it_over_restarts_of_the_daemon(pit: Pit) -> None:
    cell = running_away(pit, COUNTING, budget_turns=20)
    lazarus = Typist(pit.root)
    assert asked(pit) == "budget_turns"
    living = processes("marker-runaway")
    assert living
    before = (cell.workspace / "count").stat().st_size

    def explained() -> bool:
        said = lazarus("why", "scribe").out
        return "whether it may go on" in said and "lazarus approve pond/scribe" in said

    pit.wait(explained, "an explanation")
    for verb in (("events", "pond"), ("approvals",)):
        assert "stands still: it has used up its budget of turns" in lazarus(*verb).out
    pit.kill9()
    pit.start()
    pit.wait_event(cell, "agent_adopted", "scribe")
    assert lazarus("approve", "pond/scribe", "--as", "ada").code == 0
    pit.wait_event(cell, "agent_released", "scribe", source="approved")
    second = pit.wait_event(cell, "approval_requested", "scribe", hold=2)
    assert second.data["why"] == "budget_turns"
    assert pit.wait_event(cell, "agent_held", "scribe", count=2).data["turns"] >= 40
    assert (cell.workspace / "count").stat().st_size > before
    assert len(pit.events(cell, "agent_started")) == 1
    # Its shell may be caught with a child that it has just begun, at either hold.
    assert min(processes("marker-runaway")) == min(living), "not the same process goes on"
    pit.wait(lambda: len(lazarus("approvals", "--all", "--json").json()) == 2, "a second request")
    assert lazarus("deny", "pond/scribe").code == 0
    pit.wait_event(cell, "agent_escalated", "scribe", reason="denied")
    assert pit.events(cell, "agent_died") == []
    assert processes("marker-runaway") == []
    assert [one.data["by"] for one in pit.events(cell, "approval_granted")] == ["ada"]


def test_a_loop_that_hooks_tell_of_is_held_and_a_changed_rule_lets_it_go(pit: Pit) -> None:
    cell = running_away(pit, CIRCLING, loop_repeats=6)
    assert asked(pit) == "loop"
    lazarus = Typist(pit.root)
    said = lazarus("agent", "set", "pond/scribe", "loop_repeats=0", "memory_mb=512", "--as=ada")
    assert "loop_repeats: 0 (was 6)" in said.out
    assert "memory_mb: from its next life, `lazarus revive pond/scribe`" in said.out
    pit.wait_event(cell, "agent_released", "scribe", source="rules")
    told = pit.wait_event(cell, "settings_changed", "scribe", by="ada").data
    assert told["set"] == {"loop_repeats": 0, "memory_mb": 512}
    assert told["was"] == {"loop_repeats": 6, "memory_mb": None}
    assert "ada changed settings: loop_repeats=0, memory_mb=512" in lazarus("events", "pond").out
    pit.wait(lambda: lazarus("approvals", "--json").json() == [], "no open request")


def test_mail_gives_who_has_ended_well_a_new_life(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    argv = ("/bin/sh", "-c", "lazarus beat; lazarus mail inbox >> seen")
    pit.spawn(cell, "scribe", *argv, rules={"wake_on_mail": True})
    pit.spawn(cell, "other", *argv)
    pit.start()
    for name in ("scribe", "other"):
        pit.wait_event(cell, "agent_exited", name)
    told = '{"id": "mail-0001", "to": "*", "subject": "come"}'
    (cell.outbox("other") / "1.json").write_text(told)
    pit.wait_event(cell, "agent_exited", "scribe", count=2)
    assert "other: come" in (cell.workspace / "seen").read_text()
    assert len(pit.events(cell, "agent_started", "other")) == 1
    assert pit.events(cell, "agent_died") == []
