"""Two different programs write to each other, by the command and by MCP; the inspector looks in."""

from __future__ import annotations

import json

import pytest

from agents.conftest import World
from agents.programs import MODULES
from lazarus_pit import mail
from lazarus_pit.core.model import Role
from lazarus_pit.formats.manifest import Kind
from lazarus_pit.mail import Seat


def test_claude_and_codex_write_to_each_other(world: World) -> None:
    cell = world.pit.cell()
    ask = {"tool": "send_message", "args": {"to": "ben", "body": "Which pond is deepest?"}}
    world.spawn(
        cell,
        "ada",
        "claude_code",
        {"before": [ask, "lazarus mail wait; lazarus mail read > heard-by-ada.txt"]},
    )
    reply = 'lazarus mail reply "$(cut -c1-24 id.txt)" "The third"'
    world.spawn(
        cell,
        "ben",
        "codex",
        {
            "before": [
                "lazarus mail wait; lazarus mail read | tee heard-by-ben.txt",
                f"lazarus mail inbox > id.txt; {reply}",
            ]
        },
    )
    for name in ("ada", "ben"):
        world.pit.wait_event(cell, "agent_exited", name, exit="exit 0")
    assert "Which pond is deepest?" in (cell.workspace / "heard-by-ben.txt").read_text()
    heard = (cell.workspace / "heard-by-ada.txt").read_text()
    assert "The third" in heard
    assert "from: ben" in heard


@pytest.mark.parametrize("program", ["claude_code", "codex"])
def test_mail_reaches_the_model_without_being_asked_for(world: World, program: str) -> None:
    cell = world.pit.cell()
    world.pit.spawn(cell, "eve", kind=Kind.HUMAN)
    steps = ["touch began; lazarus mail wait", "true", "echo {mail} > mail.txt"]
    world.spawn(cell, "ada", program, {"before": steps})
    world.pit.wait((cell.workspace / "began").exists, "the first step")
    mail.send(Seat("", str(cell.outbox("eve"))), "ada", "Mind the tide")
    world.pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    assert (cell.workspace / "mail.txt").read_text() == "true\n"


def test_the_inspector_sees_the_tools_of_a_role(world: World) -> None:
    cell = world.pit.cell(rules={"restart": "never", "liveness": "process"})
    inspect = f"{MODULES}/.bin/mcp-inspector --cli lazarus mcp"
    script = (
        f"{inspect} --method tools/list > ~/tools.json && "
        f"{inspect} --method tools/call --tool-name mission > ~/mission.json"
    )
    opened = {"isolation": {"ro": [str(MODULES)]}, "role": Role.OBSERVER}
    world.pit.spawn(cell, "ada", "sh", "-c", script, **opened)
    world.pit.wait_event(cell, "agent_exited", "ada", exit="exit 0")
    tools = {
        one["name"] for one in json.loads((cell.home("ada") / "tools.json").read_text())["tools"]
    }
    assert "send_message" in tools
    assert "checkpoint" not in tools
    said = json.loads((cell.home("ada") / "mission.json").read_text())
    assert said["structuredContent"]["you"] == "ada"
