"""What a program has said, as what is remembered of its life. Standard library only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from lazarus_pit import hook, session
from lazarus_pit.presets.base import Said, Sort

if TYPE_CHECKING:
    from lazarus_pit.session import Memory

COUNTED_MAX = 20
"""Messages that are known again when their tokens are told twice."""


class Heard(NamedTuple):
    """One thing that was said, and where it goes."""

    memory: Memory
    said: Said
    environ: Mapping[str, str]
    now: float
    hooked: bool

    def works(self) -> None:
        """Take down that the model is at work."""
        seconds = session.lease(self.environ, session.THINKING)
        hook.doing(self.memory, "thinking", seconds, self.now)

    def as_hook(self, event: str) -> None:
        """Take it as the hook that says the same, unless the program's own hooks say it."""
        if not self.hooked:
            hook.EVENTS[event](self.memory, self.said.data, self.environ, self.now)


def _printed(one: Heard) -> None:
    """It is at work, at what and for how long nobody knows."""
    seconds = session.lease(one.environ, session.TOOL)
    hook.doing(one.memory, "at work", seconds, one.now)


def _session(one: Heard) -> None:
    if one.said.text:
        one.memory["session"] = one.said.text[:128]
    if not one.memory.get("status"):
        one.works()


def _model(one: Heard) -> None:
    if one.said.text:
        one.memory["model"] = one.said.text[:100]


def _thinking(one: Heard) -> None:
    if not session.open_calls(one.memory):
        one.works()
    hook.moved(one.memory)


def _tokens(one: Heard) -> None:
    known = one.memory.get("counted")
    counted = known if isinstance(known, list) else []
    if one.said.text and one.said.text in counted:
        return
    if one.said.text:
        one.memory["counted"] = [*counted, one.said.text[:64]][-COUNTED_MAX:]
    spent = max(0, int(one.said.number))
    one.memory["tokens"] = session.count(one.memory, "tokens") + spent


def _total(one: Heard) -> None:
    """What was counted on the way may have been too little, never too much."""
    spent = max(0, int(one.said.number))
    one.memory["tokens"] = max(session.count(one.memory, "tokens"), spent)


def _throttled(one: Heard) -> None:
    """It waits and tries again by itself: alive, and nobody's fault."""
    seconds = one.said.number + session.lease(one.environ, session.THINKING)
    hook.doing(one.memory, f"throttled, tries again in {one.said.number:.0f} s", seconds, one.now)


def _resets(one: Heard) -> None:
    one.memory["resets"] = one.said.number


def _again(one: Heard) -> None:
    one.memory["resets"] = one.now + one.said.number


def _quota(one: Heard) -> None:
    """It gives up; when there is more it may have said before."""
    known = one.memory.get("resets")
    again = one.said.number or (known if isinstance(known, float) else 0.0)
    hook.held(one.memory, "quota_wait", again if again > one.now else None)


def _exhausted(one: Heard) -> None:
    one.memory["exhausted"] = True


def _failed(one: Heard) -> None:
    hook.doing(one.memory, f"failed: {one.said.text}"[:190], 0.0, one.now)


MEANS: dict[Sort, Callable[[Heard], None]] = {
    Sort.SESSION: _session,
    Sort.MODEL: _model,
    Sort.THINKING: _thinking,
    Sort.TOOL: lambda one: one.as_hook("PreToolUse"),
    Sort.RESULT: lambda one: one.as_hook("PostToolUse"),
    Sort.TURN: lambda one: one.as_hook("Stop"),
    Sort.TOKENS: _tokens,
    Sort.TOTAL: _total,
    Sort.THROTTLED: _throttled,
    Sort.RESETS: _resets,
    Sort.AGAIN: _again,
    Sort.QUOTA: _quota,
    Sort.LOGIN: lambda one: hook.held(one.memory, "auth_hold"),
    Sort.EXHAUSTED: _exhausted,
    Sort.FAILED: _failed,
    Sort.PRINTED: _printed,
}
