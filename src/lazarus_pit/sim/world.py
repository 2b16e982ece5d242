"""One simulated machine: virtual time, programs, a disk, a daemon that dies, and people.

Everything that happens is an entry in one heap, so a seed tells the whole story, to the last bit.
``time`` never goes back; the daemon reads ``clock``, which begins anew with each boot.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from random import Random

from lazarus_pit.core.events import Beat, Exited, Fact, Told
from lazarus_pit.core.fleet import Turn
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
from lazarus_pit.sim.checks import Checks
from lazarus_pit.sim.disk import DaemonDied, Disk
from lazarus_pit.sim.faults import calm, draw
from lazarus_pit.sim.hands import Daemon
from lazarus_pit.sim.people import People
from lazarus_pit.sim.program import INTERVAL, MUTE, Mode, Program
from lazarus_pit.sim.trouble import Trouble

BOOT = 100.0
"""What the clock says when a daemon can first run after a boot."""


class World:
    """A machine with a fleet on it. ``run`` lives through the faults, then through the calm."""

    def __init__(self, seed: int, fleet_rules: FleetRules, rules: Mapping[Key, Rules]) -> None:
        """Lay out a world; nothing happens before ``run``."""
        self.rng = Random(seed)
        self.rates = draw(self.rng)
        self.fleet_rules = fleet_rules
        self.time: Instant = 0.0
        self.boot = 0
        self.boot_at: Instant = 0.0
        self.blind = False
        self.programs: dict[tuple[Key, int], Program] = {}
        self.checks = Checks(self)
        self.disk = Disk(self)
        self.disk_boot = 0
        self.people = People(self, rules)
        self.trouble = Trouble(self)
        self.daemon: Daemon | None = None
        self.happenings = 0
        self._heap: list[tuple[Instant, int, bool, Callable[[], None]]] = []
        self._order = 0
        self._pid = 1000

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
        for program in self.living():
            program.leaped = True
            if program.mode is not Mode.HELD:
                program.until += gap
                program.busy_until += gap if program.busy_until else 0.0

    def run(self, troubled: Seconds, quiet: Seconds) -> None:
        """Live: faults for ``troubled`` seconds, then calm; stop at the first broken promise."""
        self.start_daemon()
        self.people.begin()
        self.trouble.begin()
        self._until(troubled)
        self.rates = calm(self.rates)
        self.trouble.heal()
        self._until(self.time + quiet)
        if not self.checks.broken:
            self.checks.finished()

    def _until(self, end: Instant) -> None:
        while self._heap and self._heap[0][0] <= end and not self.checks.broken:
            when, _order, _pauses, call = heapq.heappop(self._heap)
            self.time = max(self.time, when)
            self.happenings += 1
            call()
        self.time = max(self.time, end)

    # ------------------------------------------------------------ the daemon

    def start_daemon(self) -> None:
        """Let a daemon begin on what the disk holds."""
        if self.daemon is None:
            self.blind = False
            for program in self.living():
                program.arrived = self.time
            self.daemon = Daemon(self)
            self.disk_boot = self.boot
            self.guarded(self.daemon.begin)

    def guarded(self, call: Callable[[], None]) -> None:
        """Run a piece of the daemon; if it dies in it, another begins a while later."""
        try:
            call()
        except DaemonDied:
            self.kill_daemon()

    def kill_daemon(self) -> None:
        """End the daemon as ``kill -9`` does, and let the next one begin a while later."""
        if self.daemon is None:
            return
        self.daemon = None
        self.checks.count("daemon crashes")
        self.checks.forgot(*self.disk.crash())
        down = self.rng.choice((0.1, 2.0, 2.0, 60.0, 400.0)) * self.rng.uniform(0.5, 1.5)
        self.after(down, self.start_daemon)

    def point(self, name: str) -> None:
        """Pass a point at which the daemon may die."""
        if self.rng.random() < self.rates["crash_point"]:
            self.checks.count(f"daemon crashes {name}")
            raise DaemonDied(name)

    def decided(self, turn: Turn) -> None:
        """See what a turn came to, before it is acted on; forget the traces of who was removed."""
        self.checks.decided(turn)
        for key, agent in turn.changed.items():
            if agent is None:
                gone = [trace for trace, p in self.programs.items() if trace[0] == key and p.gone]
                for trace in gone:
                    del self.programs[trace]
        for told in turn.told:
            self.people.read(told)

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
        self.checks.born(program)
        delay = rng.uniform(0.05, 2.0)
        if rng.random() < rates["slow_start"] and program.beats:
            delay = rng.uniform(0.2, 0.8) * rules.start_timeout
        if rng.random() < rates["never_ready"] and program.beats:
            program.mode = Mode.STUCK
        elif rng.random() < rates["dies_at_start"]:
            self.after(rng.uniform(0.01, delay), lambda: self.end(program, self._ending()))
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
            self.people.progressed(program)
        hours = INTERVAL / 3600.0
        if self.rng.random() < self.rates["crash"] * hours:
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

    def _read(self, daemon: Daemon, program: Program) -> None:
        """The daemon reads the file as it is now: what was overwritten is never seen."""
        if program.gone or self.daemon is not daemon:
            return
        program.delivered, program.arrived = program.beat, self.time
        fact = self.read_beat(program)
        daemon.offer(program.key, fact)
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
        self.checks.count("endings")
        fact = Exited(generation=program.generation, exit=ending, luck=self.rng.random())
        self.tell(program.key, fact, late=30.0)

    def wanted(self, key: Key) -> Desired | None:
        """Return what people want of an agent now; ``None``: it is not in the manifest."""
        want = self.people.manifest.get(key)
        return want.desired if want else None

    def told(self) -> list[Told]:
        """Return the journal as far as it is on disk."""
        return self.disk.journal
