"""Claude Code (``claude``): hooks for tools and turns, its stream for quota, login and the end.

Its conversations lie in ``~/.claude`` of the cell's home, keyed by the working directory, which is
the same in every cell. Its login is an API key or a long-lived token in the environment
(``--env-from ANTHROPIC_API_KEY`` or ``CLAUDE_CODE_OAUTH_TOKEN``): ``~/.claude/.credentials.json``
rotates, and a copy of it would log everybody else out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lazarus_pit.permission import HOOK_SECONDS
from lazarus_pit.presets.base import (
    HOOKED,
    Preset,
    Said,
    Sort,
    Wanted,
    Where,
    failed,
    inside,
    number,
)

_HOOKS = (*HOOKED, "PostToolUseFailure", "Notification", "PermissionRequest", "StopFailure")
_HOLDS = {
    "rate_limit": Sort.QUOTA,
    "billing_error": Sort.QUOTA,
    "authentication_failed": Sort.LOGIN,
    "oauth_org_not_allowed": Sort.LOGIN,
}


class ClaudeCode:
    """See the module."""

    name = "claude_code"
    program = "claude"
    resumes = True
    chooses = True
    tells = True
    codes: Mapping[int, Sort] = MappingProxyType({})
    lines: Mapping[str, Sort] = MappingProxyType({})
    hooked = True
    talks = False
    asks = True

    def begin(self, wanted: Wanted, words: str, session: str) -> tuple[str, ...]:
        """Begin under an id of our choice."""
        return self._line(wanted, words, "--session-id", session)

    def resume(self, wanted: Wanted, words: str, session: str) -> tuple[str, ...]:
        """Go on; an unknown id ends it with code 1."""
        return self._line(wanted, words, "--resume", session)

    def _line(self, wanted: Wanted, words: str, *session: str) -> tuple[str, ...]:
        model = ("--model", wanted.model) if wanted.model else ()
        return (
            *wanted.program,
            *("-p", words, *session),
            *("--output-format", "stream-json", "--verbose"),
            *(_ASKING if wanted.asks else _FREE),
            *("--mcp-config", _SERVER),
            *model,
            *wanted.arguments,
        )

    def environment(self, _where: Where) -> dict[str, str]:
        """Keep it from calling home and from replacing itself."""
        return {"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1", "DISABLE_AUTOUPDATER": "1"}

    def files(self, where: Where) -> dict[str, Mapping[str, Any]]:
        """Answer the questions of a first start, for whoever starts it by hand in the cell."""
        trusted = {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}
        said = {"hasCompletedOnboarding": True, "projects": {where.workspace: trusted}}
        return {".claude.json": said}

    def heard(self, line: Mapping[str, Any]) -> Iterator[Said]:
        """Read a line of ``--output-format stream-json``."""
        kind, subtype = line.get("type"), line.get("subtype")
        if kind == "system" and subtype == "init":
            yield Said(Sort.SESSION, str(line.get("session_id", "")))
            yield Said(Sort.MODEL, str(line.get("model", "")))
        elif kind == "system" and subtype == "api_retry":
            yield Said(Sort.THROTTLED, number=number(line.get("retry_delay_ms")) / 1000)
        elif kind == "rate_limit_event":
            if inside(line, "rate_limit_info", "status") == "rejected":
                again = number(inside(line, "rate_limit_info", "resetsAt"))
                yield Said(Sort.RESETS, number=again)
        elif kind == "assistant":
            yield from _spoken(line)
        elif kind == "result":
            yield from _ended(line)


def _spoken(line: Mapping[str, Any]) -> Iterator[Said]:
    """A part of a message; each part tells the whole message's tokens, as far as they are known."""
    message = inside(line, "message")
    yield Said(Sort.TOKENS, str(inside(message, "id") or ""), _spent(inside(message, "usage")))
    if line.get("error"):
        sort = _HOLDS.get(str(line["error"]))
        yield Said(Sort.FAILED, str(line["error"])[:300])
        if sort:
            yield Said(sort)


def _spent(usage: object) -> float:
    """What is read from the cache is not counted."""
    counted = ("input_tokens", "cache_creation_input_tokens", "output_tokens")
    return sum(number(inside(usage, name)) for name in counted)


def _ended(line: Mapping[str, Any]) -> Iterator[Said]:
    yield Said(Sort.TOTAL, number=_spent(inside(line, "usage")))
    if not line.get("is_error"):
        return
    text = str(line.get("result") or line.get("errors") or line.get("subtype") or "")
    yield from failed(text, number(line.get("api_error_status")))


def _settings(asking: tuple[str, ...] = ()) -> str:
    """Hooks; those of ``asking`` wait for people, and without their word it goes by its own mode.

    Headless, it fires ``PreToolUse`` alone.
    """
    hooks = {
        event: {"command": f"lazarus hook --ask {event}", "timeout": HOOK_SECONDS}
        if event in asking
        else {"command": f"lazarus hook {event}", "timeout": 15}
        for event in _HOOKS
    }
    return json.dumps(
        {
            "hooks": {
                event: [{"hooks": [{"type": "command", **one}]}] for event, one in hooks.items()
            }
        }
    )


_FREE = ("--dangerously-skip-permissions", "--settings", _settings())
"""The cell is the wall; nobody is there to answer."""
_ASKING = (
    *("--permission-mode", "acceptEdits", "--allowedTools", "mcp__lazarus"),
    *("--settings", _settings(("PreToolUse", "PermissionRequest"))),
)
_SERVER = json.dumps({"mcpServers": {"lazarus": {"command": "lazarus", "args": ["mcp"]}}})

PRESET: Preset = ClaudeCode()
