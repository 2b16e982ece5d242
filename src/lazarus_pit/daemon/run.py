"""The daemon: wires the kinds together, turns the loop when something happens, ends on a signal."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lazarus_pit.cells.files import replace_file
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.config import Config
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import (
    Dismissed,
    Fact,
    Looked,
    ObserverBlinded,
    ObserverDoubted,
    ObserverSaw,
    Told,
)
from lazarus_pit.core.fleet import Fleet
from lazarus_pit.core.model import Desired, Key, Life
from lazarus_pit.daemon import standing
from lazarus_pit.daemon.act import Hands
from lazarus_pit.daemon.asking import Asking
from lazarus_pit.daemon.awaken import Awakened
from lazarus_pit.daemon.bounds import Bounds, Means
from lazarus_pit.daemon.clocks import Clocks
from lazarus_pit.daemon.companions import Companions
from lazarus_pit.daemon.disk import Disk
from lazarus_pit.daemon.egress import Egress
from lazarus_pit.daemon.exits import Exits
from lazarus_pit.daemon.idling import Idling
from lazarus_pit.daemon.launches import Launches, Servants
from lazarus_pit.daemon.logs import Logs
from lazarus_pit.daemon.loop import OBSERVER, Loop
from lazarus_pit.daemon.nexus import GatewayHealth
from lazarus_pit.daemon.post import Post
from lazarus_pit.daemon.preparing import Preparing
from lazarus_pit.daemon.recorder import Recorder
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.daemon.saves import Rounds, Saves
from lazarus_pit.daemon.senses import Senses
from lazarus_pit.daemon.watch import Kind, Watch
from lazarus_pit.errors import StoreError
from lazarus_pit.formats.state import State

log = logging.getLogger(__name__)

ATTEND_SLICE = 20
"""Lives listened to at a stretch after a restart."""
REFRESHED_AGENTS = 16
"""Agents whose state is written anew in each sweep although nothing has happened."""
RESCAN_SLICE = 200
"""Beats read at a stretch after an overflow, before everybody else has a turn."""


class Daemon:
    """One running pit."""

    def __init__(self, config: Config, awakened: Awakened, beside: Mapping[str, list[str]]) -> None:
        """Join what was persisted to the world; nothing happens before ``run``.

        ``beside`` are the companions to run, by name, with their command lines.
        """
        self.config = config
        self.pit: PitPaths = awakened.pit
        aio = asyncio.get_running_loop()
        self._aio = aio
        self._stop = asyncio.Event()
        self._fault: Exception | None = None
        self.fleet = Fleet(config.fleet, awakened.agents)
        self.recorder = Recorder(self.pit, awakened.ledger, awakened.sandbox_name)
        self.recorder.catch_up(awakened.owed)
        self.watch = Watch(aio, self._seen, self._blinded)
        self.roster = Roster(self.pit.root, config.rules, self._tell)
        self.senses = Senses(aio, self.watch, self.offer, self._tell)
        self.exits = Exits(aio, self.offer, self._gone)
        self.logs = Logs(aio, self.pit)
        means = Means(config.limits, awakened.tree, awakened.sandbox_name == "bubblewrap")
        self.bounds = Bounds(aio, self.roster, self.exits.lives, means, self._tell)
        self.disk = Disk(self.roster, config.limits, self._tell, self._judge, self.exits.lives)
        self.egress = Egress(aio, self.pit, self.roster, self.exits.lives, self._tell)
        launches = Launches(
            config, self.roster, self.senses, Servants(self.egress, self.logs), self._tell
        )
        self.launches = launches
        self.asking = Asking(self.pit, self.fleet.agents, self.offer, self._tell)
        self.saves = Saves(self._living)
        self.preparing = Preparing(self.roster, self.saves, config.owner, self.offer)
        self.hands = Hands(
            awakened.sandbox,
            launches,
            self.exits,
            self.bounds,
            self.asking,
            self.preparing,
            self.offer,
        )
        self.loop = Loop(self.fleet, self.recorder, self.hands)
        self.post = Post(
            aio, self.roster, self.fleet.agents, self._tell, self.offer, self.saves.take
        )
        self.idling = Idling(
            self.roster, self.fleet.agents, self.exits.lives, launches.sights, self._judge
        )
        self.post.heard = self.idling.heard
        self.post.clerk.fleet = config.fleet
        self._awakened = awakened
        self._wake: asyncio.TimerHandle | None = None
        self._turning = False
        self._over = False
        self._look_first = False
        self._flush: asyncio.Task[None] | None = None
        self._refresh = 0
        self._rounds = Rounds(self.saves)
        self._gateway = GatewayHealth(config.gateway, self._tell)
        self._companions = Companions(aio, self.pit, beside, self._tell)
        self._clocks = Clocks()
        self._next_sweep = 0.0

    # ------------------------------------------------------------ life

    async def run(self) -> None:
        """Watch until SIGTERM or SIGINT. Agents are left as they are."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self._aio.add_signal_handler(number, self._stop.set)
        self._aio.set_exception_handler(self._broken)
        self._begin()
        gc.collect()
        gc.freeze()  # What is here now stays; the collector need not walk it again.
        standing.notify_manager(f"READY=1\nSTATUS=watching {len(self.fleet.agents)} agents")
        self._companions.begin()
        self.disk.sweep()
        quotas = self.disk.watch(self.config.poll_interval)
        tasks = [self._aio.create_task(one) for one in (self._pulse(), self._sweeps(), quotas)]
        for task in tasks:
            task.add_done_callback(self._ended)
        await self._stop.wait()
        standing.notify_manager("STOPPING=1")
        for task in tasks:
            task.cancel()
        if self._fault is not None:
            raise self._fault
        self._end()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A task that goes on for ever has ended: without the safety net nobody is to trust us."""
        if not task.cancelled() and (fault := task.exception()):
            self._broken(self._aio, {"exception": fault, "message": str(fault)})

    def _broken(self, _aio: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End at a fault of our own: what is on disk is right, what is in memory may not be."""
        fault = context.get("exception")
        self._fault = fault if isinstance(fault, Exception) else RuntimeError(context["message"])
        log.critical("a fault of the daemon itself; it ends", exc_info=fault)
        self._stop.set()

    def _begin(self) -> None:
        """Take over what runs, hear what ended, begin what is due."""
        self.watch.add(Kind.ROOT, "", str(self.pit.root))
        still = (key for key, one in self.fleet.agents.items() if one.desired is Desired.FREEZE)
        self.disk.recall(still)
        self._enlist(self.roster.sweep(), self.roster.cells)
        named = {
            f"{uuid}/{name}" for uuid, cell in self.roster.cells.items() for name in cell.enlisted
        }
        unread = self.roster.unreadable()
        for key in self.fleet.agents:
            if key not in named and key.partition("/")[0] not in unread:
                self.offer(key, Dismissed())
        for key, fact in self._awakened.facts:
            self.offer(key, fact)
        for (key, generation), life in self._awakened.adopted.items():
            self.exits.watch(key, generation, life)
        self._attend_slice(list(self._awakened.adopted))
        self.egress.begin()
        self.asking.listen(self.watch)
        self.asking.catch_up()
        self._turn()
        self.loop.repeat_owed()
        self._turn()

    def _attend_slice(self, left: list[tuple[Key, int]]) -> None:
        """Listen to those who were taken over: in slices, since their ends matter more."""
        if self._over:
            return
        for key, generation in left[:ATTEND_SLICE]:
            known, life = self.exits.lives.get(key, (0, None))
            uuid, _, name = key.partition("/")
            if life is not None and known == generation and uuid in self.roster.cells:
                self.senses.attend(key, self.roster.cells[uuid].paths, name, generation)
                self.launches.adopted(key)
                self.bounds.began(key, life, adopted=True)
        if rest := left[ATTEND_SLICE:]:
            self._aio.call_soon(self._attend_slice, rest)

    def _end(self) -> None:
        if self._wake:
            self._wake.cancel()
        self.watch.drain()
        self._turn()
        self._over = True
        if self._flush is not None:
            self._flush.cancel()
        all(map(self.recorder.write_state, self._states_behind(set(self.recorder.dirty))))
        tasks = (self.preparing, self.idling, self.saves, self.post, self._rounds, self._gateway)
        senses = (self.bounds, self.asking, self.exits, self.senses, self.watch)
        for part in (self._companions, *tasks, self.hands, self.egress, self.logs, *senses):
            part.close()

    # ------------------------------------------------------------ turning the loop

    def offer(self, key: Key, fact: Fact) -> None:
        """Put a fact into the inbox and turn the loop soon."""
        self.loop.offer(key, fact)
        self._look_first = self._look_first or isinstance(fact, Looked)
        self._turn_soon()

    def _tell(self, told: Told) -> None:
        self.fleet.turn.told.append(told)
        self._turn_soon()

    def _turn_soon(self) -> None:
        if not self._turning:
            self._turning = True
            self._aio.call_soon(self._turn)

    def _turn(self) -> None:
        """Turn once; first see what has arrived, so that nobody is judged by late reading."""
        if self._over:
            return  # The ledger is shut: what a last turn offered is the next daemon's to find.
        self._turning = True  # What is offered meanwhile belongs to the turn that follows.
        now = time.monotonic()
        if self._look_first or self.fleet.wake() <= now:
            self._look_first = False
            self.watch.drain()
        wake = self.loop.turn(now)
        self._turning = False
        if self._wake:
            self._wake.cancel()
            self._wake = None
        if self.loop.inbox or self.fleet.turn.told or wake <= now:
            self._turn_soon()
        elif wake < now + self.config.cells.poll_interval:
            self._wake = self._aio.call_at(wake, self._turn)
        if self.recorder.dirty and self._flush is None:
            self._flush = asyncio.create_task(self._write_states())

    async def _write_states(self) -> None:
        """Renew what people read: a cell at a time, the disk's part outside the loop's thread."""
        try:
            while self.recorder.dirty:
                for state in self._states_behind(await self.recorder.due()):
                    if not await asyncio.to_thread(self.recorder.write_state, state):
                        self.recorder.dirty.add(state.cell_uuid)
                        break  # A full disk refuses them all; they are tried again.
        finally:
            self._flush = None

    def _states_behind(self, uuids: set[str]) -> Iterator[State]:
        known = self.roster.cells
        cells = {uuid: list(known[uuid].enlisted) for uuid in uuids & known.keys()}
        return self.recorder.behind(uuids, self.fleet.agents, cells, self._limits)

    def _limits(self, agent: Agent) -> dict[str, str]:
        return self.bounds.in_force(agent.key, agent.generation, agent.life, self.logs, self.disk)

    # ------------------------------------------------------------ seeing

    def _seen(self, kind: Kind, what: str, name: bytes) -> None:
        if kind in (Kind.BEAT, Kind.OUTPUT):
            self.senses.seen(kind, what, name)
        elif kind is Kind.MANIFEST and name == b"cell.json":
            self._enlist(self.roster.read(what), [what])
        elif kind is Kind.BELL:
            self.asking.round()
            self.post.ask()
        elif kind is Kind.ROOT:
            uuid = os.fsdecode(name)
            self._enlist(self.roster.read_new(uuid), [uuid])

    def _enlist(self, facts: list[tuple[Key, Fact]], cells: Iterable[str]) -> None:
        """Pass on what people want, and watch the manifests of these cells."""
        for key, fact in facts:
            self.offer(key, fact)
            if isinstance(fact, Dismissed):
                self.senses.forget(key)
                self.asking.dismissed(key)
                self.launches.forget(key)
        for uuid in self.roster.take_ended():
            for part in (self.recorder, self.post, self.bounds, self.idling, self._rounds):
                part.forget(uuid)
        for uuid in cells:
            if uuid in self.roster.cells and not self.watch.is_watched(Kind.MANIFEST, uuid):
                self.watch.add(Kind.MANIFEST, uuid, str(self.pit.cell(uuid).cell))
        self.post.attend(cells)
        self.recorder.dirty.update(key.partition("/")[0] for key, _ in facts)

    def _gone(self, key: Key, generation: int, life: Life) -> None:
        self.watch.drain()  # Its last word may be that it waits for quota: then it is no death.
        self.bounds.ended(key, generation, life)
        self.logs.forget(key)

    def _judge(self, uuid: str) -> None:
        self._enlist(self.roster.judge(uuid), ())

    def _blinded(self) -> None:
        """The queue overflowed: read every beat again, in slices, and judge nobody until then."""
        self.offer(OBSERVER, ObserverBlinded(why="event_queue_overflow"))
        self._enlist(self.roster.sweep(), self.roster.cells)
        self._rescan(list(self.senses.attended))

    def _rescan(self, keys: list[Key]) -> None:
        for key in keys[:RESCAN_SLICE]:
            self.senses.reread(key)
        if rest := keys[RESCAN_SLICE:]:
            self._aio.call_soon(self._rescan, rest)
        else:
            self.offer(OBSERVER, ObserverSaw())

    # ------------------------------------------------------------ the safety net

    async def _sweeps(self) -> None:
        """Every ``poll_interval``: look at the root, doubt the clocks, renew what people read."""
        while True:
            self._next_sweep = time.monotonic() + self.config.cells.poll_interval
            await asyncio.sleep(self.config.cells.poll_interval)
            if why := self._clocks.doubt(self._next_sweep):
                self.offer(OBSERVER, ObserverDoubted(why=why))
            self._enlist(self.roster.sweep(), self.roster.cells)
            for kind, what in list(self.watch.refused):
                if kind is Kind.BEAT:
                    self.senses.reread(what)
            self.egress.check()
            self.bounds.sweep()
            self.disk.sweep()
            self.post.sweep()
            self.idling.sweep()
            self.asking.sweep()
            self._refresh_some()
            self._turn_soon()
            self._report()
            cells = [(one.paths, one.manifest) for one in self.roster.cells.values()]
            self._rounds.go(cells, time.monotonic())
            self._gateway.ask()

    def _living(self, uuid: str) -> list[Life]:
        """Return who lives in a cell now."""
        cell, lives = self.roster.cells.get(uuid), self.exits.lives
        keys = [f"{uuid}/{name}" for name in cell.enlisted] if cell else []
        return [lives[key][1] for key in keys if key in lives]

    def _refresh_some(self) -> None:
        """Renew ``last_poll`` in a few cells a sweep: a bound on work, whatever the fleet."""
        uuids = sorted(self.roster.cells)
        agents = 0
        for _ in uuids:
            uuid = uuids[self._refresh % len(uuids)]
            self._refresh += 1
            self.recorder.dirty.add(uuid)
            agents += len(self.roster.cells[uuid].enlisted)
            if agents >= REFRESHED_AGENTS:
                return

    def _report(self) -> None:
        """Say who watches and when it last looked, for ``lazarus status``."""
        report = {
            "pid": os.getpid(),
            "last_sweep": round(time.time(), 3),
            "agents": len(self.fleet.agents),
            "cells": len(self.roster.cells),
            "sandbox": self._awakened.sandbox_name,
            "unconfined": self._awakened.unconfined,
            "cgroups": self._awakened.tree_note,
            "store": self.loop.store_fault or "ok",
            "gateway": self._gateway.state,
            "unwatched": len(self.watch.refused),
        }
        try:
            replace_file(self.pit.daemon, json.dumps(report).encode() + b"\n", durable=False)
        except StoreError as error:
            log.debug("daemon.json is behind: %s", error)

    async def _pulse(self) -> None:
        """Answer systemd's watchdog from the loop itself: a loop that hangs does not answer."""
        every = standing.watchdog_seconds()
        self._report()
        while every is not None:
            standing.notify_manager("WATCHDOG=1")
            await asyncio.sleep(every / 2)
