"""What time alone does to an agent: one function a phase."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from lazarus_pit.core import curb, health
from lazarus_pit.core.agent import Agent, patience, ready_by, stable_at, wake
from lazarus_pit.core.events import LookAt, Tick
from lazarus_pit.core.health import Finding
from lazarus_pit.core.model import Instant, OnRevive, OnStall, Phase, Verdict
from lazarus_pit.core.moves import Step, arrive, condemn, escalate, release, schedule, tell


def on_tick(agent: Agent, _fact: Tick, now: Instant) -> Step:
    """Time has passed; if it matters to this phase by now, it is acted on."""
    if now < wake(agent):
        return Step(agent)
    return TICKS[agent.phase](agent, now)


def _tick_backoff(agent: Agent, _now: Instant) -> Step:
    return arrive(replace(agent, queued=True))


def _tick_starting(agent: Agent, now: Instant) -> Step:
    if agent.begin is not OnRevive.RESUME:
        return arrive(replace(agent, since=now))
    if _is_newly_stale(agent, now):
        return _warn(agent, agent.verdict, now)
    if now < ready_by(agent) or agent.look is None or now - agent.looked > 2 * health.LOOK_LEAD:
        return _look(agent, now)
    line = tell(
        agent, "agent_start_failed", why=f"not ready within {agent.rules.start_timeout:g} s"
    )
    return condemn(agent, "start_timeout", now, line)


def _is_newly_stale(agent: Agent, now: Instant) -> bool:
    """Whether a missing beat has become worth a warning that nobody has given yet."""
    return agent.warned is Finding.FINE and now >= health.stale_at(agent.vitals, agent.rules)


def _warn(agent: Agent, verdict: Verdict, now: Instant) -> Step:
    threshold = agent.rules.heartbeat_stale_threshold
    line = tell(agent, "heartbeat_stale", **readings(agent, now), threshold=threshold)
    return Step(replace(agent, verdict=verdict, warned=Finding.STALE), (line,))


def _look(agent: Agent, now: Instant) -> Step:
    looking = replace(agent, look_sent=now, look=None)
    return Step(looking, (), (LookAt(key=agent.key, generation=agent.generation),))


def _tick_running(agent: Agent, now: Instant) -> Step:
    """Weigh the evidence: warn, look again, or condemn with the readings it rests on."""
    rules = agent.rules
    if (checked := curb.check(agent, now)).agent is not agent:
        return checked
    finding = health.weigh(agent.vitals, rules, now)
    if _is_newly_stale(agent, now):
        return _warn(agent, Verdict.DEGRADED, now)
    looked = agent.look is not None and now - agent.looked <= 2 * health.LOOK_LEAD
    condemned = finding is Finding.SILENT or (
        finding is Finding.STALLED and rules.on_stall is OnStall.REVIVE
    )
    if condemned and looked:
        reason = "hung" if finding is Finding.SILENT else "stalled"
        return condemn(agent, reason, now, tell(agent, f"agent_{reason}", **readings(agent, now)))
    if finding is Finding.STALLED and agent.warned is not Finding.STALLED and looked:
        line = tell(agent, "agent_stalled", **readings(agent, now))
        return Step(replace(agent, verdict=Verdict.DEGRADED, warned=Finding.STALLED), (line,))
    if finding is Finding.FINE and now >= stable_at(agent):
        stable = replace(agent, attempts=(), failures=0)
        return Step(stable, (tell(agent, "agent_stable"),))
    return _look(agent, now)


def readings(agent: Agent, now: Instant) -> dict[str, Any]:
    """Return what a verdict rests on: ages in seconds and the latest fresh look."""
    vitals = agent.vitals
    seen: dict[str, Any] = {
        "beat_age": round(now - vitals.beat, 3),
        "progress_age": round(now - vitals.progress, 3),
    }
    if agent.look is not None:
        seen["computing"] = agent.look.computing
        seen["stopped"] = agent.look.stopped
        seen["looked_age"] = round(now - agent.looked, 3)
    return seen


def _tick_held(agent: Agent, now: Instant) -> Step:
    if agent.curb is not None:
        late = tell(agent, "approval_expired", hold=agent.curb.number)
        return curb.end(agent, "approval_expired", now, late)
    if agent.life is not None:
        return release(agent, "time", now)
    return arrive(schedule(agent, agent.reason, now, now, free=True))


def _tick_fencing(agent: Agent, now: Instant) -> Step:
    """Patience is over: from now on the whole life is killed, again and again until it is gone."""
    if agent.saving:
        late = tell(agent, "agent_unsaved", why=f"not done within {patience(agent):g} s")
        return arrive(replace(agent, since=now, saving=False), late)
    stuck = replace(agent, since=now, forced=True)
    if not agent.forced or agent.due:
        return arrive(stuck)
    line = tell(agent, "agent_fence_stuck", reason=agent.reason)
    return arrive(replace(stuck, due=now), line)


def _tick_awaiting(agent: Agent, now: Instant) -> Step:
    return escalate(agent, "approval_expired", now, tell(agent, "approval_expired"))


def _tick_never(agent: Agent, _now: Instant) -> Step:
    return Step(agent)


TICKS: dict[Phase, Callable[[Agent, Instant], Step]] = {
    Phase.BACKOFF: _tick_backoff,
    Phase.STARTING: _tick_starting,
    Phase.RUNNING: _tick_running,
    Phase.HELD: _tick_held,
    Phase.FENCING: _tick_fencing,
    Phase.AWAITING: _tick_awaiting,
    Phase.ESCALATED: _tick_never,
    Phase.STOPPED: _tick_never,
    Phase.EXITED: _tick_never,
}
