"""Any program that speaks the Agent Client Protocol on its standard input and output.

``talk`` is the client: it begins or loads the conversation, gives the task, allows what the program
asks leave for, and gives it new mail as a further turn. There is no program by default: name one
with ``--program``, and what makes it speak the protocol with ``--argument`` (``--acp``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from lazarus_pit.presets.base import Preset, Said, Sort, Wanted, Where, inside

_SPOKEN = ("agent_message_chunk", "agent_thought_chunk", "plan")
_OVER = ("completed", "failed")


class Acp:
    """See the module."""

    name = "acp"
    program = "acp"
    resumes = True
    chooses = False
    tells = True
    codes: Mapping[int, Sort] = MappingProxyType({})
    lines: Mapping[str, Sort] = MappingProxyType({})
    hooked = False
    talks = True
    asks = True

    def begin(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Begin; the last word is what the client says, and no argument of the program's."""
        model = ("--model", wanted.model) if wanted.model else ()
        return (*wanted.program, *wanted.arguments, *model, words)

    def resume(self, wanted: Wanted, words: str, _session: str) -> tuple[str, ...]:
        """Go on: which conversation, the client says."""
        return self.begin(wanted, words, "")

    def environment(self, _where: Where) -> dict[str, str]:
        """Nothing."""
        return {}

    def files(self, _where: Where) -> dict[str, Mapping[str, Any]]:
        """Nothing: the protocol names the MCP server."""
        return {}

    def heard(self, line: Mapping[str, Any]) -> Iterator[Said]:
        """Read one ``session/update``, or what it asks leave for."""
        asks = line.get("method") == "session/request_permission"
        update = inside(line, "params", "toolCall" if asks else "update")
        kind = "tool_call" if asks else inside(update, "sessionUpdate")
        data = {
            "tool_name": str(inside(update, "kind") or ""),
            "tool_use_id": str(inside(update, "toolCallId") or ""),
            "tool_input": inside(update, "rawInput") or inside(update, "title"),
        }
        if kind in _SPOKEN:
            yield Said(Sort.THINKING)
        elif kind in ("tool_call", "tool_call_update"):
            if inside(update, "status") in _OVER:
                outcome = inside(update, "rawOutput") or inside(update, "content")
                over = {**data, "tool_input": inside(update, "rawInput"), "tool_response": outcome}
                yield Said(Sort.RESULT, data=over)
            elif kind == "tool_call" or inside(update, "status") == "in_progress":
                yield Said(Sort.TOOL, data=data)


PRESET: Preset = Acp()
