"""The Nexus gateway beside plain hubs: fan-out, latency, processor time, memory, a stalled reader.

    python -m bench.gateway [--seconds 3] [--runs 3] [--subscribers 10,100,1000] [--realtime]

The hub has one core and the clients have another. All hubs take their turn in every run, so that
whatever else the machine does falls on all of them; figures are medians over the runs. uvicorn with
Starlette is measured where it is installed, npm ``ws`` where ``NODE_PATH`` leads to it:

    npm install --prefix /tmp/peers ws; NODE_PATH=/tmp/peers/node_modules python -m bench.gateway

Where other work shares the cores, trust the processor time for each message more than the rate.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from bench import gateway_load as load
from bench.gateway_rivals import commands

OURS = "nexus-gateway"
RATES = {10: 200.0, 100: 50.0, 1000: 10.0}
"""Messages a second at which latency is measured, by the number of subscribers."""
CORES = sorted(os.sched_getaffinity(0))
IDLE_CLIENTS = 1000
START_SECONDS = 20.0

Figures = dict[str, float]
"""Name of a figure to its value, in the unit that the name says."""


@contextmanager
def hub(name: str, *, realtime: bool) -> Iterator[tuple[int, int]]:
    """Run a hub on the first core; give its port and pid."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        commands(port)[name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        place(process.pid, CORES[0], realtime=realtime)
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                load.enter(port).close()
                break
            except OSError:
                if time.monotonic() > end or process.poll() is not None:
                    raise
                time.sleep(0.05)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def place(pid: int, core: int, *, realtime: bool) -> None:
    """Give a process a core of its own where there are two, and let nobody else on it if asked."""
    if len(CORES) > 1:
        os.sched_setaffinity(pid, {core})
    if realtime:
        os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))


def measure(name: str, sizes: list[int], seconds: float, *, realtime: bool) -> Figures:
    """Measure one hub once in everything."""
    found: Figures = {}
    for size in sizes:
        with hub(name, realtime=realtime) as (port, pid):
            crowd = load.Crowd(port, size)
            fan = load.fanout(crowd, pid, seconds)
            found[f"{size}: delivered/s"] = fan.delivered_per_second
            found[f"{size}: CPU us each"] = fan.cpu_us
            crowd.close()
        with hub(name, realtime=realtime) as (port, pid):
            crowd = load.Crowd(port, size)
            slow = load.lag(crowd, pid, RATES.get(size, 10.0), seconds)
            found[f"{size}: paced p50 ms"] = slow.p50_ms
            found[f"{size}: paced p99 ms"] = slow.p99_ms
            found[f"{size}: paced CPU us each"] = slow.cpu_us
            crowd.close()
    with hub(name, realtime=realtime) as (port, pid):
        load.Crowd(port, 10).close()
        before = load.resident(pid)
        crowd = load.Crowd(port, IDLE_CLIENTS)
        found["KiB per connection"] = (load.resident(pid) - before) / IDLE_CLIENTS / 1024
        crowd.close()
    with hub(name, realtime=realtime) as (port, pid):
        stalled = load.stall(port, pid, max(8.0, 2 * seconds))
        found["stalled reader: others' worst second %"] = 100 * stalled.worst_second
        found["stalled reader: grown MiB"] = stalled.grown_mib
        found["stalled reader: then MiB/s"] = stalled.slope_mib_per_second
    return found


def show(report: dict[str, Figures]) -> None:
    """Print the figures of all hubs, and ours as multiples of theirs."""
    names = list(report)
    width = max(len(key) for key in report[OURS])
    print(f"{'':{width}}" + "".join(f"{name:>22}" for name in names))
    for key in report[OURS]:
        print(f"{key:{width}}" + "".join(f"{report[name][key]:>22,.2f}" for name in names))
    print(f"\n{OURS} as a multiple of:")
    for key in report[OURS]:
        if key.startswith("stalled"):
            continue
        ratios = [report[OURS][key] / report[name][key] for name in names]
        print(f"{key:{width}}" + "".join(f"{ratio:>22.2f}" for ratio in ratios))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--seconds", type=float, default=3.0)
    options.add_argument("--runs", type=int, default=3)
    options.add_argument("--subscribers", default="10,100,1000")
    options.add_argument("--realtime", action="store_true", help="needs root; others must wait")
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    sizes = [int(size) for size in asked.subscribers.split(",")]
    names = list(commands(0))
    runs: dict[str, list[Figures]] = {name: [] for name in names}
    place(0, CORES[-1], realtime=asked.realtime)
    for run in range(asked.runs):
        for name in names:
            print(f"run {run + 1} of {asked.runs}: {name}", file=sys.stderr)
            runs[name].append(measure(name, sizes, asked.seconds, realtime=asked.realtime))
    report = {
        name: {key: median(one[key] for one in all_runs) for key in all_runs[0]}
        for name, all_runs in runs.items()
    }
    machine = f"{platform.release()}, Python {platform.python_version()}, {len(CORES)} cores"
    if "npm ws" not in names:
        print("without npm ws: `npm install --prefix DIR ws`, then NODE_PATH=DIR/node_modules")
    print(f"{machine}; 1 KiB text messages, {load.IN_FLIGHT} in flight\n")
    show(report)
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine, "figures": report, "runs": runs}))


if __name__ == "__main__":
    main()
