"""What people are told who cannot answer: one notice for all that happened since the last.

A thousand deaths at once are one message. Names and reasons may be anybody's: each is one line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.text import one_line

LINES = 10
"""Agents that are named in one notice; of the others it says how many they are."""
_NAME, _REASON, _ID = 80, 120, 16


class News(NamedTuple):
    """An event and where it was."""

    place: str
    """The cell as people call it; empty for gateways outside the cells."""
    event: Event


class Notice(NamedTuple):
    """What is said."""

    title: str
    text: str
    grave: bool
    """Whether somebody died or was given up; else a word is wanted."""


class _Agent(Struct, frozen=True):
    """What happened to one agent."""

    deaths: int = 0
    how: str = ""
    asked: bool = False
    asks: tuple[str, ...] = ()
    """Its open questions, by the ids of their requests."""
    given_up: str = ""
    """Why, and the command that begins anew where there is one."""

    @property
    def waits(self) -> bool:
        """Whether a person's word is wanted."""
        return self.asked or bool(self.asks)


def compose(news: Iterable[News]) -> Notice | None:
    """Return what is to be said of these events, or ``None`` if it is nothing."""
    agents: dict[str, _Agent] = {}
    for place, event in news:
        tell = _TOLD.get(event.event)
        if tell is not None and event.agent:
            name = one_line(f"{place}/{event.agent}" if place else event.agent, _NAME)
            agents[name] = tell(agents.get(name, _Agent()), event.data)
    agents = {name: one for name, one in agents.items() if one.deaths or one.waits or one.given_up}
    if not agents:
        return None
    lines = [f"{name}: {_line(name, agent)}" for name, agent in agents.items()]
    more = len(lines) - LINES
    shown = lines if more <= 0 else [*lines[:LINES], f"… and {more} more: lazarus status"]
    grave = any(agent.deaths or agent.given_up for agent in agents.values())
    return Notice(_title(agents), "\n".join(shown), grave)


def _title(agents: Mapping[str, _Agent]) -> str:
    some = agents.values()
    died = sum(bool(one.deaths) for one in some)
    asked, given_up = sum(one.waits for one in some), sum(bool(one.given_up) for one in some)
    if len(agents) == 1:
        (name,) = agents
        parts = ["died"] * died + ["waits for a word"] * asked + ["was given up"] * given_up
        return f"{name} {' and '.join(parts)}"
    counts = [
        f"{died} died" if died else "",
        f"{asked} wait{'s' if asked == 1 else ''} for a word" if asked else "",
        f"{given_up} given up" if given_up else "",
    ]
    return f"{len(agents)} agents: {', '.join(count for count in counts if count)}"


def _line(name: str, agent: _Agent) -> str:
    parts = []
    if agent.deaths:
        often = f"died {agent.deaths} times, last: " if agent.deaths > 1 else "died: "
        parts.append(often + (agent.how or "no probe finds it"))
    if agent.asked:
        parts.append(f"lazarus approve {name}, or deny")
    if agent.asks:
        asks = ", ".join(agent.asks)
        parts.append(f"asks you: lazarus approvals, then approve or deny {asks}")
    if agent.given_up:
        parts.append(f"given up: {agent.given_up}")
    return "; ".join(parts)


def _died(agent: _Agent, data: Mapping[str, Any]) -> _Agent:
    how = one_line(f"{data.get('reason', '')} {data.get('exit', '')}".strip(), _REASON)
    # Whatever was asked or given up before belongs to a life that is over.
    return _Agent(deaths=agent.deaths + 1, how=how, asks=agent.asks)


def _asked(agent: _Agent, _data: Mapping[str, Any]) -> _Agent:
    return replace(agent, asked=True)


def _question(agent: _Agent, data: Mapping[str, Any]) -> _Agent:
    known = dict.fromkeys((*agent.asks, one_line(str(data.get("request")), _ID)))
    return replace(agent, asks=tuple(known))


def _told(agent: _Agent, data: Mapping[str, Any]) -> _Agent:
    over = one_line(str(data.get("request")), _ID)
    return replace(agent, asks=tuple(one for one in agent.asks if one != over))


def _given_up(agent: _Agent, data: Mapping[str, Any]) -> _Agent:
    reason = one_line(str(data.get("reason") or "no reason is told"), _REASON)
    clear = f"; {one_line(str(data['clear']), _REASON)}" if data.get("clear") else ""
    return replace(agent, asked=False, given_up=reason + clear)


def _answered(agent: _Agent, _data: Mapping[str, Any]) -> _Agent:
    return replace(agent, asked=False)


_TOLD: Mapping[str, Callable[[_Agent, Mapping[str, Any]], _Agent]] = {
    "agent_died": _died,
    "gateway_died": _died,
    "approval_requested": _asked,
    "approval_granted": _answered,
    "question_asked": _question,
    "question_answered": _told,
    "agent_escalated": _given_up,
    "gateway_escalated": _given_up,
}
