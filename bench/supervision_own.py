"""What only the pit does: verdicts on agents that hang, and taking agents over after a crash.

The peers have nothing to set beside it: they look at processes, not at work, so a hung agent is
never replaced; and supervisord, killed and started again, runs every agent a second time.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from bench import meters
from bench.agents import Heard, Program
from bench.supervision_pit import RULES, Pit

BEAT_SECONDS = 10.0
SILENCE_SECONDS = 25.0
HANGS = 100
START_SECONDS = 600.0
IDLE_SECONDS = 20.0
RESTARTS = 3

Figures = dict[str, float | int | str]


class Quiet(Pit):
    """Silent agents, in larger cells, so that a large fleet is set up sooner."""

    name = "lazarus-quiet"
    cell_size = 100


class Beating(Quiet):
    """Agents that beat, and are condemned when they do not."""

    name = "lazarus-beating"
    rules: ClassVar[dict[str, Any]] = {
        **RULES,
        "liveness": "heartbeat",
        "resurrect_after": SILENCE_SECONDS,
        "heartbeat_stale_threshold": SILENCE_SECONDS - 5.0,
        "start_timeout": START_SECONDS,
    }

    def argv(self, name: str) -> tuple[str, ...]:
        return (*super().argv(name), f"{BEAT_SECONDS:g}")


def measure(count: int, program: Program, directory: Path, say: Callable[[str], None]) -> Figures:
    """All of it at one size."""
    say(f"{count} silent agents: idle, crash of the daemon")
    figures = _alone(Quiet(directory / f"quiet-{count}", program, count), _quiet)
    if program.beats:
        say(f"{count} beating agents: {_hangs(count)} of them hang")
        figures |= _alone(Beating(directory / f"beating-{count}", program, count), _beating)
    return figures


def _alone(pit: Pit, measured: Callable[[Pit], Figures]) -> Figures:
    pit.prepare()
    try:
        pit.start()
        missing = set(pit.agents())

        def begun(heard: Heard) -> bool:
            missing.discard(heard.name)
            return not missing

        if not pit.ear.wait(begun, START_SECONDS):
            raise SystemExit(f"{len(missing)} of {pit.count} agents did not begin")
        return measured(pit)
    finally:
        pit.stop()


def _quiet(pit: Pit) -> Figures:
    time.sleep(3.0)
    spent = -meters.on_cpu_seconds([pit.root])
    time.sleep(IDLE_SECONDS)
    spent += meters.on_cpu_seconds([pit.root])
    figures: Figures = {
        "silent agents: CPU of the daemon, s/min": spent * 60 / IDLE_SECONDS,
        "memory of the daemon, PSS MiB": meters.pss_kib([pit.root]) / 1024,
    }
    return figures | _crashes(pit)


def _crashes(pit: Pit) -> Figures:
    """Kill the daemon and start it again; compare with the start of one that has nothing to do."""
    taken = []
    for _ in range(RESTARTS):
        pit.crash()
        taken.append(_seconds_until_ready(pit))
        time.sleep(1.0)
    before = pit.ear.starts
    empty = Quiet(pit.directory / "empty", pit.agent, 0)
    empty.prepare()
    try:
        bare = []
        for number in range(RESTARTS):
            if number:
                empty.crash()
            bare.append(_seconds_until_ready(empty))
    finally:
        empty.stop()
    pit.ear.hear(0.0)
    doubles = pit.ear.starts - pit.count
    replaced = sum(_replaced(pit, name) for name in random.sample(pit.agents(), 5))
    assert before == pit.count + doubles
    return {
        "kill -9 and start of the daemon until ready, ms": meters.median(taken) * 1e3,
        "the same on an empty root, ms": meters.median(bare) * 1e3,
        "so taking over all agents, ms": (meters.median(taken) - meters.median(bare)) * 1e3,
        "agents started twice": doubles,
        "killed afterwards and replaced": f"{replaced} of 5",
    }


def _seconds_until_ready(pit: Pit) -> float:
    """Start the daemon as a service manager would, and wait until it says that it is ready."""
    place = pit.directory / "ready"
    place.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(place))
        ear.settimeout(60)
        pit.env["NOTIFY_SOCKET"] = str(place)
        began = time.monotonic()
        pit.start()
        while b"READY=1" not in ear.recv(4096):
            pass
        return time.monotonic() - began


def _replaced(pit: Pit, name: str) -> bool:
    os.kill(pit.ear.pids[name], signal.SIGKILL)
    return pit.ear.wait(lambda heard: heard.name == name, 10.0)


def _hangs(count: int) -> int:
    return min(HANGS, max(1, count // 10))


def _beating(pit: Pit) -> Figures:
    """Let some agents hang, one after another, and see when each is told to end."""
    time.sleep(BEAT_SECONDS + 2.0)
    spent = -meters.on_cpu_seconds([pit.root])
    time.sleep(IDLE_SECONDS)
    spent += meters.on_cpu_seconds([pit.root])
    chosen = random.sample(pit.agents(), _hangs(pit.count))
    last: dict[str, float] = {}
    told: dict[str, float] = {}
    wrong: set[str] = set()

    def judged(heard: Heard) -> bool:
        if heard.word == "beat":
            last[heard.name] = heard.seconds
        elif heard.name not in chosen:
            wrong.add(heard.name)
        elif heard.word == "told":
            told[heard.name] = heard.seconds
        return len(told) == len(chosen)

    for name in chosen:
        os.kill(pit.ear.pids[name], signal.SIGUSR1)
        pit.ear.wait(judged, BEAT_SECONDS / len(chosen))
    pit.ear.wait(judged, SILENCE_SECONDS + BEAT_SECONDS + 10.0)
    pit.ear.wait(lambda heard: judged(heard) and False, SILENCE_SECONDS)
    late = [told[name] - last[name] - SILENCE_SECONDS for name in told]
    return {
        f"beats every {BEAT_SECONDS:g} s: CPU of the daemon, s/min": spent * 60 / IDLE_SECONDS,
        "hung agents found": f"{len(told)} of {len(chosen)}",
        "verdict late by, median ms": meters.median(late) * 1e3,
        "verdict late by, at most ms": max(late, default=float("nan")) * 1e3,
        "verdict early by, at most ms": -min(0.0, *late, 0.0) * 1e3,
        "others condemned or restarted": len(wrong),
    }
