"""What ``--status`` and ``--dry-run`` say. Neither changes anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from lazarus_pit.core.events import Ask, LookAt, Order, Spawn
from lazarus_pit.core.far import Far, FarPhase, Probed, acts_at, fold, resumed, shown
from lazarus_pit.core.model import Instant, RevivePolicy, Verdict
from lazarus_pit.core.revival import FarStep, step
from lazarus_pit.formats.pool_config import Gateway, PoolConfig, falls_back, policies, rules_of
from lazarus_pit.formats.text import one_line
from lazarus_pit.pool.journal import shown_name
from lazarus_pit.pool.plans import plan_of
from lazarus_pit.pool.sweep import Sight

_ALIVE = {"passed": True, "failed": False, "unknown": None}
_PENDING = (FarPhase.AWAITING, FarPhase.BACKOFF)


def status_object(name: str, far: Far, sight: Sight) -> dict[str, Any]:
    """Return one entry of ``--status`` (contract 3.6); instants are Unix seconds.

    ``null`` for a probe is: it could not be told.
    """
    verdict = fold(sight.readings)
    well = verdict is Verdict.HEALTHY
    now = Far(key=name, verdict=verdict) if well else replace(far, verdict=verdict)
    first = now.first_dead_at
    if first is None and verdict is Verdict.DEAD:
        first = sight.at
    return {
        "name": name,
        "state": shown(now),
        "gateway_alive": _ALIVE[sight.seen["tcp"].reading.value],
        "process_alive": _ALIVE[sight.seen["process"].reading.value],
        "heartbeat_age": sight.heartbeat_age,
        "last_checked": sight.at,
        "first_dead_at": first,
        "revive_pending": now.phase in _PENDING,
        "revive_attempts": len(now.attempts),
        "probes": sight.words(),
    }


def dry_run(
    config: PoolConfig, remembered: Mapping[str, Far], sights: Mapping[str, Sight], now: Instant
) -> Iterator[str]:
    """Yield a line a gateway: how it is, and what a sweep would do about it now."""
    words = policies(config)
    for one in config.gateways:
        policy = words[one.name]
        rules = rules_of(config, policy)
        before = remembered.get(one.name, Far(key=one.name))
        before = resumed(before, rules, plan_of(one, rules.revive_policy), now)
        sight = sights[one.name]
        done = step(before, rules, Probed(readings=sight.readings), now)
        seen = ", ".join(f"{name} {said}" for name, said in sight.words().items())
        would = _would(one, done, falls_back(config, policy), acts_at(done.far, rules) - now)
        state = shown(replace(before, verdict=done.far.verdict))
        yield f"{shown_name(one.name)}: {state} ({seen}); {would}"


def _would(one: Gateway, done: FarStep, unasked: bool, left: float) -> str:  # noqa: FBT001
    if done.orders:
        return _order(one, done.orders[0], unasked=unasked)
    escalated = [line for line in done.told if line.event == "gateway_escalated"]
    if escalated:
        return f"would leave it to people ({escalated[0].data['reason']})"
    waits = {
        FarPhase.AWAITING: "waits for a person's word",
        FarPhase.BACKOFF: "waits for its next attempt",
        FarPhase.REVIVING: "waits for the revive that was begun",
        FarPhase.ESCALATED: f"is left to people ({done.far.reason})",
    }
    if done.far.phase in waits:
        return waits[done.far.phase]
    if done.far.verdict is Verdict.DEAD:
        return f"nothing yet: it acts in {max(0.0, left):.0f} s if it stays dead"
    return "nothing to do"


def _order(one: Gateway, order: Order, *, unasked: bool) -> str:
    match order:
        case Ask():
            return "would ask people whether to revive it"
        case Spawn():
            why = f"though its policy is {RevivePolicy.ASK.value}, since no channel is configured, "
            command = one_line(shlex.join(one.revive_cmd), 200) or "nothing: revive_cmd is empty"
            return f"{why if unasked else ''}would run: {command}"
        case LookAt():
            return "would look again"
        case _:
            return "nothing to do"
