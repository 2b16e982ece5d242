"""The machine below a simulated fleet: virtual time, programs, and facts on their way.

Everything that happens is an entry in one heap, so a seed tells the whole story, to the last bit.
``time`` never goes back; the daemon reads ``clock``, which begins anew with each boot.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from random import Random
from typing import Protocol

from lazarus_pit.core.events import Beat, Enlisted, Exited, Fact, Progressed, Spent, ToolUsed
from lazarus_pit.core.model import (
    NEVER,
    Desired,
    Exit,
    FleetRules,
    Hold,
    Instant,
    Key,
    Life,
    Rules,
    Seconds,
)
from lazarus_pit.daemon.loop import Loop
from lazarus_pit.sim.disk import DaemonDied, Disk
from lazarus_pit.sim.faults import draw
from lazarus_pit.sim.program import INTERVAL, MUTE, Mode, Program

BOOT = 100.0
"""What the clock says when a daemon can first run after a boot."""

UPTIME = 1e6
"""How long the machine has been up when its story begins: longer than any story goes on."""


class Listener(Protocol):
    """A daemon, as those see it who bring it facts."""

    loop: Loop
    began: Instant
    stalled_until: Instant

    def offer(self, key: Key, fact: Fact) -> None:
        """Put a fact into the inbox."""

    def haunt(self, key: Key, fact: Fact) -> None:
        """Remember a fact, and now and then repeat one of a life long gone."""

    def rung(self) -> None:
        """Hear the bell: somebody has answered."""


class Machine:
    """Time, programs, the disk, the manifest, and the first broken promise."""

    disk: Disk

    def __init__(self, seed: int, fleet_rules: FleetRules, rules: Mapping[Key, Rules]) -> None:
        """Lay out a machine on which nothing runs yet."""
        self.rng = Random(seed)
        self.rates = draw(self.rng)
        self.fleet_rules = fleet_rules
        self.rules = rules
        self.manifest: dict[Key, Enlisted] = {}
        self.touched: dict[Key, Instant] = {}
        """When people last wanted an agent's life to end."""
        self.time: Instant = 0.0
        self.boot = 0
        self.boot_at: Instant = -UPTIME
        self.blind = False
        self.leaped_at: Instant = -1.0
        """When the clock last leaped."""
        self.programs: dict[tuple[Key, int], Program] = {}
        self.daemon: Listener | None = None
        self.murky: set[Key] = set()
        """Agents that were removed while the disk was full: who remembers them is open."""
        self.broken = ""
        self.counts: Counter[str] = Counter()
        self.happenings = 0
        self._heap: list[tuple[Instant, int, bool, Callable[[], None]]] = []
        self._order = 0
        self._pid = 1000

    def fail(self, promise: str) -> None:
        """Note the first broken promise; the world stops there."""
        if not self.broken:
            self.broken = f"after {self.time:.3f} s: {promise}"

    def count(self, what: str) -> None:
        """Count a happening, for the summary."""
        self.counts[what] += 1

    # ------------------------------------------------------------ time

    @property
    def clock(self) -> Instant:
        """What the daemon's monotonic clock says."""
        return self.time - self.boot_at + BOOT

    def after(self, delay: Seconds, call: Callable[[], None], *, pauses: bool = True) -> None:
        """Let something happen later. What ``pauses`` stands still while the clock leaps."""
        self._order += 1
        heapq.heappush(self._heap, (self.time + delay, self._order, pauses, call))

    def leap(self, gap: Seconds) -> None:
        """Let the clock leap while everything but the daemon's deadlines stands still."""
        self._heap = [
            (when + gap if pauses else when, order, pauses, call)
            for when, order, pauses, call in self._heap
        ]
        heapq.heapify(self._heap)
        self.time += gap
        self.leaped_at = self.time
        for program in self.living():
            program.leaped_at = self.time
            if program.mode is not Mode.HELD:
                program.until += gap
                program.busy_until += gap if program.busy_until else 0.0

    def live_until(self, end: Instant) -> None:
        """Let happen what is due until ``end``, or until a promise is broken."""
        while self._heap and self._heap[0][0] <= end and not self.broken:
            when, _order, _pauses, call = heapq.heappop(self._heap)
            self.time = max(self.time, when)
            self.happenings += 1
            call()
        self.time = max(self.time, end)

    def point(self, name: str) -> None:
        """Pass a point at which the daemon may die."""
        if self.rng.random() < self.rates["crash_point"]:
            self.count(f"daemon crashes {name}")
            raise DaemonDied(name)

    # ------------------------------------------------------------ facts

    def tell(self, key: Key, fact: Fact, *, late: Seconds = 20.0) -> None:
        """Bring a fact to the daemon that runs now: at once, late, twice, or among ghosts."""
        daemon, rng, rates = self.daemon, self.rng, self.rates
        if daemon is None:
            return
        delay = rng.uniform(0.1, late) if rng.random() < rates["late"] else rng.uniform(0, 0.02)
        self.after(delay, lambda: daemon.offer(key, fact))
        if rng.random() < rates["twice"]:
            self.after(delay + rng.uniform(0, 5), lambda: daemon.offer(key, fact))
        daemon.haunt(key, fact)

    def wanted(self, key: Key) -> Desired | None:
        """Return what people want of an agent now; ``None``: it is not in the manifest."""
        want = self.manifest.get(key)
        return want.desired if want else None

    # ------------------------------------------------------------ programs

    def living(self) -> list[Program]:
        """Return every program of which something is left."""
        return [program for program in self.programs.values() if not program.gone]

    def beget(self, key: Key, generation: int, rules: Rules) -> Program:
        """Start a program: from now on it lives, whatever becomes of the daemon."""
        rng, rates = self.rng, self.rates
        self._pid += 1
        life = Life(boot_id=f"boot-{self.boot}", pid=self._pid, start_time=int(self.time * 100))
        program = Program(
            key=key, generation=generation, life=life, rules=rules, born=self.time, since=self.time
        )
        self.programs[key, generation] = program
        program.arrived = self.time
        program.output = program.progress = self.time
        for other in self.living():
            if other.key == key and other is not program:
                self.fail(f"{key}: life {generation} begins while life {other.generation} lives")
        self.count("lives")
        delay = rng.uniform(0.05, 2.0)
        if rng.random() < rates["slow_start"] and program.beats:
            delay = rng.uniform(0.2, 0.8) * rules.start_timeout
        if rng.random() < rates["never_ready"] and program.beats:
            program.mode = Mode.STUCK
        elif rng.random() < rates["dies_at_start"]:
            self.after(rng.uniform(0.01, delay), lambda: self.end(program, self._ending()))
        if rng.random() < rates["unwatched_start"]:
            program.unwatched_until = self.time + 1.5 * rules.start_timeout
        self.after(delay, lambda: self._live(program))
        return program

    def _live(self, program: Program) -> None:
        """One interval of a program's life."""
        if program.gone or program.dying:
            return
        if program.frozen:
            program.deferred.append(lambda: self._live(program))
            return
        if program.mode is Mode.BEGINNING:
            program.enter(Mode.WORKING, NEVER, self.time)
        if program.act(self.rng, self.rates, self.time):
            self.deliver(program)
        elif program.mode is Mode.QUIET and self.rng.random() < 0.2:
            fact = Progressed(generation=program.generation, source="output")
            self.tell(program.key, fact)
        hours = INTERVAL / 3600.0
        leaves = program.mode is Mode.HELD and self.rng.random() < self.rates["leaves_held"]
        if leaves or self.rng.random() < self.rates["crash"] * hours:
            self.end(program, self._ending())
        elif self.rng.random() < self.rates["finish"] * hours:
            self.end(program, Exit(code=0))
        elif self.rng.random() < self.rates["lost_watch"] * hours:
            program.unwatched_until = self.time + self.rng.uniform(30, 2000)
        if program.mode not in MUTE:
            self.after(INTERVAL * self.rng.uniform(0.8, 1.2), lambda: self._live(program))

    def deliver(self, program: Program, *, anyway: bool = False) -> None:
        """Show a program's heartbeat file to the daemon, if anybody watches it."""
        if program.beat < 0 or self.daemon is None:
            return
        if not anyway and (self.blind or self.time < program.unwatched_until):
            return
        daemon, rng, rates = self.daemon, self.rng, self.rates
        if anyway:
            self._read(daemon, program)
            return
        late = rng.uniform(0.1, 20.0) if rng.random() < rates["late"] else rng.uniform(0.0, 0.02)
        self.after(late, lambda: self._read(daemon, program))
        if rng.random() < rates["twice"]:
            self.after(late + rng.uniform(0.0, 5.0), lambda: self._read(daemon, program))

    def _read(self, daemon: Listener, program: Program) -> None:
        """The daemon reads the file as it is now: what was overwritten is never seen."""
        if program.gone or self.daemon is not daemon:
            return
        program.delivered, program.arrived = program.beat, self.time
        fact = self.read_beat(program)
        daemon.offer(program.key, fact)
        if program.rules.budget_turns or program.rules.loop_repeats:
            generation, cycle = program.generation, program.cycle
            daemon.offer(program.key, Spent(generation=generation, turns=cycle))
            daemon.offer(program.key, ToolUsed(generation=generation, repeats=1 + cycle % 25))
        daemon.haunt(program.key, fact)

    def read_beat(self, program: Program) -> Beat:
        """Read a heartbeat file, instants turned into the daemon's own."""
        hold = program.hold
        if hold is not None and hold.until != NEVER:
            hold = Hold(kind=hold.kind, until=self.clock + hold.until - self.time)
        says_generation = program.life.pid % 4 != 0
        return Beat(
            generation=program.generation if says_generation else None,
            cycle=program.cycle,
            hold=hold,
            busy_for=max(0.0, program.busy_until - self.time),
        )

    def _ending(self) -> Exit:
        rng = self.rng
        if rng.random() < self.rates["config_exit"]:
            return Exit(code=78)
        if rng.random() < self.rates["clean_exit"]:
            return Exit(code=0)
        return rng.choice((Exit(code=1), Exit(signal=9), Exit(signal=11)))

    def end(self, program: Program, ending: Exit) -> None:
        """End a program's main process; the rest of it may linger."""
        if program.gone or program.dying:
            return
        program.dying = True
        lingers = self.rng.random() < self.rates["lingers"]
        if lingers:
            self.after(self.rng.uniform(0.1, 20), lambda: self.vanish(program, ending))
        else:
            self.vanish(program, ending)

    def vanish(self, program: Program, ending: Exit) -> None:
        """Nothing of this life is left: the one instant from which the next may begin."""
        if program.gone:
            return
        program.gone, program.exit = True, ending
        self.count("endings")
        fact = Exited(generation=program.generation, exit=ending, luck=self.rng.random())
        self.tell(program.key, fact, late=30.0)
