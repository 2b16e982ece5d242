"""Qwen Code (``qwen``): its JSON lines, which are like Claude Code's.

Its conversations are in ``~/.qwen`` of the cell's home, keyed by the working directory. An unknown
one is no error to it: it begins afresh, so the id that it says is what counts. Its login is
``OPENAI_API_KEY`` (with ``OPENAI_BASE_URL``) in the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lazarus_pit.permission import HOOK_SECONDS
from lazarus_pit.presets.base import (
    Preset,
    Said,
    Sort,
    Wanted,
    Where,
    failed,
    inside,
    number,
    objects,
)

_FAILURE = "[API Error:"
"""How a result begins that is none, though it says so nowhere else and the exit code is 0."""


class Qwen:
    """See the module."""

    name = "qwen"
    program = "qwen"
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
        return (*wanted.program, "-p", words, *_options(wanted))

    def resume(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Go on with the newest of this home, which is the agent's own."""
        return (*wanted.program, "-p", words, "--continue", *_options(wanted))

    def environment(self, where: Where) -> dict[str, str]:
        """Say where its settings are."""
        return {"QWEN_HOME": f"{where.home}/.qwen"}

    def files(self, where: Where) -> dict[str, Mapping[str, Any]]:
        """Trust the workspace, offer the MCP server, keep it from calling home."""
        server = {"command": "lazarus", "args": ["mcp"], "trust": True}
        updates = {"disableAutoUpdate": True}
        settings: dict[str, Any] = {
            "mcpServers": {"lazarus": server},
            "general": updates,
            "privacy": {"usageStatisticsEnabled": False},
            "model": {"generationConfig": {"maxRetries": 0}},  # Else it is silent for 40 minutes.
        }
        if where.asks:
            settings["hooks"] = {"PreToolUse": [{"hooks": [_ASKING]}]}
        return {
            ".qwen/settings.json": settings,
            ".qwen/trustedFolders.json": {where.workspace: "TRUST_FOLDER"},
        }

    def heard(self, line: Mapping[str, Any]) -> Iterator[Said]:
        """Read a line of ``--output-format stream-json``."""
        kind = line.get("type")
        if kind == "system" and line.get("subtype") in ("init", "session_start"):
            yield Said(Sort.SESSION, str(line.get("session_id", "")))
            yield Said(Sort.MODEL, str(line.get("model", "")))
        elif kind == "assistant":
            yield Said(Sort.THINKING)
            for block in objects(inside(line, "message", "content")):
                if block.get("type") == "tool_use":
                    yield Said(Sort.TOOL, data=_call(block, "id"))
        elif kind == "user":
            for block in objects(inside(line, "message", "content")):
                if block.get("type") == "tool_result":
                    said = _call(block, "tool_use_id")
                    yield Said(Sort.RESULT, data={**said, "tool_response": block.get("content")})
        elif kind == "result":
            yield from _ended(line)


def _ended(line: Mapping[str, Any]) -> Iterator[Said]:
    names = ("input_tokens", "output_tokens")
    yield Said(Sort.TOKENS, number=sum(number(inside(line, "usage", name)) for name in names))
    result, error = str(line.get("result") or ""), line.get("error")
    if line.get("is_error"):
        yield from failed(str(inside(error, "message") or error or result))
    elif result.startswith(_FAILURE):
        yield from failed(result)
    else:
        yield Said(Sort.TURN)


def _call(block: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {
        "tool_name": str(block.get("name") or ""),
        "tool_use_id": str(block.get(key) or ""),
        "tool_input": block.get("input"),
    }


_ASKING = {
    "type": "command",
    "command": "lazarus hook --ask --mail PreToolUse",
    "timeout": HOOK_SECONDS * 1000,
}
"""Its milliseconds; its lines tell of the tools themselves."""


def _options(wanted: Wanted) -> tuple[str, ...]:
    model = ("-m", wanted.model) if wanted.model else ()
    mode = ("--approval-mode", "yolo")  # The cell is the wall; nobody is there to answer.
    return (*mode, "--output-format", "stream-json", *model, *wanted.arguments)


PRESET: Preset = Qwen()
