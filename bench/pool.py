"""One sweep of the resurrection pool over many gateways, beside a loop that probes them in turn.

Usage: ``python -m bench.pool [--gateways N] [--timeout SECONDS] [--sweeps N]``. Of ten gateways one
is open, six refuse and three never answer (a listening socket whose backlog is full). The loop does
for each gateway what a plain script would: ``socket.create_connection``, one ``pgrep -f``, and its
heartbeat file read. Both have the same timeout, and both find the same.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lazarus_pit.core.far import Reading
from lazarus_pit.formats.pool_config import Gateway, PoolConfig
from lazarus_pit.pool.sweep import Prober

KINDS = ("open", *["refused"] * 6, *["blackholed"] * 3)
Answers = list[tuple[bool, bool, bool]]
"""Of each gateway: does it listen, is its process there, is its beat fresh."""


@contextmanager
def ports() -> Iterator[dict[str, int]]:
    """A port of each kind."""
    with ExitStack() as stack:
        taking, refusing, full = (stack.enter_context(socket.socket()) for _ in range(3))
        for one in (taking, refusing, full):
            one.bind(("127.0.0.1", 0))
        taking.listen(4096)
        full.listen(0)
        for _ in range(8):
            knocking = stack.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(full.getsockname())
        time.sleep(0.2)
        found = {"open": taking, "refused": refusing, "blackholed": full}
        yield {kind: one.getsockname()[1] for kind, one in found.items()}


def fleet(count: int, at: dict[str, int], place: Path) -> tuple[Gateway, ...]:
    """Gateways of all kinds, each with a pattern and a heartbeat file of its own."""
    found = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        path = place / f"{number}.json"
        if kind == "open":
            path.write_text(json.dumps({"timestamp": time.time()}))
        pattern = f"far-gateway-{os.getpid()}-{number}-[x]"
        one = Gateway(
            name=str(number),
            host="127.0.0.1",
            port=at[kind],
            heartbeat_path=str(path),
            process_pattern=pattern,
        )
        found.append(one)
    return tuple(found)


def in_turn(gateways: tuple[Gateway, ...], timeout: float, threshold: float) -> Answers:
    """Probe one after the other."""
    found: Answers = []
    for one in gateways:
        try:
            socket.create_connection((one.host, one.port), timeout).close()
            listens = True
        except OSError:
            listens = False
        there = subprocess.run(
            ["pgrep", "-f", one.process_pattern], stdout=subprocess.DEVNULL, check=False
        )
        try:
            beat = json.loads(Path(one.heartbeat_path).read_text())["timestamp"]
        except (OSError, ValueError, KeyError):
            beat = 0.0
        found.append((listens, there.returncode == 0, time.time() - beat <= threshold))
    return found


def at_once(config: PoolConfig) -> Answers:
    """One sweep of the pool."""

    async def look() -> Answers:
        sights = await Prober(config, os.environ).look(config.gateways)
        return [
            tuple(reading is Reading.PASSED for reading in sight.readings)  # type: ignore[misc]
            for sight in sights.values()
        ]

    return asyncio.run(look())


def timed(act: Callable[[], Answers]) -> tuple[float, float, Answers]:
    """Return wall and processor seconds, and what was found."""
    wall, used = time.monotonic(), sum(os.times()[:4])
    found = act()
    return time.monotonic() - wall, sum(os.times()[:4]) - used, found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--gateways", type=int, default=1000)
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds of each probe")
    parser.add_argument("--sweeps", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ports() as at:
        gateways = fleet(asked.gateways, at, Path(place))
        config = PoolConfig(gateways=gateways, probe_timeout=asked.timeout, dead_threshold=86_400.0)
        sweeps = [timed(lambda: at_once(config)) for _ in range(asked.sweeps)]
        slow, slow_used, expected = timed(
            lambda: in_turn(gateways, asked.timeout, config.dead_threshold)
        )
    if any(found != expected for _, _, found in sweeps):
        sys.exit("the pool and the loop do not see the same")
    quick = statistics.median(wall for wall, _, _ in sweeps)
    used = statistics.median(cpu for _, cpu, _ in sweeps)
    print(f"{asked.gateways} gateways, timeout {asked.timeout:g} s, {asked.sweeps} sweeps")
    print(f"pool, median   {quick:8.2f} s, processor {used:6.2f} s")
    print(f"pool, slowest  {max(wall for wall, _, _ in sweeps):8.2f} s")
    print(f"one by one     {slow:8.2f} s, processor {slow_used:6.2f} s")
    print(f"ratio          {slow / quick:8.0f}")


if __name__ == "__main__":
    main()
