"""Gemini CLI (``gemini``): its JSON lines.

Its conversations are in ``~/.gemini`` of the cell's home, keyed by the working directory. An
unknown one is no error to it: it begins afresh, so the id that it says is what counts. Its login
is ``GEMINI_API_KEY`` in the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lazarus_pit.permission import HOOK_SECONDS
from lazarus_pit.presets.base import Preset, Said, Sort, Wanted, Where, failed, inside, number


class Gemini:
    """See the module."""

    name = "gemini"
    program = "gemini"
    resumes = True
    chooses = False
    tells = True
    codes: Mapping[int, Sort] = MappingProxyType(
        {41: Sort.LOGIN, 401 % 256: Sort.LOGIN, 429 % 256: Sort.QUOTA}
    )
    """It ends with the status of its last answer, of which a process keeps the low byte."""
    lines: Mapping[str, Sort] = MappingProxyType({})
    hooked = False
    talks = False
    asks = True

    def begin(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Begin; its first line says which id it chose."""
        return (*wanted.program, "-p", words, *_options(wanted))

    def resume(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Go on with the newest of this home, which is the agent's own."""
        return (*wanted.program, "-p", words, "--resume", "latest", *_options(wanted))

    def environment(self, where: Where) -> dict[str, str]:
        """Say where its settings are."""
        return {"GEMINI_CLI_HOME": where.home, "GEMINI_CLI_TRUST_WORKSPACE": "true"}

    def files(self, where: Where) -> dict[str, Mapping[str, Any]]:
        """Trust the workspace, offer the MCP server, keep it from calling home."""
        server = {"command": "lazarus", "args": ["mcp"], "trust": True}
        updates = {"disableAutoUpdate": True, "disableUpdateNag": True}
        settings: dict[str, Any] = {
            "mcpServers": {"lazarus": server},
            "general": updates,
            "privacy": {"usageStatisticsEnabled": False},
        }
        if where.asks:
            settings["hooks"] = {"BeforeTool": [{"hooks": [_ASKING]}]}
        return {
            ".gemini/settings.json": settings,
            ".gemini/trustedFolders.json": {where.workspace: "TRUST_FOLDER"},
        }

    def heard(self, line: Mapping[str, Any]) -> Iterator[Said]:
        """Read a line of ``--output-format stream-json``."""
        kind = line.get("type")
        data = {
            "tool_name": str(line.get("tool_name") or ""),
            "tool_use_id": str(line.get("tool_id") or ""),
            "tool_input": line.get("parameters"),
        }
        if kind == "init":
            yield Said(Sort.SESSION, str(line.get("session_id", "")))
            yield Said(Sort.MODEL, str(line.get("model", "")))
        elif kind == "message":
            yield Said(Sort.THINKING)
        elif kind == "tool_use":
            yield Said(Sort.TOOL, data=data)
        elif kind == "tool_result":
            outcome = line.get("output") or line.get("error") or line.get("status")
            yield Said(Sort.RESULT, data={**data, "tool_response": outcome})
        elif kind == "error" and line.get("severity") != "warning":
            yield from failed(str(line.get("message", "")))
        elif kind == "result":
            yield Said(Sort.TOKENS, number=number(inside(line, "stats", "total_tokens")))
            if line.get("status") == "error":
                yield from failed(str(inside(line, "error", "message") or ""))
            else:
                yield Said(Sort.TURN)


_ASKING = {
    "type": "command",
    "command": "lazarus hook --ask --mail BeforeTool",
    "timeout": HOOK_SECONDS * 1000,
}
"""Its milliseconds; its lines tell of the tools themselves."""


def _options(wanted: Wanted) -> tuple[str, ...]:
    model = ("-m", wanted.model) if wanted.model else ()
    mode = ("--approval-mode", "yolo")  # The cell is the wall; nobody is there to answer.
    return (*mode, "--output-format", "stream-json", *model, *wanted.arguments)


PRESET: Preset = Gemini()
