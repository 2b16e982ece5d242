"""``step`` for one agent outside every cell: readings and words in, told lines and orders out.

A revive begins on a fresh sight of death and nothing else, and it has succeeded only when the
gateway is healthy again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec.structs import replace

from lazarus_pit.core import restart
from lazarus_pit.core.events import Decided, Fact, Order, SpawnFailed, Told
from lazarus_pit.core.far import Far, FarPhase, Probed, acts_at, begin, fold, look, owed, wake
from lazarus_pit.core.model import Instant, RevivePolicy, Rules, Verdict


class FarStep(NamedTuple):
    """The outcome of one step."""

    far: Far
    told: tuple[Told, ...] = ()
    orders: tuple[Order, ...] = ()


def step(far: Far, rules: Rules, fact: Fact, now: Instant) -> FarStep:
    """Return what follows from a fact. One about another generation changes nothing."""
    match fact:
        case Probed():
            return _seen(far, rules, fact, now)
        case Decided(generation=far.generation) if far.phase is FarPhase.AWAITING:
            return _answered(far, fact, now)
        case SpawnFailed(generation=far.generation) if far.phase is FarPhase.REVIVING:
            failed = tell(far, "gateway_revive_failed", why=fact.why)
            return _escalate(far, "cannot_start", failed)
        case _:
            return _waited(far, rules, now)


def tell(far: Far, event: str, **data: Any) -> Told:
    """Return a line for the journal about this gateway."""
    return Told(event=event, key=far.key, data={"generation": far.generation, **data})


def _seen(far: Far, rules: Rules, fact: Probed, now: Instant) -> FarStep:
    seen = replace(far, verdict=fold(fact.readings), looked=0.0)
    match seen.verdict:
        case Verdict.HEALTHY:
            return _well(seen, now)
        case Verdict.DEGRADED:
            return _half_well(replace(seen, dead_since=None), rules, now)
        case Verdict.DEAD:
            first = now if far.first_dead_at is None else far.first_dead_at
            since = now if far.dead_since is None else far.dead_since
            return _dead(replace(seen, first_dead_at=first, dead_since=since), rules, fact, now)
        case Verdict.UNKNOWN:
            return FarStep(seen)


def _well(far: Far, now: Instant) -> FarStep:
    """Recovered: what was counted is cleared (contract 3.5, 3.8)."""
    calm = Far(key=far.key, verdict=far.verdict, generation=far.generation, plan=far.plan)
    if far.first_dead_at is None and far.phase is FarPhase.WATCHED:
        return FarStep(calm)
    by = "pool" if far.phase is FarPhase.REVIVING else "itself"
    gone = 0.0 if far.first_dead_at is None else max(0.0, now - far.first_dead_at)
    line = tell(far, "gateway_recovered", by=by, dead_for=round(gone, 3))
    return FarStep(calm, (line,))


def _half_well(far: Far, rules: Rules, now: Instant) -> FarStep:
    """No policy acts on a degraded one: what was asked for is withdrawn (contract 3.5)."""
    calm = replace(far, phase=FarPhase.WATCHED, due=0.0)
    match far.phase:
        case FarPhase.AWAITING | FarPhase.BACKOFF:
            return FarStep(calm, (tell(far, "gateway_degraded"),))
        case FarPhase.REVIVING if now >= far.due:
            return FarStep(replace(calm, failures=far.failures + 1), (_late(far, rules),))
        case _:
            return FarStep(far)


def _dead(far: Far, rules: Rules, fact: Probed, now: Instant) -> FarStep:
    due = now >= acts_at(far, rules)
    match far.phase:
        case FarPhase.WATCHED if due:
            gone = round(now - (far.dead_since or now), 3)
            died = tell(far, "gateway_died", dead_for=gone, policy=rules.revive_policy.value)
            return _act(far, rules, fact, now, died)
        case FarPhase.BACKOFF if now >= far.due:
            return _begin(far, rules, now)
        case FarPhase.REVIVING if now >= far.due:
            failed = replace(far, phase=FarPhase.WATCHED, failures=far.failures + 1, due=0.0)
            late = _late(far, rules)
            return _act(failed, rules, fact, now, late) if due else FarStep(failed, (late,))
        case _:
            return FarStep(far)


def _late(far: Far, rules: Rules) -> Told:
    return tell(far, "gateway_revive_failed", why=f"not healthy within {rules.start_timeout:g} s")


def _act(far: Far, rules: Rules, fact: Probed, now: Instant, line: Told) -> FarStep:
    """It has been dead long enough: by policy bring it back, ask, or leave it to people."""
    if rules.revive_policy is RevivePolicy.NEVER:
        return _escalate(far, "policy_never", line)
    if restart.exhausted(far.attempts, rules, now):
        return _escalate(far, "attempts_exhausted", line)
    tried = replace(far, generation=far.generation + 1)
    if rules.revive_policy is RevivePolicy.ASK:
        due = now + rules.approval_timeout
        waiting = replace(tried, phase=FarPhase.AWAITING, due=due)
        asked = tell(waiting, "approval_requested", expires_in=rules.approval_timeout)
        return FarStep(waiting, (line, asked), tuple(owed(waiting)))
    due = now + restart.delay(tried.failures, rules, fact.luck)
    waiting = replace(tried, phase=FarPhase.BACKOFF, due=due)
    return _begin(waiting, rules, now, line) if now >= due else FarStep(waiting, (line,))


def _begin(far: Far, rules: Rules, now: Instant, *told: Told) -> FarStep:
    begun, order = begin(replace(far, due=now + rules.start_timeout), now)
    line = tell(begun, "gateway_revive_started", attempt=len(begun.attempts))
    return FarStep(begun, (*told, line), (order,))


def _answered(far: Far, fact: Decided, now: Instant) -> FarStep:
    """A word consumes its request: the phase that waited for it is left for good."""
    if not fact.approved:
        line = tell(far, "approval_denied", by=fact.by, via=fact.via)
        return _escalate(far, "denied", line)
    line = tell(far, "approval_granted", by=fact.by, via=fact.via)
    allowed, order = look(replace(far, phase=FarPhase.BACKOFF, due=now), now)
    return FarStep(allowed, (line,), (order,))


def _waited(far: Far, rules: Rules, now: Instant) -> FarStep:
    if now < wake(far, rules):
        return FarStep(far)
    if far.phase is FarPhase.AWAITING:
        return _escalate(far, "approval_expired", tell(far, "approval_expired"))
    looking, order = look(far, now)
    return FarStep(looking, (), (order,))


def _escalate(far: Far, reason: str, *told: Told) -> FarStep:
    """Leave it to people and say so once."""
    line = tell(far, "gateway_escalated", reason=reason, attempts=len(far.attempts))
    given_up = replace(far, phase=FarPhase.ESCALATED, reason=reason, due=0.0)
    return FarStep(given_up, (*told, line))
