"""Codex (``codex``): JSON lines for the conversation, tools, tokens and the end; hooks for mail.

Its conversations and settings lie in ``~/.codex`` of the cell's home. Its login is
``CODEX_API_KEY`` or a key that its ``model_providers`` name; ``auth.json`` of a ChatGPT login
rotates and is never copied.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lazarus_pit.permission import HOOK_SECONDS
from lazarus_pit.presets.base import (
    PASSED,
    Preset,
    Said,
    Sort,
    Wanted,
    Where,
    failed,
    inside,
    number,
)

_TOOLS = ("command_execution", "mcp_tool_call", "file_change", "web_search")
_HOOK = 'hooks.%s=[{hooks=[{type="command",command="lazarus hook --mail %s",timeout=15}]}]'
_HOOKS = tuple(_HOOK % (event, event) for event in ("SessionStart", "PostToolUse", "Stop"))
"""It shows mail at its hooks; the rest its lines say as well, and would be counted twice."""
_ASKING = (
    'hooks.PreToolUse=[{hooks=[{type="command",command="lazarus hook --ask --mail PreToolUse",'
    f"timeout={HOOK_SECONDS}}}]}}]"
)
_TIMES = ("id", "status", "duration_ms")
"""What differs between two calls that are the same."""


class Codex:
    """See the module."""

    name = "codex"
    program = "codex"
    resumes = True
    chooses = False
    tells = True
    codes: Mapping[int, Sort] = MappingProxyType({})
    lines: Mapping[str, Sort] = MappingProxyType({})
    hooked = False
    talks = False
    asks = True

    def begin(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Begin; it says which id it chose."""
        return (*wanted.program, "exec", *_options(wanted), words)

    def resume(self, wanted: Wanted, words: str, session: str) -> tuple[str, ...]:
        """Go on; an unknown id ends it with code 1."""
        return (*wanted.program, "exec", "resume", *_options(wanted), session, words)

    def environment(self, _where: Where) -> dict[str, str]:
        """Nothing."""
        return {}

    def files(self, _where: Where) -> dict[str, Mapping[str, Any]]:
        """Nothing: all is said on the command line."""
        return {}

    def heard(self, line: Mapping[str, Any]) -> Iterator[Said]:
        """Read a line of ``codex exec --json``."""
        kind, item = line.get("type"), inside(line, "item")
        if kind == "thread.started":
            yield Said(Sort.SESSION, str(line.get("thread_id", "")))
        elif kind == "turn.started":
            yield Said(Sort.THINKING)
        elif kind in ("item.started", "item.completed") and inside(item, "type") in _TOOLS:
            yield _tool(item, done=kind == "item.completed")
        elif kind == "item.completed":
            yield Said(Sort.THINKING)
        elif kind == "turn.completed":
            usage = inside(line, "usage")
            read = number(inside(usage, "input_tokens"))
            known = number(inside(usage, "cached_input_tokens"))
            yield Said(Sort.TOKENS, number=read - known + number(inside(usage, "output_tokens")))
            yield Said(Sort.TURN)
        elif kind == "turn.failed":
            yield from failed(str(inside(line, "error", "message") or ""))


def _tool(item: Mapping[str, Any], *, done: bool) -> Said:
    kind = str(item.get("type"))
    keys = ("command", "arguments", "changes", "query")
    given = {key: item[key] for key in keys if key in item}
    name = str(item.get("tool") or kind)
    data = {"tool_name": name, "tool_use_id": str(item.get("id", "")), "tool_input": given}
    if not done:
        return Said(Sort.TOOL, data=data)
    outcome = {key: value for key, value in item.items() if key not in _TIMES}
    return Said(Sort.RESULT, data={**data, "tool_response": outcome})


def _options(wanted: Wanted) -> tuple[str, ...]:
    settings = {
        "mcp_servers.lazarus.command": "lazarus",
        "mcp_servers.lazarus.args": ["mcp"],
        "mcp_servers.lazarus.env_vars": list(PASSED),
    }
    pairs = (f"{name}={json.dumps(value)}" for name, value in settings.items())
    model = ("-m", wanted.model) if wanted.model else ()
    hooks = (*_HOOKS, _ASKING) if wanted.asks else _HOOKS
    return (
        *("--json", "--skip-git-repo-check"),
        "--dangerously-bypass-approvals-and-sandbox",  # The cell is the wall.
        "--dangerously-bypass-hook-trust",  # The hooks are ours; nobody is there to review them.
        *(word for pair in (*pairs, *hooks) for word in ("-c", pair)),
        *model,
        *wanted.arguments,
    )


PRESET: Preset = Codex()
