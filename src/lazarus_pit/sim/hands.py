"""The daemon of a simulated machine: the very ``Loop`` of the real one, with simulated hands.

Only the seeing and the doing are imitated here: orders turn into programs that begin and end, and
each outcome comes back as a fact. What is decided is decided by the shipped core.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import (
    Ask,
    CellSaved,
    Dismissed,
    Exited,
    Fact,
    Freeze,
    Frozen,
    Kill,
    LookAt,
    Looked,
    Order,
    Prepare,
    Prepared,
    SaveCell,
    Spawn,
    Spawned,
    SpawnFailed,
    Thaw,
    Thawed,
)
from lazarus_pit.core.fleet import Fleet, restamp
from lazarus_pit.core.model import NEVER, Exit, Instant, Key, Look, OnRevive
from lazarus_pit.daemon.adopt import adopt
from lazarus_pit.daemon.loop import Loop
from lazarus_pit.sim.asking import Asking, Records
from lazarus_pit.sim.channels import Channels
from lazarus_pit.sim.checks import Checks
from lazarus_pit.sim.machine import Machine
from lazarus_pit.sim.program import Mode, Program

NEVER_BEGAN = Exit(note="never began")


class Daemon:
    """One incarnation of the daemon. What it has in memory ends with it."""

    def __init__(
        self,
        world: Machine,
        checks: Checks,
        channels: Channels,
        records: Records,
        guarded: Callable[[Callable[[], None]], None],
    ) -> None:
        """Take up what the disk and the machine hold; ``begin`` then turns the first time.

        ``guarded`` runs a piece of the daemon and sees to what follows if it dies in it.
        """
        self.world = world
        self.checks = checks
        self.channels = channels
        self.guarded = guarded
        kept = world.disk.records.values()
        boots = world.disk.boots
        self.checks.rebooted([key for key, boot in boots.items() if boot != world.boot])
        adoption = adopt(
            [
                restamp(record, world.clock, same_boot=boots[record.key] == world.boot)
                for record in kept
            ],
            {(p.key, p.generation): p.life for p in world.programs.values() if not p.gone},
            {(p.key, p.generation): p.exit or Exit() for p in world.programs.values() if p.gone},
            world.clock,
        )
        for stray in adoption.strays:
            for program in world.living():
                if program.life == stray:
                    world.count("strays")
                    world.vanish(program, Exit(signal=9))
        self.loop = Loop(Fleet(world.fleet_rules, adoption.agents), world.disk, self)
        self.adopted = adoption.facts
        self.starting: set[tuple[Key, int]] = set()
        self.preparing: dict[tuple[Key, int], OnRevive] = {}
        self.endless: set[tuple[Key, int]] = set()
        """Lives whose save has hung."""
        self.asking = Asking(world, records, self)
        self.began: Instant = world.time
        self.stalled_until: Instant = 0.0
        self.ghosts: dict[Key, list[Fact]] = {}
        self._planned: Instant = NEVER
        self._plan = 0
        self._idle_turns = 0

    @property
    def runs(self) -> bool:
        """Whether this incarnation is the one that lives."""
        return self.world.daemon is self

    def begin(self) -> None:
        """Hear what people want, turn, ask for what is owed, and read the heartbeat files."""
        world = self.world
        for key in list(self.loop.fleet.agents):
            if key not in world.manifest:
                self.loop.offer(key, Dismissed())
        for key, want in world.manifest.items():
            self.loop.offer(key, want)
        for key, fact in self.adopted:
            self.loop.offer(key, fact)
        self.checks.restarted(self.loop.fleet.agents)
        self.asking.begin()
        for order in self.loop.fleet.owed():
            if isinstance(order, Ask):
                self._book(order, self.loop.fleet.agents[order.key])
        self.asking.catch_up()
        self.loop.turn(world.clock)
        self.loop.repeat_owed()
        self._schedule(0.0)
        world.after(world.rng.uniform(0.01, 1.0), self._rescan)

    def _rescan(self) -> None:
        for program in self.world.living():
            if self.runs:
                self.world.deliver(program, anyway=True)

    # ------------------------------------------------------------ the inbox and the turn

    def offer(self, key: Key, fact: Fact) -> None:
        """Put a fact into the inbox and turn soon; a daemon that has died hears nothing."""
        if self.runs:
            if isinstance(fact, Dismissed):
                self.asking.requests.dismissed(key)
            self.loop.offer(key, fact)
            self.checks.inbox(len(self.loop.inbox))
            self._schedule(self.world.rng.choice((0.0, 0.001, 0.05)))

    def rung(self) -> None:
        """Hear the bell: somebody has answered."""
        self.asking.round()

    def swept(self) -> None:
        """A disk that refused is tried again at each sweep, whatever else happens."""
        if self.loop.store_fault:
            self._schedule(0.0)

    def haunt(self, key: Key, fact: Fact) -> None:
        """Remember a fact about a life, and now and then repeat one of a life long gone."""
        world, ghosts = self.world, self.ghosts.setdefault(key, [])
        agent = self.loop.fleet.agents.get(key)
        if world.rng.random() < world.rates["ghost"] and ghosts and agent is not None:
            old = world.rng.choice(ghosts)
            generation = getattr(old, "generation", None)
            if generation is not None and generation < agent.generation:
                world.after(world.rng.uniform(0, 60), partial(self.offer, key, old))
        ghosts.append(fact)
        del ghosts[:-30]

    def _schedule(self, delay: float) -> None:
        """Turn after ``delay`` seconds, unless a turn is planned before."""
        when = max(self.world.time + delay, self.stalled_until)
        if when < self._planned:
            self._planned = when
            self._plan += 1
            plan = self._plan
            self.world.after(when - self.world.time, partial(self._turn, plan), pauses=False)

    def _turn(self, plan: int) -> None:
        if not self.runs or plan != self._plan:
            return
        self._planned = NEVER
        if self.world.time < self.stalled_until:
            self._schedule(0.0)
            return
        self.guarded(self._turn_once)

    def _turn_once(self) -> None:
        world, loop = self.world, self.loop
        had_facts = bool(loop.inbox)
        when = loop.turn(world.clock)
        if not self.runs:
            return
        self._idle_turns = 0 if had_facts or when > world.clock else self._idle_turns + 1
        self.checks.turned(self._idle_turns)
        if loop.inbox:
            self._schedule(0.0)
        elif when != NEVER:
            # A clock has a grain: nobody wakes a millionth of a second early.
            self._schedule(max(when - world.clock, 0.0) + 1e-6)

    # ------------------------------------------------------------ orders

    def act(self, order: Order, agent: Agent) -> None:
        """Carry one order out; the daemon may die right before it or right after it."""
        self.world.point("mid-act, before an order")
        HANDLERS[type(order)](self, order, agent)
        self.world.point("mid-act, after an order")

    def prepare(self, order: Prepare, _agent: Agent) -> None:
        """Restore the cell or empty a home; asked again it goes on as before."""
        world, rng = self.world, self.world.rng
        life = (order.key, order.generation)
        if life in self.preparing:
            return
        self.preparing[life] = order.how
        world.count(f"prepares: {order.how}")
        if order.how is OnRevive.RESTORE:
            self.checks.restoring(order.key, self.starting)
        fails = rng.random() < world.rates["prepare_fails"]
        fact = Prepared(
            generation=order.generation,
            done="" if fails else "restored",
            why="no checkpoint" if fails else "",
        )
        world.after(rng.uniform(0.05, 90.0), partial(self._prepared, life, fact))

    def _prepared(self, life: tuple[Key, int], fact: Prepared) -> None:
        """End a preparation; the task that did it says so as it ends, nothing lies in between."""
        if self.runs and life in self.preparing:
            del self.preparing[life]
            self.offer(life[0], fact)
            self.haunt(life[0], fact)

    def save(self, order: SaveCell, _agent: Agent) -> None:
        """Save a cell, sometimes in vain; one that hangs does so however often it is asked for."""
        world, rng = self.world, self.world.rng
        if (order.key, order.generation) in self.endless:
            return
        if rng.random() < world.rates["save_mute"]:
            self.endless.add((order.key, order.generation))
            return
        fails = rng.random() < world.rates["save_fails"]
        fact = CellSaved(
            generation=order.generation,
            checkpoint="" if fails else "20260406T000000.000000Z",
            why="the disk is full" if fails else "",
        )
        world.after(rng.uniform(0.05, 20.0), partial(world.tell, order.key, fact))

    def spawn(self, order: Spawn, agent: Agent) -> None:
        """Begin a life, once per generation."""
        world, rng = self.world, self.world.rng
        life = (order.key, order.generation)
        if life in world.programs and world.programs[life].gone:
            self.checks.beginning_again(order)
        if life in world.programs or life in self.starting:
            return
        self.checks.spawning(order, agent)
        self.checks.among(order.key, self.preparing)
        if rng.random() < world.rates["spawn_fails"]:
            fatal = rng.random() < world.rates["spawn_fatal"]
            self.checks.failing(order, fatal=fatal)
            failed = SpawnFailed(generation=order.generation, why="no such luck", fatal=fatal)
            self.offer(order.key, failed)
            return
        self.starting.add(life)
        slow = rng.random() < world.rates["spawn_slow"]
        delay = rng.uniform(0.5, 40.0) if slow else rng.uniform(0.001, 0.02)
        if rng.random() < 0.5 and not slow:
            self._born(order, agent)
        else:
            world.after(delay, partial(self._born, order, agent))

    def _born(self, order: Spawn, agent: Agent) -> None:
        life = (order.key, order.generation)
        if not self.runs or life not in self.starting:
            return
        self.starting.discard(life)
        program = self.world.beget(order.key, order.generation, agent.rules)
        self.offer(order.key, Spawned(generation=order.generation, life=program.life))

    def kill(self, order: Kill, agent: Agent) -> None:
        """End a life: politely at first; by force the whole of it, as fast as the kernel can."""
        world, rng = self.world, self.world.rng
        life = (order.key, order.generation)
        program = world.programs.get(life)
        if program is None or program.gone:
            self.starting.discard(life)
            self.preparing.pop(life, None)
            ending = program.exit if program and program.exit else NEVER_BEGAN
            fact = Exited(generation=order.generation, exit=ending, luck=rng.random())
            world.tell(order.key, fact)
            return
        self.checks.killing(program, agent)
        if order.force:
            immortal = rng.random() < world.rates["immortal"]
            delay = rng.uniform(5.0, 200.0) if immortal else 0.02
            world.after(delay, partial(world.vanish, program, Exit(signal=9)))
            return
        deaf = program.frozen or program.mode is Mode.SIGSTOPPED
        if not deaf and rng.random() >= world.rates["stubborn"]:
            delay = rng.uniform(0.001, 1.5)
            world.after(delay, partial(world.end, program, Exit(signal=15)))

    def look(self, order: LookAt, _agent: Agent) -> None:
        """Take a fresh look: all of it, half of it, none of it, or never to be heard of again."""
        world, rng = self.world, self.world.rng
        program = world.programs.get((order.key, order.generation))
        if rng.random() < world.rates["look_mute"]:
            return
        seen = Look()
        if program is not None and rng.random() >= world.rates["look_fails"]:
            if program.beat > program.delivered:
                world.deliver(program, anyway=True)
            seen = self._see(program)
        fact = Looked(generation=order.generation, look=seen)
        world.after(rng.uniform(0.01, 0.3), partial(world.tell, order.key, fact))

    def _see(self, program: Program) -> Look:
        world, rng = self.world, self.world.rng
        running = not (program.gone or program.dying or program.frozen)
        full: dict[str, Any] = {
            "beat_age": world.time - program.beat if program.beat >= 0 else None,
            "output_age": world.time - program.output,
            "files_age": world.time - program.progress,
            "computing": running and program.computes(),
            "stopped": program.mode is Mode.SIGSTOPPED,
        }
        partial_ = world.rates["look_partial"]
        return Look(**{k: None if rng.random() < partial_ else v for k, v in full.items()})

    def freeze(self, order: Freeze, _agent: Agent) -> None:
        """Make a life stand still."""
        program = self.world.programs.get((order.key, order.generation))
        if program is not None and not program.gone:
            program.frozen = True
            self.world.tell(order.key, Frozen(generation=order.generation), late=2.0)

    def thaw(self, order: Thaw, _agent: Agent) -> None:
        """Let a life move again; what it would have done meanwhile it does now."""
        program = self.world.programs.get((order.key, order.generation))
        if program is None or program.gone:
            return
        program.frozen = False
        waiting, program.deferred = program.deferred, []
        for call in waiting:
            self.world.after(0.05, call)
        self.world.tell(order.key, Thawed(generation=order.generation), late=2.0)

    def ask(self, order: Ask, agent: Agent) -> None:
        """Ask people, by way of the records; the channels look there."""
        self._book(order, agent)
        self.asking.ask(order.key)
        self.channels.look()

    def _book(self, order: Ask, agent: Agent) -> None:
        world = self.world
        matter = (order.generation, agent.curb.number if agent.curb else 0)
        self.checks.asked(order.key, matter, world.time + order.expires - world.clock)


HANDLERS: dict[type[Order], Callable[[Daemon, Any, Agent], None]] = {
    Prepare: Daemon.prepare,
    SaveCell: Daemon.save,
    Spawn: Daemon.spawn,
    Kill: Daemon.kill,
    LookAt: Daemon.look,
    Freeze: Daemon.freeze,
    Thaw: Daemon.thaw,
    Ask: Daemon.ask,
}
