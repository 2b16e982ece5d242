"""An agent that has run away stands still until people say whether it may go on.

The life is frozen, not ended: after a yes it goes on in the middle of its step.
"""

from __future__ import annotations

from msgspec.structs import replace

from lazarus_pit.core import budget, health
from lazarus_pit.core.agent import Agent, owed, uptime
from lazarus_pit.core.budget import CURB_LONGEST, Curb, Total
from lazarus_pit.core.events import CellSpent, Decided, Spent, Told, ToolUsed
from lazarus_pit.core.model import Desired, Exit, Instant, Phase, Verdict
from lazarus_pit.core.moves import Step, arrive, condemn, enter, escalate, schedule, tell

NOBODY = Total()


def on_spent(agent: Agent, fact: Spent, now: Instant) -> Step:
    """Its turns and tokens, as it counts them."""
    if agent.life is None:
        return Step(agent)
    tab = budget.counted(agent.tab, fact.turns, fact.tokens)
    return check(agent if tab == agent.tab else replace(agent, tab=tab), now)


def on_cell_spent(agent: Agent, fact: CellSpent, now: Instant) -> Step:
    """All of the cell have spent so much: whoever runs beyond that stands still."""
    if agent.phase is not Phase.RUNNING:
        return Step(agent)
    why = budget.over_mission(agent.tab, agent.rules, fact.total)
    return stop_short(agent, why, now, fact.total) if why else Step(agent)


def on_tool_used(agent: Agent, fact: ToolUsed, now: Instant) -> Step:
    """A tool was called, with how often in a row alike."""
    if agent.life is None:
        return Step(agent)
    tab = budget.called(agent.tab, fact.repeats)
    return check(agent if tab == agent.tab else replace(agent, tab=tab), now)


def check(agent: Agent, now: Instant) -> Step:
    """Make one that runs and has run away stand still."""
    if agent.phase is not Phase.RUNNING:
        return Step(agent)
    why = budget.over(agent.tab, agent.rules, uptime(agent, now))
    return stop_short(agent, why, now) if why else Step(agent)


def stop_short(agent: Agent, why: str, now: Instant, total: Total = NOBODY) -> Step:
    """Freeze the life and ask people."""
    number, lasted = agent.curbs + 1, uptime(agent, now)
    curbed = enter(
        agent,
        Phase.HELD,
        why,
        now,
        due=now + CURB_LONGEST,
        curbs=number,
        curb=Curb(number=number, tab=agent.tab, uptime=lasted, total=total),
        frozen_at=agent.frozen_at or now,
        thawing=False,
    )
    spent = budget.readings(agent.tab, lasted)
    return arrive(
        curbed,
        tell(agent, "agent_held", hold=why, **spent),
        tell(agent, "approval_requested", expires_in=CURB_LONGEST, hold=number, why=why),
    )


def answered(agent: Agent, fact: Decided, now: Instant) -> Step:
    """A person has said whether it may go on."""
    if agent.curb is None or fact.hold != agent.curb.number:
        return Step(agent)
    data = {"by": fact.by, "via": fact.via, "hold": fact.hold}
    if not fact.approved:
        return end(agent, "denied", now, tell(agent, "approval_denied", **data))
    allowed = replace(agent, tab=budget.granted(agent.tab, agent.reason))
    return let_go(allowed, "approved", now, tell(agent, "approval_granted", **data))


def ruled(agent: Agent, now: Instant) -> Step:
    """People have changed the rules: what they now allow goes on."""
    curb, rules = agent.curb, agent.rules
    if curb is None or budget.over(curb.tab, rules, curb.uptime):
        return Step(agent)
    over = budget.over_mission(curb.tab, rules, curb.total)
    return Step(agent) if over else let_go(agent, "rules", now)


def let_go(agent: Agent, source: str, now: Instant, *told: Told) -> Step:
    """It may go on: at once, or when people thaw its cell, or as a new life if it has died."""
    lines = (*told, tell(agent, "agent_released", source=source))
    if agent.life is None:
        return arrive(schedule(agent, source, now, now, free=True), *lines)
    up = enter(agent, Phase.RUNNING, source, now, verdict=Verdict.HEALTHY)
    if agent.desired is Desired.FREEZE:
        return arrive(up, *lines)
    gap = now - agent.frozen_at
    moving = replace(
        up,
        frozen_at=0.0,
        thawing=True,
        tab=budget.waited(agent.tab, gap),
        vitals=health.resumed(agent.vitals, now, gap),
    )
    return Step(moving, lines, tuple(owed(moving)))


def end(agent: Agent, why: str, now: Instant, *told: Told) -> Step:
    """It may not go on: its life is ended, and only a person brings it back."""
    if agent.life is None:
        return escalate(agent, why, now, *told)
    return condemn(agent, why, now, *told)


def bury(gone: Agent, exit_: Exit, now: Instant) -> Step:
    """The life ended while people were being asked: that is no death, and they are asked still."""
    line = tell(gone, "agent_left_waiting", hold=gone.reason, exit=str(exit_))
    return arrive(replace(gone, since=now), line)
