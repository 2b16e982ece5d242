"""The real programs: where they are, and how each is led to the model on loopback."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

FOLDER = Path(os.environ.get("LAZARUS_AGENTS", ""))
"""Where ``make test-agents`` has installed them from npm."""
MODULES = FOLDER / "node_modules"
PYTHON = FOLDER / "python"
"""A virtual environment for those that are written in Python."""


NO_PROXY = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "")
"""For programs that send even what is for loopback to the proxy."""


class Program(NamedTuple):
    """One program as a member of a cell has it."""

    preset: str
    binary: str
    model: str
    env: dict[str, str]
    arguments: tuple[str, ...] = ()
    files: Mapping[str, Any] = MappingProxyType({})
    """JSON files below the home that must be there before it starts."""

    def member(self, port: int, task: str) -> dict[str, Any]:
        """Return what the manifest says of it."""
        recipe = {"name": self.preset, "task": task, "model": self.model}
        return {
            "command": (str(MODULES / ".bin" / self.binary),),
            "preset": recipe | {"arguments": list(self.arguments)},
            "env": self.env,
            "network": "allow",
            "forward": (port,),
            "isolation": {"ro": [str(MODULES), str(PYTHON)]},
        }


def programs(url: str) -> dict[str, Program]:
    """Return every program that is tried, speaking to the model at this address."""
    provider = {"name": "fake", "base_url": f"{url}/v1", "env_key": "FAKE_KEY"}
    codex = provider | {"wire_api": "responses", "request_max_retries": 0, "stream_max_retries": 0}
    spoken = ",".join(f"{key}={json.dumps(value)}" for key, value in codex.items())
    opencode = {
        "npm": "@ai-sdk/openai-compatible",
        "options": {"baseURL": f"{url}/v1", "apiKey": "fake"},
        "models": {"m1": {}},
    }
    pi = {"baseUrl": f"{url}/v1", "api": "openai-completions", "apiKey": "FAKE_KEY"}
    return {
        "claude_code": Program(
            "claude_code",
            "claude",
            "claude-sonnet-4-5",
            {
                "ANTHROPIC_BASE_URL": url,
                "ANTHROPIC_API_KEY": "fake",
                "CLAUDE_CODE_MAX_RETRIES": "0",
            },
        ),
        "codex": Program(
            "codex",
            "codex",
            "gpt-5.1",
            {"FAKE_KEY": "fake"},
            ("-c", f"model_providers.fake={{{spoken}}}", "-c", 'model_provider="fake"'),
        ),
        "opencode": Program(
            "opencode",
            "opencode",
            "fake/m1",
            {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1"},
            files={".config/opencode/opencode.json": {"provider": {"fake": opencode}}},
        ),
        "gemini": Program(
            "gemini",
            "gemini",
            "gemini-2.5-flash",
            {"GEMINI_API_KEY": "fake", "GOOGLE_GEMINI_BASE_URL": url},
            files={
                ".gemini/settings.json": {"security": {"auth": {"selectedType": "gemini-api-key"}}}
            },
        ),
        "qwen": Program(
            "qwen",
            "qwen",
            "m1",
            {"OPENAI_API_KEY": "fake", "OPENAI_BASE_URL": f"{url}/v1", **NO_PROXY},
            ("--auth-type", "openai"),
        ),
        "aider": Program(
            "aider",
            str(PYTHON / "bin" / "aider"),
            "openai/m1",
            {"OPENAI_API_KEY": "fake", "OPENAI_API_BASE": f"{url}/v1", **NO_PROXY},
        ),
        "mini_swe_agent": Program(
            "mini_swe_agent",
            str(PYTHON / "bin" / "mini"),
            "openai/m1",
            {
                "OPENAI_API_KEY": "fake",
                "OPENAI_API_BASE": f"{url}/v1",
                "MSWEA_MODEL_RETRY_STOP_AFTER_ATTEMPT": "1",
                **NO_PROXY,
            },
        ),
        "acp": Program(
            "acp",
            "opencode",
            "",
            {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1"},
            ("acp",),
            files={
                ".config/opencode/opencode.json": {
                    "provider": {"fake": opencode},
                    "model": "fake/m1",
                    "permission": {"bash": "ask"},
                }
            },
        ),
        "pi": Program(
            "pi",
            "pi",
            "fake/m1",
            {"FAKE_KEY": "fake"},
            files={
                ".pi/agent/models.json": {"providers": {"fake": pi | {"models": [{"id": "m1"}]}}}
            },
        ),
    }
