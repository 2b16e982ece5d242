"""What an agent may spend before people are asked: turns, tokens, minutes; and going in circles.

What an agent says of its spending is its own word, so this bounds honest agents that run away. A
budget is for all lives of an agent since people last gave it a new life; each approval allows as
much again.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.core.model import NEVER, Instant, Rules, Seconds

CURB_LONGEST: Seconds = 7 * 86400.0
"""How long a curbed agent stands still for a person's word; then it is ended."""


class Tab(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an agent has spent. Counts of a life come from its beats and are totals of that life."""

    turns: int = 0
    tokens: int = 0
    seconds: Seconds = 0.0
    """The same of its earlier lives."""
    life_turns: int = 0
    life_tokens: int = 0
    idle: Seconds = 0.0
    """Time of this life in which it was held or stood still: nobody pays for that."""
    repeats: int = 0
    """How often in a row the same call of a tool, or the same few, had the same results."""
    forgiven: int = 0
    """Of these, how many people know of."""
    grants: int = 0
    """How often people have allowed as much again."""


class Total(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all agents of a cell have spent together."""

    turns: int = 0
    tokens: int = 0
    seconds: Seconds = 0.0

    def plus(self, before: Tab, after: Tab) -> Total:
        """Return the total after one tab has become another; its seconds are told elsewhere."""
        return Total(
            turns=self.turns + _turns(after) - _turns(before),
            tokens=self.tokens + _tokens(after) - _tokens(before),
        )


NOTHING = Tab()


class Curb(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An agent stands still on the pit's order, and people are asked whether it may go on."""

    number: int
    """Which of the curbs of this agent, from 1: an answer belongs to one."""
    tab: Tab = Tab()
    """What it had spent by then, whatever becomes of its life meanwhile."""
    uptime: Seconds = 0.0
    total: Total = Total()
    """And its whole cell, where that was the reason."""


def counted(tab: Tab, turns: int | None, tokens: int | None) -> Tab:
    """Return the tab with the totals of this life; they never fall."""
    return replace(
        tab,
        life_turns=max(tab.life_turns, turns or 0),
        life_tokens=max(tab.life_tokens, tokens or 0),
    )


def called(tab: Tab, repeats: int) -> Tab:
    """Return the tab after a call that was in the ``repeats``-th of rounds that were alike.

    A round of several calls is told several times; a lower number is another loop.
    """
    known = tab.forgiven if repeats >= tab.repeats else min(tab.forgiven, max(0, repeats - 1))
    return replace(tab, repeats=repeats, forgiven=known)


def waited(tab: Tab, seconds: Seconds) -> Tab:
    """Return the tab after time in which the life could not spend."""
    return replace(tab, idle=tab.idle + max(0.0, seconds))


def closed(tab: Tab, uptime: Seconds) -> Tab:
    """Return the tab at the end of a life that lasted so long."""
    return replace(
        tab,
        turns=tab.turns + tab.life_turns,
        tokens=tab.tokens + tab.life_tokens,
        seconds=tab.seconds + max(0.0, uptime - tab.idle),
        life_turns=0,
        life_tokens=0,
        idle=0.0,
        repeats=0,
        forgiven=0,
    )


def granted(tab: Tab, why: str) -> Tab:
    """Return the tab after people have said that it may go on."""
    if why == "loop":
        return replace(tab, forgiven=tab.repeats)
    return replace(tab, grants=tab.grants + 1)


def over(tab: Tab, rules: Rules, uptime: Seconds) -> str:
    """Return which bound is reached, as a rule's name or ``loop``; empty if none is."""
    often = times(tab)
    if 0 < rules.budget_turns * often <= _turns(tab):
        return "budget_turns"
    if 0 < rules.budget_tokens * often <= _tokens(tab):
        return "budget_tokens"
    if 0.0 < rules.budget_minutes * often * 60.0 <= tab.seconds + uptime - tab.idle:
        return "budget_minutes"
    if 0 < rules.loop_repeats <= tab.repeats - tab.forgiven:
        return "loop"
    return ""


def over_mission(tab: Tab, rules: Rules, total: Total) -> str:
    """Return which bound the whole cell has reached, for an agent that has been granted so much."""
    often = times(tab)
    if 0 < rules.mission_turns * often <= total.turns:
        return "mission_turns"
    if 0 < rules.mission_tokens * often <= total.tokens:
        return "mission_tokens"
    if 0.0 < rules.mission_minutes * often * 60.0 <= total.seconds:
        return "mission_minutes"
    return ""


def times(tab: Tab) -> int:
    """Return how often a bound may be spent by now: once, and once more for each approval."""
    return 1 + tab.grants


def _turns(tab: Tab) -> int:
    return tab.turns + tab.life_turns


def _tokens(tab: Tab) -> int:
    return tab.tokens + tab.life_tokens


def minutes_up(tab: Tab, rules: Rules, started: Instant) -> Instant:
    """Return when the budget of time is spent if this life goes on; never without one."""
    if rules.budget_minutes <= 0.0:
        return NEVER
    allowed = rules.budget_minutes * times(tab) * 60.0
    return started + tab.idle + allowed - tab.seconds


def readings(tab: Tab, uptime: Seconds) -> dict[str, float | int]:
    """Return what has been spent, for people."""
    return {
        "turns": _turns(tab),
        "tokens": _tokens(tab),
        "minutes": round((tab.seconds + max(0.0, uptime - tab.idle)) / 60.0, 2),
        "repeats": tab.repeats,
        "grants": tab.grants,
    }
