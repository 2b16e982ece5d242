"""opencode (``opencode``): its JSON lines.

Its conversations are in ``~/.local/share/opencode`` of the cell's home (SQLite in WAL mode), its
settings in ``~/.config/opencode``. Its login is a provider's key in the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lazarus_pit.presets import plugins
from lazarus_pit.presets.base import (
    Preset,
    Said,
    Sort,
    Wanted,
    Where,
    failed,
    inside,
    number,
)


class Opencode:
    """See the module."""

    name = "opencode"
    program = "opencode"
    resumes = True
    chooses = False
    tells = True
    codes: Mapping[int, Sort] = MappingProxyType({})
    lines: Mapping[str, Sort] = MappingProxyType({})
    hooked = False
    talks = False
    asks = True

    def begin(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Begin; each of its lines says which id it chose."""
        return (*wanted.program, "run", "--format", "json", *_options(wanted), words)

    def resume(self, wanted: Wanted, words: str, session: str) -> tuple[str, ...]:
        """Go on; an unknown id ends it with code 1."""
        own = ("--session", session)
        return (*wanted.program, "run", "--format", "json", *own, *_options(wanted), words)

    def environment(self, _where: Where) -> dict[str, str]:
        """Keep it from replacing itself."""
        return {"OPENCODE_DISABLE_AUTOUPDATE": "1"}

    def files(self, where: Where) -> dict[str, Mapping[str, Any] | str]:
        """Offer the MCP server, and ask nobody: nobody is there to answer, unless by a plugin."""
        server = {"type": "local", "command": ["lazarus", "mcp"], "enabled": True}
        allowed = {"edit": "allow", "bash": "allow", "webfetch": "allow"}
        said = {"autoupdate": False, "permission": allowed, "mcp": {"lazarus": server}}
        asking = {".config/opencode/plugin/lazarus.js": plugins.OPENCODE} if where.asks else {}
        return {".config/opencode/opencode.json": said, **asking}

    def heard(self, line: Mapping[str, Any]) -> Iterator[Said]:
        """Read a line of ``opencode run --format json``."""
        if isinstance(session := line.get("sessionID"), str):
            yield Said(Sort.SESSION, session)
        kind, part = line.get("type"), inside(line, "part")
        if kind in ("step_start", "text", "reasoning"):
            yield Said(Sort.THINKING)
        elif kind == "tool_use":
            yield from _tool(part)
        elif kind == "step_finish":
            names = ("input", "output", "reasoning")
            spent = sum(number(inside(part, "tokens", name)) for name in names)
            yield Said(Sort.TOKENS, number=spent)
            if inside(part, "reason") == "stop":
                yield Said(Sort.TURN)
        elif kind == "error":
            error = inside(line, "error")
            said = inside(error, "data", "message") or inside(error, "name") or error
            yield from failed(str(said), number(inside(error, "data", "statusCode")))


def _tool(part: Any) -> Iterator[Said]:
    data = {
        "tool_name": str(inside(part, "tool") or ""),
        "tool_use_id": str(inside(part, "callID") or ""),
        "tool_input": inside(part, "state", "input"),
    }
    if inside(part, "state", "status") in ("completed", "error"):
        outcome = inside(part, "state", "output") or inside(part, "state", "error")
        yield Said(Sort.RESULT, data={**data, "tool_response": outcome})
    else:
        yield Said(Sort.TOOL, data=data)


def _options(wanted: Wanted) -> tuple[str, ...]:
    return (*(("-m", wanted.model) if wanted.model else ()), *wanted.arguments)


PRESET: Preset = Opencode()
