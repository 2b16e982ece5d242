"""Agents in the middle of their lives, for the tests of this folder."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from lazarus_pit.core import health
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Fact, Order
from lazarus_pit.core.lifecycle import step
from lazarus_pit.core.model import Instant, Life, Phase, Rules
from lazarus_pit.core.moves import Step

KEY = "cell/agent"
LIFE = Life(boot_id="boot", pid=7, start_time=1)
BORN = 1000.0


def an_agent(phase: Phase = Phase.RUNNING, *, rules: Rules | None = None, **changes: Any) -> Agent:
    """Return an agent of generation 3 that began at ``BORN``."""
    lives = phase in (Phase.STARTING, Phase.RUNNING, Phase.FENCING)
    agent = Agent(
        key=KEY,
        rules=rules or Rules(),
        phase=phase,
        reason="test",
        since=BORN,
        generation=3,
        life=LIFE if lives else None,
        started=BORN,
        vitals=health.fresh(BORN),
        free=False,
        request=0,
    )
    return replace(agent, **changes)


def live(agent: Agent, *facts: tuple[Instant, Fact]) -> Step:
    """Fold facts in at their instants; told and orders are those of all of them."""
    told: list[Any] = []
    orders: list[Order] = []
    for now, fact in facts:
        agent, said, asked = step(agent, fact, now)
        told += said
        orders += asked
    return Step(agent, tuple(told), tuple(orders))


def events(outcome: Step) -> list[str]:
    """Return the names of what was told."""
    return [line.event for line in outcome.told]


def names(outcome: Step) -> list[str]:
    """Return the names of what was ordered."""
    return [type(order).__name__ for order in outcome.orders]
