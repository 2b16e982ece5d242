"""A death: what is written down, and what follows by policy."""

from __future__ import annotations

from msgspec.structs import replace

from lazarus_pit.core import budget, curb, restart
from lazarus_pit.core.agent import PEOPLES, Agent
from lazarus_pit.core.agent import uptime as active
from lazarus_pit.core.events import Exited
from lazarus_pit.core.health import Finding
from lazarus_pit.core.model import (
    NEVER,
    Desired,
    Hold,
    HoldKind,
    Instant,
    OnRevive,
    Phase,
    Restart,
    RevivePolicy,
    Verdict,
)
from lazarus_pit.core.moves import Step, arrive, enter, escalate, schedule, tell, wake_up

ANSWERS = ("denied", "approval_expired")
"""Why a curbed life is ended."""


def bury(agent: Agent, fact: Exited, now: Instant) -> Step:
    """Nothing is left of this life; decide what follows."""
    uptime = max(0.0, now - agent.started)
    gone = replace(
        agent,
        life=None,
        begin=OnRevive.RESUME,
        frozen_at=0.0,
        thawing=False,
        last_exit=fact.exit,
        died=now,
        restless=agent.restless + 1 if uptime < agent.rules.min_uptime else 0,
        status="",
        tab=budget.closed(agent.tab, active(agent, now)),
        warned=Finding.FINE,
    )
    if agent.desired is Desired.STOP:
        line = tell(gone, "agent_stopped", exit=str(fact.exit), uptime=round(uptime, 3))
        return arrive(enter(gone, Phase.STOPPED, "stop", now, verdict=Verdict.UNKNOWN), line)
    if agent.phase is Phase.FENCING and agent.reason in PEOPLES:
        line = tell(gone, "agent_stopped", exit=str(fact.exit), uptime=round(uptime, 3))
        return arrive(schedule(gone, agent.reason, now, now, free=True), line)
    if agent.phase is Phase.FENCING and agent.reason in ANSWERS:
        line = tell(gone, "agent_stopped", exit=str(fact.exit), uptime=round(uptime, 3))
        return escalate(gone, agent.reason, now, line)
    if agent.curb is not None:
        return curb.bury(gone, fact.exit, now)
    if agent.phase is Phase.HELD and agent.hold is not None:
        return _bury_held(gone, agent.hold, fact.luck, now)
    natural = agent.phase in (Phase.STARTING, Phase.RUNNING)
    if natural and not restart.is_death(fact.exit, agent.rules):
        line = tell(gone, "agent_exited", exit=str(fact.exit), uptime=round(uptime, 3))
        if agent.mailed and agent.rules.wake_on_mail:
            return wake_up(gone, now, line)
        return arrive(enter(gone, Phase.EXITED, "finished", now, verdict=Verdict.UNKNOWN), line)
    return _after_death(gone, fact, uptime, now)


def _bury_held(gone: Agent, hold: Hold, luck: float, now: Instant) -> Step:
    """It ended while it waited for quota, a login or a person: no death, no attempt."""
    if hold.kind is HoldKind.QUOTA_WAIT and hold.until >= NEVER:
        hold = replace(hold, until=now + gone.rules.quota_retry)
    soonest = now + restart.rest(gone.restless, gone.rules, luck)
    hold = replace(hold, until=max(hold.until, soonest))
    line = tell(gone, "agent_left_waiting", hold=hold.kind.value, exit=str(gone.last_exit))
    return arrive(enter(gone, Phase.HELD, hold.kind.value, now, hold=hold), line)


def _after_death(gone: Agent, fact: Exited, uptime: float, now: Instant) -> Step:
    """A death: by policy back at once, later, after a person's word, or not at all."""
    rules = gone.rules
    reason = gone.reason if gone.phase is Phase.FENCING else "exited"
    short = uptime < rules.min_uptime or gone.phase is Phase.STARTING
    lost = fact.exit.note == "reboot"
    dead = replace(
        gone,
        verdict=Verdict.DEAD,
        failures=gone.failures + 1 if short and not lost else 0,
        attempts=restart.recent(gone.attempts, rules, now),
        revived=True,
        free=lost,
    )
    died = tell(dead, "agent_died", reason=reason, exit=str(fact.exit), uptime=round(uptime, 3))
    if not restart.may_retry(fact.exit, rules):
        return escalate(dead, "no_retry_exit_code", now, died)
    if rules.restart is Restart.NEVER:
        return escalate(dead, "restart_never", now, died)
    if rules.revive_policy is RevivePolicy.NEVER:
        return escalate(dead, "policy_never", now, died)
    if not lost and restart.exhausted(dead.attempts, rules, now):
        return escalate(dead, "attempts_exhausted", now, died)
    if rules.revive_policy is RevivePolicy.ASK:
        due = now + rules.approval_timeout
        asked = tell(dead, "approval_requested", expires_in=rules.approval_timeout)
        return arrive(enter(dead, Phase.AWAITING, "ask", now, due=due), died, asked)
    due = now + restart.delay(dead.failures, rules, fact.luck)
    return arrive(schedule(dead, reason, due, now), died)
