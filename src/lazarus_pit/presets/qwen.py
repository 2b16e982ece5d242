"""Qwen Code (``qwen``): its JSON lines, which are like Claude Code's.

Its conversations are in ``~/.qwen`` of the cell's home, keyed by the working directory. An unknown
one is no error to it: it begins afresh, so the id that it says is what counts. Its login is
``OPENAI_API_KEY`` (with ``OPENAI_BASE_URL``) in the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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


class Qwen:
    """See the module."""

    name = "qwen"
    program = "qwen"
    resumes = True
    chooses = False
    tells = True
    hooked = False

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
        """Trust the workspace, offer the MCP server."""
        server = {"command": "lazarus", "args": ["mcp"], "trust": True}
        return {
            ".qwen/settings.json": {
                "mcpServers": {"lazarus": server},
                "general": {"disableAutoUpdate": True},
            },
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
            names = ("input_tokens", "output_tokens")
            spent = sum(number(inside(line, "usage", name)) for name in names)
            yield Said(Sort.TOKENS, number=spent)
            if line.get("is_error"):
                error = line.get("error")
                said_error = inside(error, "message") or error or line.get("result")
                yield from failed(str(said_error or ""))
            else:
                yield Said(Sort.TURN)


def _call(block: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {
        "tool_name": str(block.get("name") or ""),
        "tool_use_id": str(block.get(key) or ""),
        "tool_input": block.get("input"),
    }


def _options(wanted: Wanted) -> tuple[str, ...]:
    model = ("-m", wanted.model) if wanted.model else ()
    mode = ("--approval-mode", "yolo")  # The cell is the wall; nobody is there to answer.
    return (*mode, "--output-format", "stream-json", *model, *wanted.arguments)


PRESET: Preset = Qwen()
