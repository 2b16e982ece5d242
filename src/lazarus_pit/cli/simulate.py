"""``lazarus simulate``: the supervisor against simulated faults, in virtual time."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from lazarus_pit.cli import say
from lazarus_pit.cli.place import HERE, Json, Place
from lazarus_pit.errors import UsageError
from lazarus_pit.sim.run import run_many, summarise

DAY = 86400.0


def simulate(
    *,
    seeds: Annotated[int, Parameter(help="How many worlds to live through.")] = 50,
    seed: Annotated[int | None, Parameter(help="Only this one: repeats a failure.")] = None,
    first: Annotated[int, Parameter(help="The first seed of many.")] = 1,
    days: Annotated[float, Parameter(help="Days of faults in each world.")] = 0.25,
    agents: Annotated[int, Parameter(help="Agents in each world.")] = 8,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Try the supervisor against simulated faults. With --config every agent lives by its rules."""
    for flag, value in (("--seeds", seeds), ("--days", days), ("--agents", agents)):
        if not 0 < value < 1e6:
            raise UsageError(
                f"{flag}: found {value:g}, expected more than 0 and less than a million"
            )
    config = place.settings() if place.config else None
    verdicts = run_many(
        first if seed is None else seed,
        seeds if seed is None else 1,
        days=days,
        agents=agents,
        rules=config.rules if config else None,
        fleet_rules=config.fleet if config else None,
    )
    summary = summarise(verdicts)
    if json:
        say.as_json(msgspec.to_builtins(summary))
        return 1 if summary.failures else 0
    for verdict in summary.failures:
        say.line(str(verdict))
    say.line(
        f"{say.count(summary.seeds, 'world')}, {summary.simulated / DAY:.1f} days, "
        f"{summary.happenings} happenings in {say.span(summary.took)} of processor time: "
        f"{say.count(len(summary.failures), 'promise')} broken"
    )
    for name, number in sorted(summary.counts.items()):
        say.line(f"  {name.replace('_', ' ')}: {number}")
    return 1 if summary.failures else 0
