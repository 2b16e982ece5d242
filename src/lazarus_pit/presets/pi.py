"""pi (``pi``): its JSON lines.

Its conversations and settings lie in ``~/.pi`` of the cell's home. Its login is a provider's key
in the environment, or what ``~/.pi/agent/models.json`` names. It has no MCP client: team tools are
``lazarus mail`` on its command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lazarus_pit.presets import plugins
from lazarus_pit.presets.base import Preset, Said, Sort, Wanted, Where, failed, inside, number


class Pi:
    """See the module."""

    name = "pi"
    program = "pi"
    resumes = True
    chooses = False
    tells = True
    codes: Mapping[int, Sort] = MappingProxyType({})
    lines: Mapping[str, Sort] = MappingProxyType({})
    hooked = False
    talks = False
    asks = True

    def begin(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Begin; its first line says which id it chose."""
        return (*wanted.program, "-p", "--mode", "json", *_options(wanted), words)

    def resume(self, wanted: Wanted, words: str, session: str) -> tuple[str, ...]:
        """Go on with one conversation."""
        own = ("--session", session)
        return (*wanted.program, "-p", "--mode", "json", *own, *_options(wanted), words)

    def environment(self, _where: Where) -> dict[str, str]:
        """Keep it from calling home."""
        return {"PI_SKIP_VERSION_CHECK": "1", "PI_TELEMETRY": "0"}

    def files(self, where: Where) -> dict[str, str]:
        """Nothing: it asks no question. People are asked by an extension."""
        return {".pi/agent/extensions/lazarus.js": plugins.PI} if where.asks else {}

    def heard(self, line: Mapping[str, Any]) -> Iterator[Said]:
        """Read a line of ``--mode json``."""
        kind = line.get("type")
        data = {
            "tool_name": str(line.get("toolName") or ""),
            "tool_use_id": str(line.get("toolCallId") or ""),
            "tool_input": line.get("args"),
        }
        if kind == "session":
            yield Said(Sort.SESSION, str(line.get("id", "")))
        elif kind == "turn_start":
            yield Said(Sort.THINKING)
        elif kind == "tool_execution_start":
            yield Said(Sort.TOOL, data=data)
        elif kind == "tool_execution_end":
            yield Said(Sort.RESULT, data={**data, "tool_response": line.get("result")})
        elif kind == "auto_retry_start":
            yield Said(Sort.THROTTLED, number=number(line.get("delayMs")) / 1000)
        elif kind == "turn_end":
            usage = inside(line, "message", "usage")
            spent = sum(number(inside(usage, name)) for name in ("input", "output", "cacheWrite"))
            yield Said(Sort.TOKENS, number=spent)
            if inside(line, "message", "stopReason") == "error":
                yield from failed(str(inside(line, "message", "errorMessage") or ""))
        elif kind == "agent_end":
            yield Said(Sort.TURN)


def _options(wanted: Wanted) -> tuple[str, ...]:
    return (*(("--model", wanted.model) if wanted.model else ()), *wanted.arguments)


PRESET: Preset = Pi()
