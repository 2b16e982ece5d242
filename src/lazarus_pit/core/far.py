"""One agent outside every cell, decided by probes alone: its state, ``fold``, ``wake``, ``owed``.

There is no process of ours to watch: three-valued readings come in, and a person's word.
``revival.py`` holds ``step``. Instants are Unix seconds of a clock that is never set while it runs.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.core.events import Ask, Fact, LookAt, Order, Spawn
from lazarus_pit.core.model import NEVER, Instant, Key, Rules, Seconds, Verdict

LOOK_AGAIN: Seconds = 30.0
"""A fresh look that has brought nothing by then is asked for again."""


class Reading(StrEnum):
    """What one probe says. A probe's own failure is never evidence of death."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class FarPhase(StrEnum):
    """What is being done about a far agent."""

    WATCHED = "watched"  # Nothing; the next readings decide.
    AWAITING = "awaiting"  # Dead long enough; a person was asked.
    BACKOFF = "backoff"  # Its revive is allowed, and waits for its time and a fresh look.
    REVIVING = "reviving"  # The revive was ordered; it must be healthy before ``due``.
    ESCALATED = "escalated"  # Nothing more, until it is healthy or its configuration changes.


class Probed(Fact, frozen=True, kw_only=True):
    """All its probes have answered."""

    readings: tuple[Reading, ...]
    luck: float = 0.5
    """In [0, 1): spreads the backoff."""


class Far(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the pool believes about one gateway. All of it survives the pool."""

    key: Key
    phase: FarPhase = FarPhase.WATCHED
    reason: str = ""
    """Why it is escalated, in the journal's word."""
    verdict: Verdict = Verdict.UNKNOWN
    first_dead_at: Instant | None = None
    """The first death since it was last healthy (contract 3.5)."""
    dead_since: Instant | None = None
    """Since when it has been dead without a break; a degraded reading ends it."""
    generation: int = 0
    """Which try to bring it back this is, asked for or not. Never used twice."""
    attempts: tuple[Instant, ...] = ()
    """Revives since it was last healthy; each recorded before it begins."""
    failures: int = 0
    due: Instant = 0.0
    """AWAITING: when the request expires. BACKOFF: when the revive may begin. REVIVING: when it
    must have shown that it works."""
    looked: Instant = 0.0
    """When a fresh look was last ordered."""
    plan: str = ""
    """By which policy and command it is revived: a word on one plan is no word on another."""


def fold(readings: Iterable[Reading]) -> Verdict:
    """Return what readings amount to (contract 3.5).

    All passed is healthy, none is dead, some is degraded. What the unknown ones would have to
    decide stays unknown.
    """
    seen = list(readings)
    if not seen:
        return Verdict.UNKNOWN
    passed, failed = seen.count(Reading.PASSED), seen.count(Reading.FAILED)
    if passed and failed:
        return Verdict.DEGRADED
    if passed == len(seen):
        return Verdict.HEALTHY
    return Verdict.DEAD if failed == len(seen) else Verdict.UNKNOWN


def shown(far: Far) -> str:
    """Return the contract's word for the state: a verdict, or ``reviving``."""
    return "reviving" if far.phase is FarPhase.REVIVING else far.verdict.value


def acts_at(far: Far, rules: Rules) -> Instant:
    """When a policy acts, should it still be dead then; never of one that is not dead."""
    if far.verdict is not Verdict.DEAD or far.dead_since is None:
        return NEVER
    return far.dead_since + rules.resurrect_after


def wake(far: Far, rules: Rules) -> Instant:
    """When time alone will next matter. What only readings can end is looked at by every sweep."""
    match far.phase:
        case FarPhase.AWAITING:
            return far.due
        case FarPhase.BACKOFF | FarPhase.REVIVING:
            return max(far.due, far.looked + LOOK_AGAIN)
        case FarPhase.WATCHED:
            return max(acts_at(far, rules), far.looked + LOOK_AGAIN)
        case FarPhase.ESCALATED:
            return NEVER


def owed(far: Far) -> list[Order]:
    """What this state owes the world. A revive is owed once: it is part of the step alone."""
    if far.phase is FarPhase.AWAITING:
        return [Ask(key=far.key, generation=far.generation, expires=far.due)]
    return []


def look(far: Far, now: Instant) -> tuple[Far, Order]:
    """Return the gateway with a fresh look ordered."""
    return replace(far, looked=now), LookAt(key=far.key, generation=far.generation)


def begin(far: Far, now: Instant) -> tuple[Far, Order]:
    """Return the gateway with its revive ordered; the attempt counts from before it begins."""
    begun = replace(far, phase=FarPhase.REVIVING, attempts=(*far.attempts, now))
    return begun, Spawn(key=far.key, generation=far.generation)


def resumed(far: Far, rules: Rules, plan: str, now: Instant) -> Far:
    """Return a gateway as a pool that has just begun takes it up.

    No instant lies further ahead than its rules allow, whatever was done to the clock meanwhile.
    Under another plan nothing that was asked for or given up by the old one holds.
    """
    first, since = (
        None if at is None else min(at, now) for at in (far.first_dead_at, far.dead_since)
    )
    furthest = {
        FarPhase.AWAITING: rules.approval_timeout,
        FarPhase.BACKOFF: rules.backoff_max * (1.0 + rules.backoff_jitter),
        FarPhase.REVIVING: rules.start_timeout,
    }.get(far.phase, 0.0)
    sound = replace(
        far,
        verdict=Verdict.UNKNOWN,
        first_dead_at=first,
        dead_since=since,
        attempts=tuple(min(at, now) for at in far.attempts),
        due=min(far.due, now + furthest),
        looked=0.0,
        plan=plan,
    )
    if plan == far.plan or far.phase is FarPhase.REVIVING:
        return sound
    return replace(sound, phase=FarPhase.WATCHED, reason="", attempts=(), failures=0, due=0.0)
