"""Trouble of the whole machine: dead daemons, reboots, full disks, and eyes that are shut."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lazarus_pit.core import health
from lazarus_pit.core.agent import is_judged, may_live
from lazarus_pit.core.events import ObserverBlinded, ObserverDoubted, ObserverSaw
from lazarus_pit.core.model import Exit, Instant, Seconds
from lazarus_pit.daemon.loop import OBSERVER
from lazarus_pit.sim.machine import Machine
from lazarus_pit.sim.program import Mode


class Trouble:
    """Lets what can befall a machine befall it, at the rates of the world."""

    def __init__(self, world: Machine, kill_daemon: Callable[[], None]) -> None:
        """Look at the world; ``begin`` lets it rain."""
        self.world = world
        self._kill_daemon = kill_daemon
        self._leaped: Instant = -1000.0

    def begin(self) -> None:
        """Plan the first of each kind."""
        for name in HAPPENINGS:
            self._plan(name)

    def _plan(self, name: str) -> None:
        hourly = self.world.rates[name]
        if hourly > 0.0:
            delay = self.world.rng.expovariate(hourly) * 3600.0
            self.world.after(delay, partial(self._befall, name))

    def _befall(self, name: str) -> None:
        if self.world.rates[name] > 0.0:
            self.world.count(name)
            HAPPENINGS[name](self)
            self._plan(name)

    def heal(self) -> None:
        """Calm: the disk has room, eyes are open, and what could not die can."""
        world = self.world
        world.disk.full = False
        self._see()
        for program in world.living():
            program.unwatched_until = 0.0

    # ------------------------------------------------------------ kinds

    def daemon_crash(self) -> None:
        """Kill -9, between two turns."""
        self._kill_daemon()

    def reboot(self) -> None:
        """The machine starts anew: every life has ended, and clocks begin from nothing."""
        world = self.world
        self._kill_daemon()
        for program in world.living():
            program.gone, program.exit = True, Exit(note="reboot")
        world.boot += 1
        world.boot_at = world.time

    def overflow(self) -> None:
        """The kernel's queue of events overflows; a rescan takes a while."""
        world = self.world
        if world.daemon is not None and not world.blind:
            world.blind = True
            world.daemon.offer(OBSERVER, ObserverBlinded(why="queue overflow"))
            world.after(world.rng.uniform(5.0, 300.0), self._see)

    def _see(self) -> None:
        world = self.world
        if not world.blind or world.daemon is None:
            return
        world.blind = False
        for program in world.living():
            if program.beat > program.delivered:
                world.deliver(program, anyway=True)
        world.daemon.offer(OBSERVER, ObserverSaw())

    def observer_stall(self) -> None:
        """The daemon gets no processor for a while; facts wait in its inbox."""
        world = self.world
        if world.daemon is not None:
            world.daemon.stalled_until = world.time + world.rng.uniform(1.0, 200.0)

    def leap(self) -> None:
        """The monotonic clock leaps over a pause of the whole machine.

        Unless the daemon says itself that it overslept, the core must notice by the silence of
        more than half of its agents; so where it cannot, the daemon always says so.
        """
        world = self.world
        if world.daemon is None or world.time - self._leaped < 200.0:
            return
        if any(p.mode is Mode.BUSY for p in world.living()):
            return  # An announced step is announced in a time that does not leap.
        self._leaped = world.time
        gap = world.rng.uniform(20.0, 3000.0)
        unseen = self._is_obvious(gap) and world.rng.random() >= world.rates["leap_seen"]
        world.leap(gap)
        if not unseen:
            world.daemon.offer(OBSERVER, ObserverDoubted(why="leap"))

    def _is_obvious(self, gap: Seconds) -> bool:
        """Whether the leap makes so many fall silent at once that the core must doubt itself."""
        world = self.world
        if world.daemon is None or world.daemon.loop.inbox:
            return False
        fleet = world.daemon.loop.fleet
        living = [agent for agent in fleet.agents.values() if may_live(agent)]
        silent = sum(
            is_judged(agent) and health.silent_at(agent.vitals, agent.rules) <= world.clock + gap
            for agent in living
        )
        return len(living) >= world.fleet_rules.doubt_fleet and silent * 2 > len(living)

    def disk_full(self) -> None:
        """No space left on device, for a while."""
        world = self.world
        world.disk.full = True
        world.after(world.rng.uniform(10.0, 900.0), self._room)

    def _room(self) -> None:
        self.world.disk.full = False

    def mass_death(self) -> None:
        """Most of what lives is killed at the same instant."""
        world = self.world
        for program in world.living():
            if world.rng.random() < 0.8:
                world.end(program, Exit(signal=9))


HAPPENINGS: dict[str, Callable[[Trouble], None]] = {
    "daemon_crash": Trouble.daemon_crash,
    "reboot": Trouble.reboot,
    "overflow": Trouble.overflow,
    "observer_stall": Trouble.observer_stall,
    "leap": Trouble.leap,
    "disk_full": Trouble.disk_full,
    "mass_death": Trouble.mass_death,
}
