"""mini-swe-agent (``mini``): it cannot go on with a conversation, so each life begins anew.

It is told what its last life left. Its login is a provider's key in the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lazarus_pit.presets.base import Preset, Said, Sort, Wanted, Where

_LINES = {
    "litellm.RateLimitError": Sort.QUOTA,
    "litellm.AuthenticationError": Sort.LOGIN,
    "mini-swe-agent (step ": Sort.THINKING,
}
"""How it ends for an error of the model's provider, and what it says at each step."""


class MiniSweAgent:
    """See the module."""

    name = "mini_swe_agent"
    program = "mini"
    resumes = False
    chooses = False
    tells = False
    codes: Mapping[int, Sort] = MappingProxyType({})
    lines: Mapping[str, Sort] = MappingProxyType(_LINES)
    hooked = False
    talks = False
    asks = False

    def begin(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Begin."""
        model = ("-m", wanted.model) if wanted.model else ()
        return (*wanted.program, *model, "-y", "--exit-immediately", *wanted.arguments, "-t", words)

    def resume(self, wanted: Wanted, words: str, session: str) -> tuple[str, ...]:
        """Begin: there is nothing else."""
        return self.begin(wanted, words, session)

    def environment(self, where: Where) -> dict[str, str]:
        """Answer the questions of a first start, and keep its settings at home."""
        return {
            "MSWEA_CONFIGURED": "true",
            "MSWEA_SILENT_STARTUP": "1",
            "MSWEA_COST_TRACKING": "ignore_errors",  # Else a model without a price is its end.
            "PYTHONUNBUFFERED": "1",
            "MSWEA_GLOBAL_CONFIG_DIR": f"{where.home}/.config/mini-swe-agent",
        }

    def files(self, _where: Where) -> dict[str, Mapping[str, Any]]:
        """Nothing."""
        return {}

    def heard(self, _line: Mapping[str, Any]) -> Iterator[Said]:
        """It says nothing in JSON."""
        yield from ()


PRESET: Preset = MiniSweAgent()
