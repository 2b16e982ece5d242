"""One look at many gateways: all probes of all of them at once, each with its own deadline."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple

from lazarus_pit.core.far import Reading
from lazarus_pit.formats.pool_config import Gateway, PoolConfig
from lazarus_pit.formats.text import one_line
from lazarus_pit.probes import command, heartbeat, process, tcp
from lazarus_pit.probes.crew import Crew
from lazarus_pit.probes.seen import Seen, passed, unknown

if TYPE_CHECKING:
    from lazarus_pit.probes.http import Pages

SPARE_DESCRIPTORS = 200
"""What is left to everything but connections."""
MOST_COMMANDS = 16
"""Probe programs at once."""


class Sight(NamedTuple):
    """What all probes of one gateway saw, and when (Unix seconds)."""

    seen: Mapping[str, Seen]
    at: float

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What they say, in the order of the probes."""
        return tuple(one.reading for one in self.seen.values())

    @property
    def heartbeat_age(self) -> float | None:
        """Seconds since the last beat, where there was one that could be read."""
        return self.seen["heartbeat"].age

    def words(self) -> dict[str, str]:
        """Say each probe's result for people."""
        return {
            name: f"{one.reading.value}{': ' if one.note else ''}{one_line(one.note, 120)}"
            for name, one in self.seen.items()
        }


class Prober:
    """Looks at gateways, any number at once."""

    def __init__(self, config: PoolConfig, environ: Mapping[str, str]) -> None:
        """Make room for as many connections as there are gateways, as far as the system lets us."""
        self._config = config
        self._environ = environ
        self.crew = Crew()
        """Threads for whatever blocks."""
        self._seats = asyncio.Semaphore(_descriptors(len(config.gateways)))
        self._commands = asyncio.Semaphore(MOST_COMMANDS)

    async def look(self, gateways: Sequence[Gateway]) -> dict[str, Sight]:
        """Return what is to be seen of each, by its name."""
        names = tcp.Names(self.crew, self._config.probe_timeout)
        patterns = asyncio.create_task(self._processes(gateways))
        async with AsyncExitStack() as stack:
            stack.callback(names.close)
            stack.callback(patterns.cancel)
            pages = None
            if any(one.health_url for one in gateways):
                # An HTTP client takes longer to import than all else; most pools need none.
                from lazarus_pit.probes.http import Pages  # noqa: PLC0415

                pages = await stack.enter_async_context(Pages())
            sights = await asyncio.gather(
                *(self._look(one, names, patterns, pages) for one in gateways)
            )
        return {one.name: sight for one, sight in zip(gateways, sights, strict=True)}

    async def _look(
        self,
        one: Gateway,
        names: tcp.Names,
        patterns: asyncio.Task[dict[str, Seen]],
        pages: Pages | None,
    ) -> Sight:
        waits: dict[str, Awaitable[Seen]] = {
            "tcp": self._connect(one, names),
            "process": self._process(one, patterns),
            "heartbeat": self._beat(one),
        }
        if one.health_url and pages is not None:
            waits["http"] = pages.probe(one.health_url, self._config.probe_timeout)
        if one.probe_cmd:
            waits["command"] = self._run(one)
        seen = await asyncio.gather(*(_own_fault_is_unknown(wait) for wait in waits.values()))
        return Sight(dict(zip(waits, seen, strict=True)), time.time())

    async def _connect(self, one: Gateway, names: tcp.Names) -> Seen:
        async with self._seats:
            return await tcp.probe(one.host, one.port, names, self._config.probe_timeout)

    async def _process(self, one: Gateway, patterns: asyncio.Task[dict[str, Seen]]) -> Seen:
        return (await asyncio.shield(patterns))[one.process_pattern]

    async def _processes(self, gateways: Sequence[Gateway]) -> dict[str, Seen]:
        """Where it cannot be checked the probe passes (contract 3.4)."""
        wanted = {one.process_pattern for one in gateways}
        seconds = max(1.0, self._config.probe_timeout)
        try:
            return await self.crew.call(lambda: process.probe(wanted, seconds), seconds + 1.0)
        except (OSError, TimeoutError) as error:
            said = passed(f"cannot be checked: {error or 'not in time'}")
            return dict.fromkeys(wanted, said)

    async def _beat(self, one: Gateway) -> Seen:
        threshold = self._config.dead_threshold
        try:
            return await self.crew.call(
                lambda: heartbeat.probe(one.heartbeat_path, time.time(), threshold),
                self._config.probe_timeout,
            )
        except TimeoutError:
            return unknown("not read in time")

    async def _run(self, one: Gateway) -> Seen:
        async with self._commands:
            return await command.probe(one.probe_cmd, self._environ, self._config.probe_timeout)


async def _own_fault_is_unknown(wait: Awaitable[Seen]) -> Seen:
    try:
        return await wait
    except Exception as error:  # noqa: BLE001 - a fault of ours must not look like their death
        return unknown(f"the probe failed: {type(error).__name__}: {error}")


def _descriptors(gateways: int) -> int:
    """Allow ourselves what a sweep needs, and return how many connections there may be at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = gateways + SPARE_DESCRIPTORS
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(8, min(gateways or 1, soft - SPARE_DESCRIPTORS))
