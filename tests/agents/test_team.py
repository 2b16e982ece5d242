"""Two different programs write to each other, by the command and by MCP; the inspector looks in."""

from __future__ import annotations

import json

from agents.conftest import World
from agents.programs import MODULES
from lazarus_pit.core.model import Role


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
