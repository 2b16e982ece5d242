"""From a preset's name to the preset; its file is loaded when it is named."""

from __future__ import annotations

import importlib
from typing import cast

from lazarus_pit.presets.base import Preset

PRESETS = (
    "claude_code",
    "codex",
    "opencode",
    "gemini",
    "qwen",
    "pi",
    "aider",
    "mini_swe_agent",
    "acp",
)
"""Every preset has the name of its file; ``command`` is what an agent without a preset has."""


def preset(name: str) -> Preset:
    """Return the preset of this name.

    Raises:
        KeyError: there is none.
    """
    if name not in PRESETS:
        raise KeyError(name)
    return cast("Preset", importlib.import_module(f"lazarus_pit.presets.{name}").PRESET)
