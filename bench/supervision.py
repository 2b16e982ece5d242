"""Kill to replacement, mass death, idle cost and memory: the pit beside supervisord, runit and s6.

    python -m bench.supervision [--agents 100,1000] [--json FILE] ...

All supervisors stand side by side with as many agents each and are measured in turn, one kill of
each a round, so that whatever else the machine does falls on all of them. What only the pit does
(hang verdicts, re-attachment) follows from ``bench.supervision_own``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import agents, meters, supervision_own, tables
from bench.agents import Heard
from bench.supervision_peers import PEERS, Supervisor
from bench.supervision_pit import RULES, Pit, WalledPit

START_SECONDS = 180.0
KILL_SECONDS = 30.0
SETTLE_SECONDS = 1.6
"""Between two deaths of one agent: runit holds back what has not lived for a second."""

WORDS = {
    "kill_median_ms": "kill → replacement, median ms",
    "kill_p99_ms": "p99 ms",
    "mass_s": "all killed → last one back, s",
    "cpu_per_restart_ms": "CPU ms per restart",
    "idle_cpu_s_per_min": "idle CPU s/min",
    "pss_kib_per_agent": "PSS KiB per agent",
    "boot_s": "cold start of all, s",
}


@dataclass
class Samples:
    """What was measured of one supervisor."""

    boot: float = float("nan")
    kills: list[float] = field(default_factory=list)
    deaths: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    idle: float = float("nan")
    pss: float = float("nan")
    lost: int = 0
    """Replacements that did not come in time."""

    def figures(self, count: int) -> dict[str, float]:
        return {
            "kill_median_ms": meters.median(self.kills) * 1e3,
            "kill_p99_ms": meters.p99(self.kills) * 1e3,
            "mass_s": meters.median(self.deaths),
            "cpu_per_restart_ms": meters.median(self.cpu) / count * 1e3,
            "idle_cpu_s_per_min": self.idle,
            "pss_kib_per_agent": self.pss / count,
            "boot_s": self.boot,
            "kills": len(self.kills),
            "lost": self.lost,
        }


def boot(one: Supervisor, samples: Samples) -> None:
    """Set up and start one supervisor and wait for all of its agents."""
    one.prepare()
    began = time.monotonic()
    one.start()
    last = _all_begin(one, set(one.agents()), began, START_SECONDS)
    if last is None:
        tail = (one.directory / "output").read_text(errors="replace")[-2000:]
        raise SystemExit(f"{one.name}: only {len(one.ear.pids)} of {one.count} began\n{tail}")
    samples.boot = last


def _all_begin(one: Supervisor, missing: set[str], since: float, timeout: float) -> float | None:
    """Wait until each has begun; return the seconds from ``since`` to the last start."""
    latest = since

    def done(heard: Heard) -> bool:
        nonlocal latest
        if heard.word == "began" and heard.name in missing:
            missing.discard(heard.name)
            latest = max(latest, heard.seconds)
        return not missing

    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and one.runs():
        if one.ear.wait(done, min(1.0, timeout)):
            return latest - since
    return None


def kill_one(one: Supervisor, name: str, samples: Samples) -> None:
    """Kill one agent and wait for its replacement."""
    one.ear.hear(0.0)
    began = time.monotonic()
    os.kill(one.ear.pids[name], signal.SIGKILL)
    took = _all_begin(one, {name}, began, KILL_SECONDS)
    if took is None:
        samples.lost += 1
    else:
        samples.kills.append(took)


def kill_all(one: Supervisor, samples: Samples) -> None:
    """Kill every agent at once and wait for the last replacement."""
    one.ear.hear(0.0)
    pids = [one.ear.pids[name] for name in one.agents()]
    random.shuffle(pids)
    before = one.seconds()
    began = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    missing = set(one.agents())
    took = _all_begin(one, missing, began, START_SECONDS)
    if took is None:
        samples.lost += len(missing)
        return
    samples.deaths.append(took)
    time.sleep(0.5)  # What a supervisor still writes down belongs to the restart.
    samples.cpu.append(one.seconds() - before)


def measure(chosen: list[Supervisor], options: argparse.Namespace) -> dict[str, Samples]:
    """Boot all, then idle, memory, single kills and mass deaths, in turn."""
    samples = {one.name: Samples() for one in chosen}
    for one in chosen:
        _say(f"  {one.name}: starting {one.count} agents")
        boot(one, samples[one.name])
    time.sleep(SETTLE_SECONDS + 2.0)
    _say(f"  idle for {options.idle:g} s")
    before = {one.name: one.seconds() for one in chosen}
    began = time.monotonic()
    time.sleep(options.idle)
    for one in chosen:
        spent = one.seconds() - before[one.name]
        samples[one.name].idle = spent / (time.monotonic() - began) * 60
        samples[one.name].pss = meters.pss_kib(one.own())
    _say(f"  {options.kills} kills of each, in turn")
    for number in range(options.kills):
        for one in random.sample(chosen, len(chosen)):
            if number < one.rounds:
                kill_one(one, one.agents()[number * 7 % one.count], samples[one.name])
    for number in range(options.deaths):
        for one in random.sample(chosen, len(chosen)):
            if number == 0 or one.rounds > options.deaths:
                time.sleep(SETTLE_SECONDS)
                _say(f"  {one.name}: all {one.count} killed at once")
                kill_all(one, samples[one.name])
    return samples


def side_by_side(
    count: int, options: argparse.Namespace, program: agents.Program, directory: Path
) -> dict[str, dict[str, float]]:
    """Measure all supervisors at one size."""
    kinds: list[type[Supervisor]] = [Pit, *PEERS]
    if count <= options.walled:
        kinds.append(WalledPit)
    kinds = [kind for kind in kinds if not options.only or kind.name in options.only]
    if count > options.supervisord:
        kinds = [kind for kind in kinds if kind.name != "supervisord"]
    chosen = []
    for kind in kinds:
        if absent := kind.missing():
            _say(f"  {kind.name} is left out: no {', '.join(absent)} here")
        else:
            chosen.append(kind(directory / f"{kind.name}-{count}", program, count))
    try:
        samples = measure(chosen, options)
    finally:
        for one in chosen:
            one.stop()
    return {name: found.figures(count) for name, found in samples.items()}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--agents", default="100,1000", help="sizes, side by side")
    parser.add_argument("--kills", type=int, default=50, help="single kills of each")
    parser.add_argument("--deaths", type=int, default=3, help="mass deaths of each")
    parser.add_argument("--idle", type=float, default=15.0, help="seconds of each idle window")
    parser.add_argument(
        "--supervisord", type=int, default=100, help="the largest size it is run at"
    )
    parser.add_argument("--walled", type=int, default=100, help="the largest size in bubblewrap")
    parser.add_argument("--only", nargs="*", default=[], help="names of supervisors")
    parser.add_argument(
        "--own", default="1000", help="sizes of what only the pit does; '' for none"
    )
    parser.add_argument("--json", metavar="FILE", help="write everything there as JSON")
    return parser.parse_args()


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    options = _options()
    report: dict[str, Any] = {"machine": _machine(), "rules": RULES}
    with tempfile.TemporaryDirectory(prefix="lazarus-bench-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        program = agents.build(directory)
        report["agent"] = program.note
        report["side_by_side"] = {}
        for count in _sizes(options.agents):
            _say(f"{count} agents")
            found = side_by_side(count, options, program, directory)
            report["side_by_side"][str(count)] = found
        report["own"] = {
            str(count): supervision_own.measure(count, program, directory, _say)
            for count in _sizes(options.own)
        }
    tables.show(report, WORDS)
    if options.json:
        Path(options.json).write_text(json.dumps(report, indent=1) + "\n")


def _machine() -> dict[str, Any]:
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "user": "root" if os.geteuid() == 0 else "ordinary",
        "cpu_from": meters.source(),
    }


if __name__ == "__main__":
    main()
