"""aider (``aider``): it prints for people; what is known of it are a few sentences of its own.

Its conversation is a file that the pit puts into the cell's home: in the workspace, where it would
be by itself, two agents would share it. Its login is a provider's key in the environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lazarus_pit.presets.base import Preset, Said, Sort, Wanted, Where

_LINES = {
    "The API provider has rate limited you.": Sort.QUOTA,
    "The API provider is not able to authenticate you.": Sort.LOGIN,
    "Retrying in ": Sort.THINKING,
    "Tokens: ": Sort.THINKING,
}
"""Its own sentences about an error, and what it says when it goes on all the same."""


class Aider:
    """See the module."""

    name = "aider"
    program = "aider"
    resumes = True
    chooses = True
    tells = False
    codes: Mapping[int, Sort] = MappingProxyType({})
    lines: Mapping[str, Sort] = MappingProxyType(_LINES)
    hooked = False
    talks = False
    asks = False

    def begin(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Begin; the history has no id."""
        return (*wanted.program, "--message", words, *_options(wanted))

    def resume(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Go on with what the history file says."""
        again = "--restore-chat-history"
        return (*wanted.program, "--message", words, again, *_options(wanted))

    def environment(self, where: Where) -> dict[str, str]:
        """Keep its histories at home, and keep it from calling home."""
        return {
            "AIDER_CHAT_HISTORY_FILE": f"{where.home}/.aider.chat.history.md",
            "AIDER_INPUT_HISTORY_FILE": f"{where.home}/.aider.input.history",
            "AIDER_ANALYTICS_DISABLE": "true",
            "AIDER_GITIGNORE": "false",
            "AIDER_SHOW_RELEASE_NOTES": "false",
            "PYTHONUNBUFFERED": "1",
        }

    def files(self, _where: Where) -> dict[str, Mapping[str, Any]]:
        """Nothing: ``--yes-always`` answers its questions."""
        return {}

    def heard(self, _line: Mapping[str, Any]) -> Iterator[Said]:
        """It says nothing in JSON."""
        yield from ()


def _options(wanted: Wanted) -> tuple[str, ...]:
    model = ("--model", wanted.model) if wanted.model else ()
    quiet = ("--yes-always", "--no-check-update", "--no-show-model-warnings", "--no-pretty")
    return (*quiet, *model, *wanted.arguments)


PRESET: Preset = Aider()
