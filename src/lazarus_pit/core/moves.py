"""The moves between phases that more than one fact can cause, and what a step returns."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from lazarus_pit.core import budget, health, restart
from lazarus_pit.core.agent import PEOPLES, Agent, needs_beats, owed
from lazarus_pit.core.events import Order, Told
from lazarus_pit.core.health import Finding
from lazarus_pit.core.model import Instant, Phase, Verdict


class Step(NamedTuple):
    """The outcome of one step."""

    agent: Agent
    told: tuple[Told, ...] = ()
    orders: tuple[Order, ...] = ()


def enter(agent: Agent, phase: Phase, reason: str, now: Instant, **changes: Any) -> Agent:
    """Return the agent in another phase, with what belonged to the old one forgotten."""
    settled: dict[str, Any] = {
        "queued": False,
        "saving": False,
        "forced": False,
        "look_sent": 0.0,
        "look": None,
        "due": 0.0,
        "hold": None,
        "curb": None,
    }
    return replace(agent, phase=phase, reason=reason, since=now, **{**settled, **changes})


def tell(agent: Agent, event: str, **data: Any) -> Told:
    """Return a line for the journal about this agent and this life."""
    return Told(event=event, key=agent.key, data={"generation": agent.generation, **data})


def arrive(agent: Agent, *told: Told) -> Step:
    """Finish a step that changed the phase: what the new phase owes is ordered."""
    return Step(agent, told, tuple(owed(agent)))


def schedule(agent: Agent, reason: str, due: Instant, now: Instant, **changes: Any) -> Agent:
    """Return the agent waiting for its next start."""
    return enter(agent, Phase.BACKOFF, reason, now, due=due, **changes)


def condemn(agent: Agent, reason: str, now: Instant, *told: Told, forced: bool = False) -> Step:
    """End the life: from here only proof that nothing of it is left leads on.

    Where that was the pit's own idea the cell is saved first: what the life did is not lost.
    """
    verdict = agent.verdict if reason in PEOPLES else Verdict.DEAD
    saving = reason not in PEOPLES and agent.rules.save_before_kill > 0.0
    changes = {"forced": forced, "saving": saving, "verdict": verdict}
    return arrive(enter(agent, Phase.FENCING, reason, now, **changes), *told)


def escalate(agent: Agent, reason: str, now: Instant, *told: Told) -> Step:
    """Give up and say so once, with the command that clears it."""
    line = tell(
        agent,
        "agent_escalated",
        reason=reason,
        attempts=len(agent.attempts),
        clear=f"lazarus revive {agent.key}",
    )
    return arrive(enter(agent, Phase.ESCALATED, reason, now), *told, line)


def ready(agent: Agent, source: str, now: Instant, *told: Told) -> Step:
    """It showed that it works: running, and if it came from the dead, revived."""
    event = "agent_revived" if agent.revived else "agent_ready"
    line = tell(agent, event, source=source, took=round(max(0.0, now - agent.since), 6))
    well = {"verdict": Verdict.HEALTHY, "warned": Finding.FINE, "revived": False}
    return arrive(enter(agent, Phase.RUNNING, source, now, **well), *told, line)


def proven(agent: Agent, now: Instant, *told: Told) -> Step | None:
    """Have a start be ready where its process is proof enough; ``None``: it must show more."""
    if agent.phase is not Phase.STARTING or agent.life is None or needs_beats(agent):
        return None
    return ready(agent, "process", now, *told)


def wake_up(agent: Agent, now: Instant, *told: Told) -> Step:
    """Mail has come for one that has ended well: it begins again."""
    line = tell(agent, "agent_woken", source="mail")
    due = max(now, agent.died + restart.rest(agent.restless, agent.rules))
    return arrive(schedule(agent, "mail", due, now, free=True), *told, line)


def release(agent: Agent, source: str, now: Instant, *told: Told) -> Step:
    """Let a held agent run again, with its clocks set to now."""
    line = tell(agent, "agent_released", source=source)
    up = enter(agent, Phase.RUNNING, source, now, verdict=Verdict.HEALTHY)
    tab = budget.waited(agent.tab, now - agent.since)
    return arrive(replace(up, tab=tab, vitals=health.resumed(agent.vitals, now)), *told, line)


def reassess(agent: Agent, now: Instant, *told: Told) -> Step:
    """After a sign of life: back to healthy once nothing is wrong any more."""
    if health.weigh(agent.vitals, agent.rules, now) is not Finding.FINE:
        return Step(agent, told)
    line = tell(agent, "agent_recovered", after=agent.warned.value)
    return Step(replace(agent, verdict=Verdict.HEALTHY, warned=Finding.FINE), (*told, line))
