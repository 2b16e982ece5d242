"""Restart policy: how often and how soon an agent may come back. Six pure functions."""

from __future__ import annotations

from lazarus_pit.core.model import Exit, Instant, Restart, Rules, Seconds


def recent(attempts: tuple[Instant, ...], rules: Rules, now: Instant) -> tuple[Instant, ...]:
    """Return the attempts that still count: those younger than ``restart_window``."""
    return tuple(at for at in attempts if now - at < rules.restart_window)


def exhausted(attempts: tuple[Instant, ...], rules: Rules, now: Instant) -> bool:
    """Whether the cap is reached (OTP: intensity within period)."""
    return len(recent(attempts, rules, now)) >= rules.max_revive_attempts


def delay(failures: int, rules: Rules, luck: float) -> Seconds:
    """Wait before the next start after ``failures`` short lives in a row.

    None after a life that lasted; else exponential, capped, and spread by ``luck`` in [0, 1) over
    ``1 ± backoff_jitter``, so that agents that died together do not come back together.
    """
    if failures <= 0:
        return 0.0
    # The exponent is bounded because a float is not: 2.0 ** 1100 raises.
    grown = rules.backoff_initial * rules.backoff_factor ** min(failures - 1, 64)
    spread = 1.0 + rules.backoff_jitter * (2.0 * luck - 1.0)
    return min(grown, rules.backoff_max) * spread


RESTLESS = 5
"""Short lives in a row, none of them a death, that are followed by the next at once."""


def rest(restless: int, rules: Rules, luck: float = 0.5) -> Seconds:
    """Wait before a life that follows no death, after ``restless`` short ones in a row.

    An agent that writes to itself, or says that it has no quota, and ends, would otherwise live
    many times a second for ever: no attempt counts these lives.
    """
    return delay(restless - RESTLESS, rules, luck)


def is_death(ending: Exit, rules: Rules) -> bool:
    """Whether this ending asks for a revive at all: a clean exit of a transient agent does not."""
    if rules.restart is Restart.ALWAYS:
        return True
    if rules.restart is Restart.NEVER:
        return False
    return ending.code != 0


def may_retry(ending: Exit, rules: Rules) -> bool:
    """Whether trying again can help: exit code 78 (a configuration error, sysexits.h) says no."""
    return ending.code not in rules.no_restart_exit_codes
