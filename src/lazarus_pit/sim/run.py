"""Seed → verdict. A failure comes with the line that repeats it."""

from __future__ import annotations

import os
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from functools import partial
from random import Random

from msgspec import Struct, field
from msgspec.structs import replace

from lazarus_pit.core.model import FleetRules, RevivePolicy, Rules, Seconds
from lazarus_pit.sim.faults import draw_fleet_rules, draw_rules
from lazarus_pit.sim.world import World

HOUR = 3600.0
MANY_ASK = 0.2
"""In so many worlds people are asked about everybody who dies, so that many are told at once."""
CALM_LEAST = 4000.0
"""Seconds of calm after which even the longest of the drawn waits must be over."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What one seed came to."""

    seed: int
    days: float
    agents: int
    failure: str = ""
    """The first broken promise; empty if all were kept."""
    trace: int = 0
    """Checksum of the journal: the same seed must always give the same."""
    happenings: int = 0
    simulated: Seconds = 0.0
    took: Seconds = 0.0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether every promise was kept."""
        return not self.failure

    @property
    def repeat(self) -> str:
        """Return the command that repeats it."""
        return f"lazarus simulate --seed {self.seed} --days {self.days:g} --agents {self.agents}"

    def __str__(self) -> str:
        """Say in a line what happened; a failure with the command that repeats it."""
        if self.ok:
            return f"seed {self.seed}: every promise kept in {self.happenings} happenings"
        return f"seed {self.seed}: {self.failure}\n  repeat: {self.repeat}"


class Summary(Struct, kw_only=True):
    """What many seeds came to."""

    seeds: int = 0
    failures: list[Verdict] = field(default_factory=list)
    happenings: int = 0
    simulated: Seconds = 0.0
    took: Seconds = 0.0
    """Processor seconds, over all workers."""
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, verdict: Verdict) -> None:
        """Take one verdict in."""
        self.seeds += 1
        self.happenings += verdict.happenings
        self.simulated += verdict.simulated
        self.took += verdict.took
        self.counts.update(verdict.counts)
        if not verdict.ok:
            self.failures.append(verdict)


def simulate(
    seed: int,
    *,
    days: float = 0.25,
    agents: int = 8,
    rules: Rules | None = None,
    fleet_rules: FleetRules | None = None,
) -> Verdict:
    """Live through one seed's world and judge it.

    Args:
        seed: tells the whole story.
        days: how long faults go on; a calm follows, in which all must come to rest.
        agents: how many agents there are.
        rules: the rules of every agent; by default each draws its own.
        fleet_rules: the rules of the fleet; by default they are drawn.
    """
    began = time.process_time()
    rng = Random(f"rules {seed}")
    keys = [f"cell-{number // 3}/agent-{number}" for number in range(agents)]
    drawn = {key: rules or draw_rules(rng) for key in keys}
    if rules is None and rng.random() < MANY_ASK:
        ask = {"revive_policy": RevivePolicy.ASK, "approval_timeout": 300.0}
        drawn = {key: replace(one, **ask) for key, one in drawn.items()}
    world = World(seed, fleet_rules or draw_fleet_rules(rng), drawn)
    failure = ""
    try:
        with closing(world.requests):
            world.run(days * 24 * HOUR, _calm(drawn.values()))
    except Exception:  # noqa: BLE001  Whatever the core raises is its failure, not ours.
        last = traceback.format_exc().strip().splitlines()
        failure = f"after {world.time:.3f} s: raised {last[-1]} ({last[-3].strip()})"
    return Verdict(
        seed=seed,
        days=days,
        agents=agents,
        failure=world.broken or failure,
        trace=zlib.crc32(repr(world.disk.journal).encode()),
        happenings=world.happenings,
        simulated=world.time,
        took=time.process_time() - began,
        counts=dict(world.counts),
    )


def _calm(rules: Iterable[Rules]) -> Seconds:
    """How long it must be calm before nothing may be left to wait for."""
    longest = max(
        rule.resurrect_after
        + rule.compute_limit
        + rule.approval_timeout
        + (rule.start_timeout + rule.backoff_max) * (1 + rule.max_revive_attempts)
        for rule in rules
    )
    return CALM_LEAST + 2.0 * longest


def run_many(  # noqa: PLR0913  The flags of one command.
    first_seed: int,
    count: int,
    *,
    days: float = 0.25,
    agents: int = 8,
    rules: Rules | None = None,
    fleet_rules: FleetRules | None = None,
    workers: int | None = None,
) -> Iterator[Verdict]:
    """Yield the verdicts of ``count`` seeds from ``first_seed`` on, in order, as they come.

    ``workers`` processes share the work; by default as many as this process may use processors.
    """
    one = partial(simulate, days=days, agents=agents, rules=rules, fleet_rules=fleet_rules)
    seeds = range(first_seed, first_seed + count)
    workers = workers or len(os.sched_getaffinity(0))
    if workers == 1 or count == 1:
        yield from map(one, seeds)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(one, seeds, chunksize=max(1, min(16, count // (4 * workers))))


def summarise(verdicts: Iterable[Verdict]) -> Summary:
    """Add verdicts up."""
    summary = Summary()
    for verdict in verdicts:
        summary.add(verdict)
    return summary
