"""``step``: one agent, one fact, now: what it becomes, what is told, what is ordered.

One function a fact; inside, one case a phase. A pair that is not named changes nothing, and the
golden grid (tests/simulation/grid.txt) shows every pair, so that none is silent by accident.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from lazarus_pit.core import budget, curb, health
from lazarus_pit.core.agent import Agent, may_live, needs_beats, owed
from lazarus_pit.core.budget import Tab
from lazarus_pit.core.death import bury
from lazarus_pit.core.events import (
    Admitted,
    Adopted,
    Beat,
    CellSaved,
    CellSpent,
    Decided,
    Doubted,
    Enlisted,
    Exited,
    Fact,
    Freeze,
    Frozen,
    Looked,
    Mailed,
    Order,
    Prepared,
    Progressed,
    Spawned,
    SpawnFailed,
    Spent,
    Thaw,
    Thawed,
    Tick,
    Told,
    ToolUsed,
)
from lazarus_pit.core.health import Finding
from lazarus_pit.core.model import Desired, Exit, Instant, OnRevive, Phase, Seconds, Verdict
from lazarus_pit.core.moves import (
    Step,
    arrive,
    condemn,
    enter,
    escalate,
    proven,
    ready,
    reassess,
    release,
    schedule,
    tell,
    wake_up,
)
from lazarus_pit.core.ticks import on_tick

STATUS_GRAIN: Seconds = 5.0
"""A change of status is journalled at most so often: an agent may change it at every beat."""


def step(agent: Agent, fact: Fact, now: Instant) -> Step:
    """Fold one fact into what we believe, and say what to do about it.

    A fact of another generation is a ghost or a late reply and changes nothing.
    """
    generation = getattr(fact, "generation", None)
    if generation is not None and generation != agent.generation:
        return Step(agent)
    after = STEPS[type(fact)](agent, fact, now)
    if after.agent.phase is not Phase.RUNNING or agent.phase is Phase.RUNNING:
        return after
    held = curb.check(after.agent, now)  # What its earlier lives have spent may be too much.
    return Step(held.agent, after.told + held.told, held.orders or after.orders)


def on_enlisted(agent: Agent, fact: Enlisted, now: Instant) -> Step:
    """People have changed the manifest: new rules hold at once, and what they want wins."""
    # What people had asked of an agent before we knew it is no wish to replace what runs.
    asked = 0 <= agent.request < fact.request
    agent = replace(
        agent,
        rules=fact.rules,
        desired=fact.desired,
        request=max(fact.request, agent.request),
        queued=agent.queued and fact.desired is Desired.RUN,
    )
    if agent.curb is not None and fact.desired is not Desired.STOP and not asked:
        return curb.ruled(agent, now)
    match fact.desired:
        case Desired.STOP:
            return _stop(agent, now)
        case Desired.FREEZE:
            return _freeze(agent, now)
        case _:
            return _run(agent, now, asked=asked)


def _stop(agent: Agent, now: Instant) -> Step:
    if agent.phase is Phase.FENCING or agent.phase in (Phase.STOPPED, Phase.EXITED):
        return Step(agent)
    if may_live(agent):
        return condemn(agent, "stop", now)
    line = tell(agent, "agent_stopped")
    return arrive(enter(agent, Phase.STOPPED, "stop", now, verdict=Verdict.UNKNOWN), line)


def _freeze(agent: Agent, now: Instant) -> Step:
    """Suspend every deadline from now on, and make what lives stand still."""
    if agent.frozen_at or not may_live(agent) or agent.phase is Phase.FENCING:
        return Step(agent)
    return arrive(replace(agent, frozen_at=now, thawing=False, look_sent=0.0))


def _thaw(agent: Agent, now: Instant) -> Agent:
    """Let time run again: what was silent while frozen was silent on our order."""
    if not agent.frozen_at:
        return agent
    gap = now - agent.frozen_at
    return replace(
        agent,
        frozen_at=0.0,
        thawing=agent.life is not None,
        since=agent.since + gap if agent.phase is Phase.STARTING else agent.since,
        vitals=health.resumed(agent.vitals, now, gap),
        tab=budget.waited(agent.tab, gap),
        look=None,
    )


def _run(agent: Agent, now: Instant, *, asked: bool) -> Step:
    if asked:
        return _revive_by_hand(agent, now)
    thawing: tuple[Order, ...] = ()
    if agent.frozen_at and agent.phase is not Phase.FENCING:
        agent = _thaw(agent, now)
        thawing = tuple(owed(agent))
    if agent.phase is Phase.STOPPED:
        return arrive(schedule(agent, "wanted", now, now, free=True))
    after = proven(agent, now) or Step(agent)  # By a rule that is new.
    return after._replace(orders=(*thawing, *after.orders))


def _revive_by_hand(agent: Agent, now: Instant) -> Step:
    """A person's word clears attempts, holds and giving up; a living agent is replaced."""
    agent = replace(agent, attempts=(), failures=0, restless=0, tab=Tab())
    line = tell(agent, "revive_requested")
    if agent.phase is Phase.FENCING:
        return Step(replace(agent, reason="operator"), (line,))
    if may_live(agent):
        return condemn(agent, "operator", now, line)
    return arrive(schedule(agent, "operator", now, now, free=True), line)


def on_admitted(agent: Agent, fact: Admitted, now: Instant) -> Step:
    """The fleet gives the turn: a new generation begins, its attempt recorded before the start.

    Only a revive that counts may begin otherwise than the last life ended: what a person has put
    right by hand, or a reboot interrupted, is not undone. Nor is the work of others who live.
    """
    if agent.phase is not Phase.BACKOFF or not agent.queued or agent.desired is not Desired.RUN:
        return Step(agent)
    attempts = agent.attempts if agent.free else (*agent.attempts, now)
    counts = agent.revived and not agent.free
    begin = agent.rules.on_revive if counts else OnRevive.RESUME
    crowded = begin is OnRevive.RESTORE and not fact.alone
    born = enter(
        agent,
        Phase.STARTING,
        agent.reason,
        now,
        generation=agent.generation + 1,
        life=None,
        started=now,
        vitals=health.fresh(now),
        verdict=Verdict.UNKNOWN,
        warned=Finding.FINE,
        attempts=attempts,
        revives=agent.revives + (1 if agent.revived else 0),
        free=False,
        mailed=False,
        begin=OnRevive.RESUME if crowded else begin,
    )
    return arrive(born, *[tell(born, "agent_resumed", why="others of the cell live")] * crowded)


def on_prepared(agent: Agent, fact: Prepared, _now: Instant) -> Step:
    """What was to be done before the life begins is done, or cannot be: it begins."""
    if agent.phase is not Phase.STARTING or agent.begin is OnRevive.RESUME:
        return Step(agent)
    if fact.done:
        line = tell(agent, "agent_prepared", how=agent.begin.value, done=fact.done)
    else:
        line = tell(agent, "agent_resumed", why=fact.why)
    return arrive(replace(agent, begin=OnRevive.RESUME), line)


def on_cell_saved(agent: Agent, fact: CellSaved, now: Instant) -> Step:
    """The cell is saved, or cannot be: either way the life is ended now."""
    if agent.phase is not Phase.FENCING or not agent.saving:
        return Step(agent)
    if fact.checkpoint:
        line = tell(agent, "agent_saved", checkpoint=fact.checkpoint)
    else:
        line = tell(agent, "agent_unsaved", why=fact.why)
    return arrive(replace(agent, since=now, saving=False), line)


def on_spawned(agent: Agent, fact: Spawned, now: Instant) -> Step:
    """The process exists; where that is proof enough it is ready as well."""
    match agent.phase:
        case Phase.STARTING if agent.life is None:
            begun = {"begin": OnRevive.RESUME, "started": now, "vitals": health.fresh(now)}
            born = replace(agent, life=fact.life, **begun)
            line = tell(born, "agent_started", pid=fact.life.pid)
            if needs_beats(born):
                frozen = [Freeze(key=born.key, generation=born.generation)] * bool(born.frozen_at)
                return Step(born, (line,), tuple(frozen))
            return ready(born, "process", now, line)
        case Phase.FENCING:
            return Step(replace(agent, life=fact.life), (), tuple(owed(agent)))
        case _:
            return Step(agent)


def on_spawn_failed(agent: Agent, fact: SpawnFailed, now: Instant) -> Step:
    """The life never began: that counts as a very short one."""
    if agent.phase not in (Phase.STARTING, Phase.FENCING):
        return Step(agent)
    ending = Exited(generation=agent.generation, exit=Exit(note=fact.why))
    line = tell(agent, "agent_start_failed", why=fact.why)
    if fact.fatal and agent.phase is Phase.STARTING and agent.desired is Desired.RUN:
        gone = replace(agent, last_exit=ending.exit, died=now, verdict=Verdict.DEAD)
        return escalate(gone, "cannot_start", now, line)
    after = bury(agent, ending, now)
    return Step(after.agent, (line, *after.told), after.orders)


def on_adopted(agent: Agent, fact: Adopted, now: Instant) -> Step:
    """A new daemon found this life running: the time nobody looked is not held against it."""
    if not may_live(agent) and agent.phase is not Phase.STARTING:
        return Step(agent)
    found = replace(
        agent,
        life=fact.life,
        since=now if agent.phase is Phase.STARTING else agent.since,
        begin=OnRevive.RESUME,
        started=agent.started if agent.life else now,
        vitals=health.resumed(agent.vitals, now),
        look=None,
        look_sent=0.0,
    )
    line = tell(found, "agent_adopted", pid=fact.life.pid)
    after = proven(found, now, line) or arrive(found, line)
    if found.frozen_at or found.thawing:
        return after
    stir = Thaw(key=agent.key, generation=agent.generation, stray=True)
    return after._replace(orders=(stir, *after.orders))


def on_beat(agent: Agent, fact: Beat, now: Instant) -> Step:
    """A sign of life. Progress only if its cycle moved; a hold if it says so."""
    if agent.life is None or agent.phase not in (Phase.STARTING, Phase.RUNNING, Phase.HELD):
        return Step(agent)
    vitals = health.beaten(
        agent.vitals, fact.cycle, min(fact.busy_for, agent.rules.busy_limit), now
    )
    status = agent.status if fact.status is None else fact.status
    beaten = replace(agent, vitals=vitals, status=status)
    told: tuple[Told, ...] = ()
    if status != agent.status_told and now - agent.status_told_at >= STATUS_GRAIN:
        beaten = replace(beaten, status_told=status, status_told_at=now)
        told = (tell(beaten, "heartbeat", status=status),)
    if agent.curb is not None:
        return Step(beaten, told)
    if fact.hold is not None:
        if agent.hold is not None and agent.hold.kind is fact.hold.kind:
            return Step(replace(beaten, hold=fact.hold), told)
        line = tell(beaten, "agent_held", hold=fact.hold.kind.value)
        held = enter(beaten, Phase.HELD, fact.hold.kind.value, now, hold=fact.hold)
        return arrive(held, *told, line)
    if agent.phase is Phase.STARTING:
        return ready(beaten, "heartbeat", now, *told)
    if agent.phase is Phase.HELD:
        return release(beaten, "heartbeat", now, *told)
    if agent.warned is not Finding.FINE:
        return reassess(beaten, now, *told)
    return Step(beaten, told)


def on_progressed(agent: Agent, fact: Progressed, now: Instant) -> Step:
    """It got something done, whatever its beats say."""
    if agent.life is None or agent.phase not in (Phase.STARTING, Phase.RUNNING):
        return Step(agent)
    moved = replace(agent, vitals=replace(agent.vitals, progress=now))
    if agent.phase is Phase.STARTING:
        return ready(moved, fact.source, now)
    return reassess(moved, now) if agent.warned is not Finding.FINE else Step(moved)


def on_looked(agent: Agent, fact: Looked, now: Instant) -> Step:
    """A fresh look is back. One that saw nothing is no ground for a verdict; it is taken again."""
    if agent.phase not in (Phase.STARTING, Phase.RUNNING) or not agent.look_sent:
        return Step(agent)
    if health.saw_nothing(fact.look):
        return Step(agent)
    before = agent.vitals
    vitals = health.confirmed(before, fact.look, now)
    seen = replace(agent, vitals=vitals, look=fact.look, looked=now, look_sent=0.0)
    if agent.phase is Phase.STARTING:
        # What was there before it began, such as a new log, may seem younger by the look's length.
        # The vitals will not do: a thaw and an adoption credit them with what nobody saw.
        if now - health.youngest(fact.look) > agent.started + health.LOOK_LEAD:
            return ready(seen, "output", now)
        return Step(seen)
    if not health.is_ground(fact.look, health.weigh(vitals, agent.rules, now)):
        seen = replace(agent, vitals=vitals)  # What it saw counts; the look is taken again.
    return reassess(seen, now) if agent.warned is not Finding.FINE else Step(seen)


def on_exited(agent: Agent, fact: Exited, now: Instant) -> Step:
    """The operating system says that this life is gone: the one proof that suffices alone."""
    return bury(agent, fact, now) if may_live(agent) else Step(agent)


def on_frozen(agent: Agent, _fact: Frozen, _now: Instant) -> Step:
    """It stands still. If people want it moving again by now, let it."""
    if agent.frozen_at or not may_live(agent):
        return Step(agent, (tell(agent, "agent_frozen"),) if agent.frozen_at else ())
    return Step(agent, (), (Thaw(key=agent.key, generation=agent.generation),))


def on_thawed(agent: Agent, _fact: Thawed, _now: Instant) -> Step:
    """It moves again; if people want it still by now, freeze it."""
    if agent.thawing:
        return Step(replace(agent, thawing=False), (tell(agent, "agent_thawed"),))
    if not agent.frozen_at or agent.phase is Phase.FENCING:
        return Step(agent)
    return Step(agent, (), (Freeze(key=agent.key, generation=agent.generation),))


def on_decided(agent: Agent, fact: Decided, now: Instant) -> Step:
    """A person's answer, good once, for the death or the hold it was asked about.

    That it was given in time is known where it was given; it may be heard after that.
    """
    if agent.curb is not None:
        return curb.answered(agent, fact, now)
    if agent.phase is not Phase.AWAITING or fact.hold:
        return Step(agent)
    data = {"by": fact.by, "via": fact.via}
    if fact.approved:
        line = tell(agent, "approval_granted", **data)
        return arrive(schedule(agent, "approved", now, now), line)
    return escalate(agent, "denied", now, tell(agent, "approval_denied", **data))


def on_mailed(agent: Agent, _fact: Mailed, now: Instant) -> Step:
    """Whoever has ended well and is to be woken by mail begins again; whoever lives reads it."""
    if not agent.rules.wake_on_mail:
        return Step(agent)
    if agent.phase is Phase.EXITED and agent.desired is Desired.RUN:
        return wake_up(agent, now)
    return Step(replace(agent, mailed=True)) if may_live(agent) else Step(agent)


def on_doubted(agent: Agent, _fact: Doubted, _now: Instant) -> Step:
    """Forget what was seen with eyes that are in doubt."""
    return Step(replace(agent, look=None, look_sent=0.0))


STEPS: dict[type[Fact], Callable[[Agent, Any, Instant], Step]] = {
    Enlisted: on_enlisted,
    Admitted: on_admitted,
    Prepared: on_prepared,
    CellSaved: on_cell_saved,
    Spawned: on_spawned,
    SpawnFailed: on_spawn_failed,
    Adopted: on_adopted,
    Beat: on_beat,
    Spent: curb.on_spent,
    CellSpent: curb.on_cell_spent,
    ToolUsed: curb.on_tool_used,
    Mailed: on_mailed,
    Progressed: on_progressed,
    Looked: on_looked,
    Exited: on_exited,
    Frozen: on_frozen,
    Thawed: on_thawed,
    Decided: on_decided,
    Doubted: on_doubted,
    Tick: on_tick,
}
