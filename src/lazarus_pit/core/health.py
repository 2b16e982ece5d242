"""Health: what the evidence about one living agent amounts to, and when it must be weighed again.

Three facts are kept apart: it lives (beats, processor time), it gets on (cycle, output, file
changes), it waits (held). No single silence condemns: a hang needs silent beats *and* silent work,
and a fresh look, begun just before the deadline, that confirms both.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.core.model import NEVER, Instant, Liveness, Look, Rules, Seconds

LOOK_LEAD: Seconds = 0.5
"""A look begins so long before its deadline, so that a verdict is fresh and yet not late."""
LOOK_TIMEOUT: Seconds = 5.0
"""A look that has not answered by then has failed, and is asked for again."""


class Finding(StrEnum):
    """What a weighing of the evidence found; the gravest wins."""

    FINE = "fine"
    STALE = "stale"  # No beat for heartbeat_stale_threshold: worth a warning.
    STALLED = "stalled"  # Beats without progress for stall_after.
    SILENT = "silent"  # Neither beat nor work for resurrect_after.


class Vitals(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When this life was last seen to do what. At its start it is credited with everything."""

    beat: Instant = 0.0
    progress: Instant = 0.0
    computed: Instant = 0.0
    """Last seen to use processor time although silent."""
    busy_until: Instant = 0.0
    cycle: int | None = None
    heard: Instant = 0.0
    """When this life's last beat really arrived, without any credit; 0 before the first."""


def fresh(now: Instant) -> Vitals:
    """Return the vitals of a life that begins, or is seen again after a gap, now."""
    return Vitals(beat=now, progress=now, computed=now)


def resumed(vitals: Vitals, now: Instant, gap: Seconds = 0.0) -> Vitals:
    """Return the vitals of a life that is seen again after a gap in which it could not be judged.

    ``gap`` is how long the life itself stood still: what it announced takes so much longer.
    """
    busy_until = vitals.busy_until + gap if vitals.busy_until else 0.0
    return replace(vitals, beat=now, progress=now, computed=now, busy_until=busy_until)


def silent_at(vitals: Vitals, rules: Rules) -> Instant:
    """When silence becomes death: beats and work silent, no announced step, no computing."""
    if rules.liveness is Liveness.PROCESS:
        return NEVER
    since = max(vitals.beat, vitals.progress, vitals.busy_until)
    computing = min(vitals.computed + rules.resurrect_after, since + rules.compute_limit)
    return max(since + rules.resurrect_after, computing)


def stale_at(vitals: Vitals, rules: Rules) -> Instant:
    """When a missing beat is worth a warning."""
    if rules.liveness is Liveness.PROCESS:
        return NEVER
    return max(vitals.beat, vitals.busy_until) + rules.heartbeat_stale_threshold


def stalled_at(vitals: Vitals, rules: Rules) -> Instant:
    """When beats without progress become a stall; computing is forgiven as it is in silence.

    Without beats it is none: silence is judged by its own rule.
    """
    if rules.stall_after <= 0.0:
        return NEVER
    since = max(vitals.progress, vitals.busy_until)
    computing = min(vitals.computed + rules.stall_after, since + rules.compute_limit)
    stalled = max(since + rules.stall_after, computing)
    return stalled if rules.liveness is Liveness.PROCESS or vitals.beat >= stalled else NEVER


def weigh(vitals: Vitals, rules: Rules, now: Instant) -> Finding:
    """Weigh the evidence as it stands now."""
    if now >= silent_at(vitals, rules):
        return Finding.SILENT
    if now >= stalled_at(vitals, rules):
        return Finding.STALLED
    if now >= stale_at(vitals, rules):
        return Finding.STALE
    return Finding.FINE


def beaten(vitals: Vitals, cycle: int | None, busy_for: Seconds, now: Instant) -> Vitals:
    """Fold a beat in. A beat is life; only a cycle that changed is progress as well."""
    moved = cycle is not None and cycle != vitals.cycle
    return Vitals(
        beat=now,
        progress=now if moved else vitals.progress,
        computed=vitals.computed,
        busy_until=now + busy_for if busy_for > 0.0 else 0.0,
        cycle=vitals.cycle if cycle is None else cycle,
        heard=now,
    )


def confirmed(vitals: Vitals, look: Look, now: Instant) -> Vitals:
    """Fold a fresh look in: every age that could be seen moves its instant forward."""

    def newer(known: Instant, age: Seconds | None) -> Instant:
        return known if age is None else max(known, now - age)

    return Vitals(
        beat=newer(vitals.beat, look.beat_age),
        progress=newer(newer(vitals.progress, look.output_age), look.files_age),
        computed=now if look.computing and not look.stopped else vitals.computed,
        busy_until=vitals.busy_until,
        cycle=vitals.cycle,
        heard=newer(vitals.heard, look.beat_age),
    )


def youngest(look: Look) -> Seconds:
    """Return the age of the newest sign of life or work that a look saw; ``NEVER`` for none."""
    ages = (look.beat_age, look.output_age, look.files_age)
    return min((age for age in ages if age is not None), default=NEVER)


def saw_nothing(look: Look) -> bool:
    """Whether the look itself failed: then it is ``unknown``, and no ground for a verdict."""
    return look == Look()


def is_ground(look: Look, finding: Finding) -> bool:
    """Whether a look can carry the verdict that it is about to.

    For a hang it must know if the life computes, or stands still: silent beats and files alone are
    what a long computation looks like. If it does compute, and too long, the look must have seen
    that nothing comes out of it. For a stall it must have seen output or files.
    """
    if finding is Finding.STALLED:
        return look.output_age is not None or look.files_age is not None
    if look.computing and not look.stopped:
        return look.output_age is not None
    return look.computing is not None or look.stopped is True
