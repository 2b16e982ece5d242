"""Idleness: since when a whole cell has got nothing done although somebody of it lives.

An agent that waits for its next start, is starting or ending, was announced to be busy, computes,
or waits until a known time is not idle. Nor is a cell in which nobody lives: nothing is to freeze.
"""

from __future__ import annotations

from collections.abc import Iterable

from lazarus_pit.core.agent import Agent
from lazarus_pit.core.model import NEVER, Desired, Instant, Phase, Seconds

_RESTS = (Phase.ESCALATED, Phase.STOPPED, Phase.EXITED)


def idle_at(agents: Iterable[Agent], heard: Instant, after: Seconds) -> Instant:
    """When a cell counts as idle if nothing happens.

    Args:
        agents: those of the cell.
        heard: when the last mail reached one of its members.
        after: how long nothing must have happened.
    """
    since, anybody = heard, False
    for agent in agents:
        if agent.phase in _RESTS:
            continue
        if agent.phase not in (Phase.RUNNING, Phase.HELD) or agent.frozen_at:
            return NEVER
        if agent.life is None or agent.desired is not Desired.RUN:
            return NEVER
        if agent.hold is not None and agent.hold.until < NEVER:
            return NEVER
        vitals, anybody = agent.vitals, True
        since = max(since, vitals.progress, vitals.busy_until, vitals.computed)
    return since + after if anybody else NEVER
