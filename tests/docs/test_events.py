"""docs/reference/events.md names every event that the code can tell, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from lazarus_pit.cells import provision

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "lazarus_pit"
PAGE = ROOT / "docs" / "reference" / "events.md"
TELLERS = {"tell": 1, "_event": 0, "note_event": 1}
"""Functions that make an event, and which argument is its name."""
COMPUTED = {
    "agent_hung",
    "agent_stalled",
    "gateway_found",
    "gateway_lost",
    *provision.EVENTS.values(),
}
"""Events whose names are put together; the test below sees that they can really be told."""


def told_in_code() -> set[str]:
    found: set[str] = set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            named = [k.value for k in node.keywords if k.arg == "event"]
            if name in TELLERS and len(node.args) > TELLERS[name]:
                named.append(node.args[TELLERS[name]])
            for value in named:
                if isinstance(value, ast.IfExp):
                    named += [value.body, value.orelse]
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    found.add(value.value)
    text = "\n".join(path.read_text() for path in SOURCE.rglob("*.py"))
    found |= {"agent_ready", "agent_revived"} & set(re.findall(r'"(agent_\w+)"', text))
    return found


def documented() -> set[str]:
    rows = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([a-z_]+)`", row)}


def test_every_event_of_the_code_is_documented() -> None:
    assert sorted(told_in_code() - documented()) == []


def test_every_documented_event_can_be_told() -> None:
    assert sorted(documented() - told_in_code() - COMPUTED) == []
