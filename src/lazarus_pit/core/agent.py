"""One agent's life, decided: the state, ``wake`` and ``owed``. ``lifecycle.py`` holds ``step``.

Pure: time comes in as an argument and orders go out as data, so a simulator can live a year of it
before lunch.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from lazarus_pit.core import budget, health
from lazarus_pit.core.budget import Curb, Tab
from lazarus_pit.core.events import (
    Ask,
    Freeze,
    Kill,
    LookAt,
    Order,
    Prepare,
    RequestStart,
    SaveCell,
    Spawn,
    Thaw,
)
from lazarus_pit.core.health import LOOK_LEAD, LOOK_TIMEOUT, Finding, Vitals
from lazarus_pit.core.model import (
    NEVER,
    Desired,
    Exit,
    Hold,
    Instant,
    Key,
    Life,
    Liveness,
    Look,
    OnRevive,
    OnStall,
    Phase,
    Rules,
    Seconds,
    Verdict,
)


class Agent(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the pit believes about one agent. All of it survives the daemon."""

    key: Key
    rules: Rules = Rules()
    phase: Phase = Phase.BACKOFF
    reason: str = "new"
    """Why it is in this phase: one word from the journal's vocabulary."""
    since: Instant = 0.0
    """When the phase began."""

    desired: Desired = Desired.RUN
    request: int = -1
    """Revives asked for by hand that have been honoured; -1 until the manifest was first heard."""

    generation: int = 0
    """Which life this is: the fencing token. Never used twice."""
    life: Life | None = None
    """The process of this generation; ``None`` until it exists and once it is gone."""
    started: Instant = 0.0
    vitals: Vitals = Vitals()
    status: str = ""
    status_told: str = ""
    status_told_at: Instant = 0.0
    verdict: Verdict = Verdict.UNKNOWN
    warned: Finding = Finding.FINE
    """The gravest finding that people were told of since it was last fine."""

    due: Instant = 0.0
    """BACKOFF: when the next start may happen. AWAITING: when the request expires. FENCING: when
    people were told that it does not die. HELD and curbed: when the request expires."""
    queued: bool = False
    """BACKOFF: the start is due and waits for its turn in the fleet."""
    free: bool = True
    """The next start is nobody's failure and burns no attempt."""
    attempts: tuple[Instant, ...] = ()
    """Revivals inside the window; recorded before the start that they count."""
    failures: int = 0
    """Short lives in a row: the exponent of the backoff."""
    restless: int = 0
    """The same, of whatever end: what is no death may not go round without a pause either."""
    revives: int = 0
    """Revivals since the agent was enlisted, for people."""
    revived: bool = False
    """This life follows a death that nobody asked for."""

    begin: OnRevive = OnRevive.RESUME
    """STARTING: what is still to be done before the process may begin; ``resume`` is nothing."""
    hold: Hold | None = None
    curb: Curb | None = None
    """HELD: on the pit's order, and people are asked whether it may go on."""
    curbs: int = 0
    """How often it was curbed."""
    tab: Tab = Tab()
    mailed: bool = False
    """Mail has come for this life."""
    saving: bool = False
    """FENCING: the cell is being saved; only then is the life ended."""
    forced: bool = False
    """FENCING: patience has ended; the order is now to kill the whole life."""
    frozen_at: Instant = 0.0
    """When deadlines were suspended; 0 while they run."""
    thawing: bool = False
    """Time runs again, but nobody has yet confirmed that the life moves."""
    look_sent: Instant = 0.0
    look: Look | None = None
    """The latest fresh look, and when it was taken."""
    looked: Instant = 0.0
    last_exit: Exit | None = None
    died: Instant = 0.0


PREPARE_AGAIN: Seconds = 600.0
"""A preparation that has not been answered for so long is ordered again."""
PEOPLES = ("stop", "operator")
"""Reasons for which a life is ended because people asked for it."""
LIVING = (Phase.STARTING, Phase.RUNNING, Phase.FENCING)
"""Phases that have, or may have, a process; HELD does while ``life`` is not ``None``."""


def may_live(agent: Agent) -> bool:
    """Whether a process of this generation may exist."""
    return agent.phase in LIVING or (agent.phase is Phase.HELD and agent.life is not None)


def uptime(agent: Agent, now: Instant) -> Seconds:
    """Return how long this life has lasted, up to where it was held or made to stand still."""
    held = agent.since if agent.phase is Phase.HELD else now
    return max(0.0, min(agent.frozen_at or held, held) - agent.started)


def is_void(order: Order, agent: Agent) -> bool:
    """Whether a start was overtaken, in the same turn, by what people want or what is done."""
    if not isinstance(order, Spawn | Prepare):
        return False
    if isinstance(order, Prepare) and agent.begin is not order.how:
        return True  # It is prepared: nothing may be restored under the life that begins.
    wanted = agent.phase is Phase.STARTING and not agent.frozen_at
    return not wanted or agent.generation != order.generation


def is_restoring(agent: Agent) -> bool:
    """Whether the cell is, or may be, being restored for this life: nobody else may begin."""
    return agent.begin is OnRevive.RESTORE and may_live(agent)


def is_judged(agent: Agent) -> bool:
    """Whether silence counts against this agent now."""
    return agent.phase is Phase.RUNNING and agent.frozen_at == 0.0


def is_durable(before: Agent, after: Agent) -> bool:
    """Whether the change must reach the disk: beats and looks need not, decisions must."""
    return (
        before.phase is not after.phase
        or before.life is not after.life
        or before.attempts is not after.attempts
        or before.forced != after.forced
        or before.begin is not after.begin
        or before.saving is not after.saving
        or before.request != after.request
        or before.desired is not after.desired
        or before.curb is not after.curb
        or (before.hold and before.hold.kind) != (after.hold and after.hold.kind)
        or before.frozen_at != after.frozen_at
        or before.thawing is not after.thawing
        or before.due != after.due
        or before.reason != after.reason
        or before.warned is not after.warned
    )


def owed(agent: Agent) -> list[Order]:
    """What this state owes the world. Asked again after a restart; shells act once per life."""
    at: dict[str, Any] = {"key": agent.key, "generation": agent.generation}
    orders: list[Order] = []
    match agent.phase:
        case Phase.STARTING if agent.life is None and not agent.frozen_at:
            resumes = agent.begin is OnRevive.RESUME
            orders.append(Spawn(**at) if resumes else Prepare(**at, how=agent.begin))
        case Phase.FENCING:
            if (agent.frozen_at or agent.thawing) and not agent.saving:
                orders.append(Thaw(**at))
            orders.append(SaveCell(**at) if agent.saving else Kill(**at, force=agent.forced))
        case Phase.AWAITING:
            orders.append(Ask(**at, expires=agent.due))
        case Phase.HELD if agent.curb is not None:
            orders += [*_owed_freeze(agent, at), Ask(**at, expires=agent.due)]
        case Phase.BACKOFF if agent.queued:
            orders.append(RequestStart(**at))
        case _:
            orders.extend(_owed_freeze(agent, at))
    if agent.look_sent and agent.phase in (Phase.STARTING, Phase.RUNNING):
        orders.append(LookAt(**at))
    return orders


def _owed_freeze(agent: Agent, at: dict[str, Any]) -> list[Order]:
    if agent.life is None:
        return []
    if agent.frozen_at:
        return [Freeze(**at)]
    return [Thaw(**at)] if agent.thawing else []


def wake(agent: Agent) -> Instant:
    """When time alone will next matter to this agent. Every wait has an end here."""
    if agent.curb is not None:
        return agent.due
    if agent.frozen_at and agent.phase is not Phase.FENCING:
        return NEVER
    match agent.phase:
        case Phase.BACKOFF:
            wants = agent.desired is Desired.RUN and not agent.queued
            return agent.due if wants else NEVER
        case Phase.STARTING if agent.begin is not OnRevive.RESUME:
            return agent.since + PREPARE_AGAIN
        case Phase.STARTING:
            warning = health.stale_at(agent.vitals, agent.rules)
            soonest = warning if agent.warned is Finding.FINE else NEVER
            return min(soonest, _look_or(agent, ready_by(agent)))
        case Phase.RUNNING:
            return _wake_running(agent)
        case Phase.HELD:
            return agent.hold.until if agent.hold else agent.since
        case Phase.FENCING:
            return agent.since + patience(agent)
        case Phase.AWAITING:
            return agent.due
        case _:
            return NEVER


def patience(agent: Agent) -> float:
    """Seconds between one order to end this life and the next, sterner one."""
    if agent.saving:
        return agent.rules.save_before_kill
    if agent.reason in PEOPLES:
        return agent.rules.stop_timeout
    return agent.rules.kill_grace


def _look_or(agent: Agent, deadline: Instant) -> Instant:
    """When a deadline that needs a fresh look next matters: to look, or to judge."""
    if agent.look_sent:
        return max(deadline, agent.look_sent + LOOK_TIMEOUT)
    if has_fresh_look(agent, deadline):
        return deadline
    return deadline - LOOK_LEAD


def has_fresh_look(agent: Agent, deadline: Instant) -> bool:
    """Whether the latest look was taken for this deadline."""
    return agent.look is not None and agent.looked >= deadline - LOOK_LEAD


def _wake_running(agent: Agent) -> Instant:
    rules, vitals = agent.rules, agent.vitals
    spent = budget.minutes_up(agent.tab, rules, agent.started)
    instants = [_look_or(agent, health.silent_at(vitals, rules)), spent]
    if agent.warned is Finding.FINE:
        instants.append(health.stale_at(vitals, rules))
    if agent.warned is not Finding.STALLED or rules.on_stall is OnStall.REVIVE:
        instants.append(_look_or(agent, health.stalled_at(vitals, rules)))
    if agent.warned is Finding.FINE and not agent.look_sent:
        instants.append(stable_at(agent))
    return min(instants)


def ready_by(agent: Agent) -> Instant:
    """When a start must have shown that it works; the time until the process exists is extra."""
    return max(agent.since, agent.started) + agent.rules.start_timeout


def stable_at(agent: Agent) -> Instant:
    """When this life, if nothing is wrong with it, has proven stable; never if it need not."""
    if agent.attempts or agent.failures:
        return agent.started + agent.rules.stable_after
    return NEVER


def needs_beats(agent: Agent) -> bool:
    """Whether readiness must be shown, not assumed from the process."""
    return agent.rules.liveness is Liveness.HEARTBEAT
