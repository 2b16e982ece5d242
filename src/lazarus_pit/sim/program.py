"""The programs that simulated agents run: they work, wait, compute, hang, stall and die."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum, auto
from random import Random

from lazarus_pit.core.model import NEVER, Exit, Hold, HoldKind, Instant, Key, Life, Rules

INTERVAL = 12.0
"""Seconds between two signs of life of a program that works."""


class Mode(StrEnum):
    """What a program is truly doing, whatever the daemon believes."""

    BEGINNING = auto()  # Not ready yet, but it will be.
    STUCK = auto()  # Not ready, and it never will be.
    WORKING = auto()  # Beats, with progress.
    QUIET = auto()  # No beat, but output: it works.
    COMPUTING = auto()  # Neither beat nor output, but processor time.
    BUSY = auto()  # Nothing at all, as it announced.
    HELD = auto()  # Waits for quota, a login or a person, and said so.
    STALLED = auto()  # Beats, but gets nothing done.
    HUNG = auto()  # Nothing, and it will never do anything again.
    SPINNING = auto()  # Processor time for ever, nothing else.
    SIGSTOPPED = auto()  # Stands still on a stop signal from elsewhere.


LASTING = {
    "quiet": (Mode.QUIET, 60.0, 1200.0),
    "stall": (Mode.STALLED, 60.0, 2000.0),
    "hang": (Mode.HUNG, NEVER, NEVER),
    "spin": (Mode.SPINNING, NEVER, NEVER),
    "sigstop": (Mode.SIGSTOPPED, NEVER, NEVER),
}
"""Rate → what the program falls into, and between how many and how many seconds it lasts."""

MUTE = (Mode.HUNG, Mode.SPINNING, Mode.SIGSTOPPED, Mode.STUCK)
"""Modes that show no sign of life and never end by themselves."""


@dataclass(eq=False)
class Program:
    """One life of one agent, as it truly is."""

    key: Key
    generation: int
    life: Life
    rules: Rules
    born: Instant
    mode: Mode = Mode.BEGINNING
    until: Instant = NEVER
    since: Instant = 0.0
    cycle: int = 0
    beat: Instant = -1.0
    """When it last wrote its heartbeat file; negative: never."""
    delivered: Instant = -1.0
    """When the beat that the daemon saw last was written."""
    arrived: Instant = 0.0
    """When the daemon last saw a beat, or began to look."""
    progress: Instant = 0.0
    output: Instant = 0.0
    busy_until: Instant = 0.0
    hold: Hold | None = None
    frozen: bool = False
    dying: bool = False
    gone: bool = False
    exit: Exit | None = None
    leaped_at: Instant = -1e9
    """When the clock leaped last: limits that span that instant do not hold."""
    unwatched_until: Instant = 0.0
    deferred: list[Callable[[], None]] = field(default_factory=list)

    @property
    def beats(self) -> bool:
        """Whether this program writes heartbeats at all."""
        return self.rules.liveness == "heartbeat"

    def enter(self, mode: Mode, until: Instant, now: Instant) -> None:
        """Begin to do something else."""
        self.mode, self.until, self.since = mode, until, now

    @property
    def leaped(self) -> bool:
        """Whether the clock has leaped during this mode."""
        return self.leaped_at >= self.since

    def computes(self) -> bool:
        """Whether processor time is being used."""
        return self.mode in (Mode.QUIET, Mode.COMPUTING, Mode.SPINNING, Mode.WORKING)

    def act(self, rng: Random, rates: dict[str, float], now: Instant) -> bool:
        """Live for one interval; return whether a heartbeat was written.

        The world calls this every ``INTERVAL`` while the program is not frozen or gone.
        """
        if self.mode in MUTE:
            return False
        if now >= self.until:
            self.hold, self.busy_until = None, 0.0
            self.enter(Mode.WORKING, NEVER, now)
        elif self.mode is Mode.WORKING:
            self._drift(rng, rates, now)
        return SIGNS.get(self.mode, _nothing)(self, now) and self.beats

    def _drift(self, rng: Random, rates: dict[str, float], now: Instant) -> None:
        hours = INTERVAL / 3600.0
        if not self.beats:
            return
        for rate, (mode, least, most) in LASTING.items():
            if rng.random() < rates[rate] * hours:
                lasts = NEVER if most == NEVER else rng.uniform(least, most)
                self.enter(mode, now + lasts, now)
                return
        if rng.random() < rates["compute"] * hours:
            # Well below the limit: only what is forgiven must survive.
            limit = 0.8 * self.rules.compute_limit
            self.enter(Mode.COMPUTING, now + rng.uniform(30.0, limit), now)
        elif rng.random() < rates["busy"] * hours:
            self.enter(Mode.BUSY, now + rng.uniform(30.0, 1800.0), now)
            self.busy_until = self.until
            self.beat = now
        elif rng.random() < rates["hold"] * hours:
            kind = rng.choice(tuple(HoldKind))
            timed = kind is HoldKind.QUOTA_WAIT
            back = now + rng.uniform(60.0, 1500.0)
            self.enter(Mode.HELD, back if timed else now + rng.uniform(100.0, 5000.0), now)
            self.hold = Hold(kind=kind, until=back if timed else NEVER)
            self.beat = now


def _work(program: Program, now: Instant) -> bool:
    program.cycle += 1
    program.beat = program.progress = program.output = now
    return True


def _quiet(program: Program, now: Instant) -> bool:
    program.output = now
    return False


def _announced(program: Program, now: Instant) -> bool:
    return program.beat == now


def _stalled(program: Program, now: Instant) -> bool:
    program.beat = now
    return True


def _nothing(_program: Program, _now: Instant) -> bool:
    return False


SIGNS: dict[Mode, Callable[[Program, Instant], bool]] = {
    Mode.BEGINNING: _nothing,
    Mode.WORKING: _work,
    Mode.QUIET: _quiet,
    Mode.COMPUTING: _nothing,
    Mode.BUSY: _announced,
    Mode.HELD: _announced,
    Mode.STALLED: _stalled,
}
"""What a program shows in each mode; the mute ones show nothing."""
