"""One simulated world: a machine, a daemon that dies and begins again, people, and trouble."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lazarus_pit.core.fleet import Turn
from lazarus_pit.core.model import FleetRules, Key, Rules, Seconds
from lazarus_pit.sim import ending
from lazarus_pit.sim.asking import Records
from lazarus_pit.sim.checks import Checks
from lazarus_pit.sim.disk import DaemonDied, Disk
from lazarus_pit.sim.faults import calm
from lazarus_pit.sim.hands import Daemon
from lazarus_pit.sim.machine import Machine
from lazarus_pit.sim.people import People
from lazarus_pit.sim.trouble import Trouble


class World(Machine):
    """A machine with a fleet on it. ``run`` lives through the faults, then through the calm."""

    def __init__(self, seed: int, fleet_rules: FleetRules, rules: Mapping[Key, Rules]) -> None:
        """Lay out a world; nothing happens before ``run``."""
        super().__init__(seed, fleet_rules, rules)
        self.disk = Disk(self)
        self.requests = Records(self)
        self.checks = Checks(self, self.requests)
        self.people = People(self, self.checks, self.requests)
        self.trouble = Trouble(self, self.kill_daemon)

    def run(self, troubled: Seconds, quiet: Seconds) -> None:
        """Live: faults for ``troubled`` seconds, then calm; stop at the first broken promise."""
        self.start_daemon()
        self.people.begin()
        self.trouble.begin()
        self.live_until(troubled)
        self.rates = calm(self.rates)
        self.trouble.heal()
        self.people.channels.heal()
        self.live_until(self.time + quiet)
        if not self.broken:
            for key in self.rules:
                ending.settle(self, self.checks, key)

    def start_daemon(self) -> None:
        """Let a daemon begin on what the disk holds."""
        if self.daemon is None:
            self.blind = False
            for program in self.living():
                program.arrived = self.time
            daemon = Daemon(self, self.checks, self.people.channels, self.requests, self.guarded)
            self.daemon = daemon
            self.guarded(daemon.begin)

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
        self.count("daemon crashes")
        self.checks.forgot(*self.disk.crash())
        down = self.rng.choice((0.1, 2.0, 2.0, 60.0, 400.0)) * self.rng.uniform(0.5, 1.5)
        self.after(down, self.start_daemon)

    def decided(self, turn: Turn) -> None:
        """See what a turn came to, before it is acted on; forget the traces of who was removed."""
        removed = [key for key, agent in turn.changed.items() if agent is None]
        self.checks.decided(turn)
        for key in removed:
            gone = [trace for trace, p in self.programs.items() if trace[0] == key and p.gone]
            for trace in gone:
                del self.programs[trace]
            self.people.forget(key)
        for told in turn.told:
            self.people.read(told)
