"""Faults: how often what goes wrong. Each seed draws its own rates, many of them zero.

Drawing the rates anew (TigerBeetle calls it a swarm) finds more than one fixed mixture: some bugs
need a fault to be frequent, others need all the rest to be quiet.
"""

from __future__ import annotations

from random import Random

from lazarus_pit.core.model import (
    FleetRules,
    Liveness,
    OnRevive,
    OnStall,
    Restart,
    RevivePolicy,
    Rules,
)

HOURLY = {
    # of each agent, while it works
    "crash": 2.0,
    "hang": 0.6,
    "spin": 0.2,
    "sigstop": 0.3,
    "stall": 0.8,
    "quiet": 1.5,
    "compute": 1.0,
    "busy": 1.0,
    "hold": 0.8,
    "finish": 0.1,
    "lost_watch": 0.8,
    "flip": 0.6,
    "request": 0.3,
    "mail": 0.6,
    # of the whole machine
    "daemon_crash": 1.0,
    "reboot": 0.15,
    "overflow": 0.4,
    "observer_stall": 0.8,
    "leap": 0.3,
    "disk_full": 0.4,
    "mass_death": 0.3,
    # of each channel
    "channel_down": 0.5,
}
"""Events an hour at the middling rate."""

CHANCES = {
    # of each start
    "slow_start": 0.2,
    "never_ready": 0.06,
    "unwatched_start": 0.1,
    "dies_at_start": 0.15,
    "spawn_slow": 0.2,
    "spawn_fails": 0.08,
    "spawn_fatal": 0.02,
    # of each ending
    "config_exit": 0.1,
    "clean_exit": 0.08,
    "lingers": 0.15,
    "leaves_held": 0.05,
    # of each order to end
    "stubborn": 0.3,
    "immortal": 0.1,
    # of each fact on its way
    "late": 0.08,
    "twice": 0.05,
    "ghost": 0.05,
    # of each look
    "look_fails": 0.15,
    "look_mute": 0.08,
    "look_partial": 0.3,
    # of each save before a kill, and of each preparation of a life
    "save_fails": 0.2,
    "save_mute": 0.1,
    "prepare_fails": 0.2,
    # at each point of the loop: before persist, after it, around every order
    "crash_point": 0.01,
    # of people
    "answers": 0.7,
    "approves": 0.6,
    "answers_again": 0.4,
    "answers_late": 0.3,
    "answers_old": 0.3,
    "answers_all": 0.3,
    # of each message: the service asks to be left alone for a while
    "asks_for_peace": 0.3,
    "bell_lost": 0.2,
    "strangers": 0.15,
    "mistakes": 0.15,
    "reacts": 0.3,
    "pauses": 0.05,
    # of looking away: the daemon notices a leap of the clock by itself
    "leap_seen": 0.5,
}
"""Probabilities at the middling rate."""


def draw(rng: Random) -> dict[str, float]:
    """Draw one world's rates: a third of them off, the others between a third and three times."""
    rates: dict[str, float] = {}
    for name, middling in (HOURLY | CHANCES).items():
        scale = 0.0 if rng.random() < 0.33 else 3.0 ** rng.uniform(-1.0, 1.0)
        rates[name] = middling * scale if name in HOURLY else min(0.9, middling * scale)
    return rates


def calm(rates: dict[str, float]) -> dict[str, float]:
    """Return the rates of a world in which nothing goes wrong any more."""
    return dict.fromkeys(rates, 0.0)


def draw_rules(rng: Random) -> Rules:
    """Draw the rules of one agent, short times so that much happens in an hour."""
    stale = rng.choice((45.0, 60.0, 90.0))
    window = rng.choice((300.0, 900.0, 3600.0))
    return Rules(
        revive_policy=rng.choice(
            (RevivePolicy.AUTO,) * 4 + (RevivePolicy.ASK,) * 3 + (RevivePolicy.NEVER,)
        ),
        restart=rng.choice((Restart.ON_FAILURE,) * 3 + (Restart.ALWAYS, Restart.NEVER)),
        liveness=rng.choice((Liveness.HEARTBEAT,) * 5 + (Liveness.PROCESS,)),
        on_stall=rng.choice(tuple(OnStall)),
        heartbeat_stale_threshold=stale,
        resurrect_after=stale * rng.choice((1.0, 1.5, 3.0)),
        stall_after=rng.choice((0.0, 40.0, 120.0, 600.0)),
        compute_limit=rng.choice((300.0, 900.0)),
        busy_limit=3600.0,
        start_timeout=rng.choice((30.0, 120.0)),
        min_uptime=rng.choice((5.0, 60.0)),
        stable_after=rng.choice((120.0, 600.0)),
        max_revive_attempts=rng.choice((1, 2, 3, 6)),
        restart_window=window,
        backoff_max=rng.choice((20.0, 120.0)),
        stop_timeout=10.0,
        kill_grace=2.0,
        approval_timeout=rng.choice((60.0, 300.0)),
        quota_retry=300.0,
        on_revive=rng.choice((OnRevive.RESUME, OnRevive.RESTORE, OnRevive.RESTORE, OnRevive.FRESH)),
        save_before_kill=rng.choice((0.0, 5.0, 30.0)),
        budget_turns=rng.choice((0, 0, 0, 0, 30, 300)),
        budget_minutes=rng.choice((0.0, 0.0, 0.0, 0.0, 90.0)),
        mission_turns=rng.choice((0, 0, 0, 0, 0, 400)),
        loop_repeats=rng.choice((0, 0, 0, 20)),
        wake_on_mail=rng.random() < 0.3,
        mission_minutes=rng.choice((0.0,) * 7 + (240.0,)),
    )


def draw_fleet_rules(rng: Random) -> FleetRules:
    """Draw the rules of a fleet, tight ones among them."""
    return FleetRules(
        starts_in_flight=rng.choice((1, 2, 8)),
        start_slot=rng.choice((2.0, 10.0)),
        storm_floor=rng.choice((2, 5, 50)),
        storm_per_agent=rng.choice((0.2, 1.0, 3.0)),
        storm_window=60.0,
        doubt_grace=30.0,
    )
