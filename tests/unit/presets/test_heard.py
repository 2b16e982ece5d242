"""Lines that the real programs print, and what each preset makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from lazarus_pit.presets.base import Sort
from lazarus_pit.presets.choose import PRESETS, preset

USE = {"type": "tool_use", "id": "t1", "name": "bash", "input": {"command": "ls"}}
OPENCODE_TOOL = {"tool": "bash", "callID": "t1", "state": {"status": "completed", "output": "a"}}
TABLE: list[tuple[str, dict[str, Any], list[Sort]]] = [
    ("opencode", {"type": "step_start", "sessionID": "s"}, [Sort.SESSION, Sort.THINKING]),
    ("opencode", {"type": "tool_use", "part": OPENCODE_TOOL}, [Sort.RESULT]),
    ("opencode", {"type": "tool_use", "part": {"tool": "bash", "state": {}}}, [Sort.TOOL]),
    ("opencode", {"type": "step_finish", "part": {"reason": "stop"}}, [Sort.TOKENS, Sort.TURN]),
    (
        "opencode",
        {"type": "error", "error": {"data": {"message": "invalid x-api-key", "statusCode": 401}}},
        [Sort.FAILED, Sort.LOGIN],
    ),
    (
        "claude_code",
        {"type": "result", "is_error": True, "api_error_status": float("inf"), "result": "?"},
        [Sort.TOTAL, Sort.FAILED],
    ),
    (
        "opencode",
        {"type": "error", "error": {"name": "APIError", "data": {"message": "Rate limit hit"}}},
        [Sort.FAILED, Sort.QUOTA],
    ),
    ("gemini", {"type": "init", "session_id": "s", "model": "m"}, [Sort.SESSION, Sort.MODEL]),
    ("gemini", {"type": "tool_use", "tool_name": "x", "tool_id": "1"}, [Sort.TOOL]),
    ("gemini", {"type": "tool_result", "tool_id": "1", "output": "y"}, [Sort.RESULT]),
    ("gemini", {"type": "error", "severity": "warning", "message": "quota is low"}, []),
    ("gemini", {"type": "result", "status": "success"}, [Sort.TOKENS, Sort.TURN]),
    (
        "gemini",
        {"type": "result", "status": "error", "error": {"message": "Quota exceeded"}},
        [Sort.TOKENS, Sort.FAILED, Sort.QUOTA],
    ),
    ("qwen", {"type": "system", "subtype": "init", "session_id": "s"}, [Sort.SESSION, Sort.MODEL]),
    ("qwen", {"type": "assistant", "message": {"content": [USE]}}, [Sort.THINKING, Sort.TOOL]),
    (
        "qwen",
        {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t1"}]}},
        [Sort.RESULT],
    ),
    ("qwen", {"type": "result", "is_error": False}, [Sort.TOKENS, Sort.TURN]),
    (
        "qwen",
        {"type": "result", "is_error": False, "result": "[API Error: 401 wrong key]"},
        [Sort.TOKENS, Sort.FAILED, Sort.LOGIN],
    ),
    ("pi", {"type": "session", "id": "s"}, [Sort.SESSION]),
    ("pi", {"type": "tool_execution_start", "toolName": "bash"}, [Sort.TOOL]),
    ("pi", {"type": "tool_execution_end", "toolName": "bash"}, [Sort.RESULT]),
    ("pi", {"type": "auto_retry_start", "delayMs": 2000}, [Sort.THROTTLED]),
    (
        "pi",
        {"type": "turn_end", "message": {"stopReason": "error", "errorMessage": "429 slow down"}},
        [Sort.TOKENS, Sort.FAILED, Sort.QUOTA],
    ),
    ("pi", {"type": "agent_end"}, [Sort.TURN]),
    (
        "claude_code",
        {"type": "result", "is_error": True, "result": "Prompt is too long"},
        [Sort.TOTAL, Sort.FAILED, Sort.EXHAUSTED],
    ),
    (
        "claude_code",
        {"type": "assistant", "error": "authentication_failed"},
        [Sort.TOKENS, Sort.FAILED, Sort.LOGIN],
    ),
]


@pytest.mark.parametrize(("name", "line", "sorts"), TABLE)
def test_a_line_means_what_its_program_means(
    name: str, line: dict[str, Any], sorts: list[Sort]
) -> None:
    assert [said.sort for said in preset(name).heard(line)] == sorts


ODD: list[Any] = [None, 7, "x", [], [None], {}, {"type": []}, True]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("odd", ODD)
def test_odd_lines_mean_little_and_break_nothing(name: str, odd: Any) -> None:
    kinds = {line["type"] for of, line, _ in TABLE if of == name}
    keys = ("subtype", "part", "message", "usage", "item", "error", "session_id", "id", "stats")
    for kind in (*kinds, "item.completed", "turn.failed", odd):
        line = {"type": kind, **dict.fromkeys(keys, odd), "is_error": odd, "result": odd}
        assert all(isinstance(said.text, str) for said in preset(name).heard(line))
