"""What the daemon believes, said for people: an agent's record as ``state.json`` shows it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from lazarus_pit.core import budget
from lazarus_pit.core.agent import Agent, uptime, wake
from lazarus_pit.core.model import NEVER, Instant, OnRevive, Phase, Verdict
from lazarus_pit.formats.state import Health, State

ALIVE = (Phase.STARTING, Phase.RUNNING, Phase.HELD)


def state_of(
    uuid: str, agents: dict[str, Agent], sandbox: str, limits: Callable[[Agent], dict[str, str]]
) -> State:
    """Return one cell's ``state.json``: instants of the monotonic clock become wall-clock times."""
    offset = time.time() - time.monotonic()
    return State(
        cell_uuid=uuid,
        daemon_pid=os.getpid(),
        last_poll=round(time.time(), 3),
        agent_health={
            name: _health(agent, sandbox, limits, offset) for name, agent in agents.items()
        },
    )


def _health(
    agent: Agent, sandbox: str, limits: Callable[[Agent], dict[str, str]], offset: float
) -> Health:
    return Health(
        healthy=agent.phase in ALIVE and agent.verdict is not Verdict.DEAD,
        last_seen=_wall(agent.vitals.heard, offset),
        revive_count=agent.revives,
        phase=agent.phase.value,
        verdict=agent.verdict.value,
        generation=agent.generation,
        reason=agent.reason,
        status=agent.status,
        pid=agent.life.pid if agent.life else None,
        since=_wall(agent.since, offset),
        sandbox=sandbox if agent.life else "",
        limits=limits(agent) if agent.life else {},
        readings=_readings(agent, offset),
    )


def _readings(agent: Agent, offset: float) -> dict[str, Any]:
    """The evidence and the counters behind the present state, leaving out what says nothing."""
    rules = agent.rules
    lives = agent.life is not None
    spent = budget.readings(agent.tab, uptime(agent, time.monotonic()) if lives else 0.0)
    found: dict[str, Any] = {
        "desired": agent.desired.value,
        "policy": rules.revive_policy.value,
        "on_revive": rules.on_revive.value if rules.on_revive is not OnRevive.RESUME else None,
        "preparing": agent.begin.value if agent.begin is not OnRevive.RESUME else None,
        "saving": agent.saving or None,
        "attempts_used": len(agent.attempts),
        "attempts_max": rules.max_revive_attempts,
        "failures_in_a_row": agent.failures or None,
        "started": _wall(agent.started, offset),
        "beat": _wall(agent.vitals.heard, offset),
        "progress": _wall(agent.vitals.progress, offset),
        "busy_until": _wall(agent.vitals.busy_until, offset),
        "cycle": agent.vitals.cycle,
        "frozen_since": _wall(agent.frozen_at, offset),
        "due": _wall(agent.due, offset),
        "next_decision": _wall(wake(agent), offset),
        "hold": agent.hold.kind.value if agent.hold else None,
        "hold_until": _wall(agent.hold.until, offset) if agent.hold else None,
        "last_exit": str(agent.last_exit) if agent.last_exit else None,
        "died": _wall(agent.died, offset),
        "spent": {name: value for name, value in spent.items() if value} or None,
        "asked": f"curb {agent.curb.number}" if agent.curb else None,
        "warned": agent.warned.value if agent.warned != "fine" else None,
        "cgroup": agent.life.cgroup if agent.life and agent.life.cgroup else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _wall(instant: Instant, offset: float) -> float | None:
    """Unix seconds of a monotonic instant; ``None`` for never and not yet."""
    return round(instant + offset, 3) if 0.0 < instant < NEVER / 2 else None
