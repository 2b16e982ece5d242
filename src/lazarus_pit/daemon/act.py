"""The hands: one handler an order. Each acts once per generation; each outcome is a fact."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import (
    Ask,
    Exited,
    Fact,
    Freeze,
    Frozen,
    Kill,
    LookAt,
    Looked,
    Order,
    Prepare,
    SaveCell,
    Spawn,
    Spawned,
    SpawnFailed,
    Thaw,
    Thawed,
)
from lazarus_pit.core.model import Exit, Key, Life, Look
from lazarus_pit.daemon import looks
from lazarus_pit.daemon.asking import Asking
from lazarus_pit.daemon.bounds import Bounds
from lazarus_pit.daemon.exits import Exits
from lazarus_pit.daemon.launches import Launches
from lazarus_pit.daemon.preparing import Preparing
from lazarus_pit.errors import LazarusError, SpawnError
from lazarus_pit.sandboxes import lives
from lazarus_pit.sandboxes.base import Sandbox

log = logging.getLogger(__name__)

ENDING = 2
"""Lives that are held still and killed at the same time, where there is no cgroup."""


class Hands:
    """Carries orders out in the real world."""

    def __init__(  # noqa: PLR0913, PLR0917 - one for each thing that hands touch
        self,
        sandbox: Sandbox,
        launches: Launches,
        exits: Exits,
        bounds: Bounds,
        asking: Asking,
        preparing: Preparing,
        offer: Callable[[Key, Fact], None],
    ) -> None:
        """Start agents in ``sandbox``, watch their ends through ``exits``, answer by ``offer``."""
        self._sandbox = sandbox
        self._launches = launches
        self._exits = exits
        self._bounds = bounds
        self._asking = asking
        self._preparing = preparing
        self._offer = offer
        self._looking: dict[Key, asyncio.Task[None]] = {}
        self._moving: dict[Key, asyncio.Task[None]] = {}
        self._ending: dict[Key, Future[None]] = {}
        self._threads = ThreadPoolExecutor(ENDING, "ending")
        """Of their own: what hangs elsewhere must not keep anybody from being killed."""
        self._handlers: dict[type[Order], Callable[[Any, Agent], None]] = {
            Prepare: self._prepare,
            SaveCell: self._save,
            Spawn: self._spawn,
            Kill: self._kill,
            Freeze: self._freeze,
            Thaw: self._thaw,
            LookAt: self._look,
            Ask: self._ask,
        }

    def act(self, order: Order, agent: Agent) -> None:
        """Begin to carry one order out. It may be asked twice."""
        self._handlers[type(order)](order, agent)

    def close(self) -> None:
        """Let go of what is under way; nothing that lives is touched."""
        for task in (*self._looking.values(), *self._moving.values()):
            task.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)  # It is owed, and ordered again.

    def _prepare(self, order: Prepare, _agent: Agent) -> None:
        self._preparing.prepare(order)

    def _save(self, order: SaveCell, _agent: Agent) -> None:
        self._preparing.save(order)

    def _spawn(self, order: Spawn, agent: Agent) -> None:
        if self._exits.lives.get(order.key, (0, None))[0] >= order.generation:
            return  # This life exists already: the order was repeated.
        try:
            launch = self._launches.prepare(order.key, order.generation, agent)
            life = self._sandbox.spawn(launch)
        except (LazarusError, OSError, KeyError) as error:
            fatal = isinstance(error, SpawnError) and error.fatal
            why = str(error).removeprefix(f"{order.key}: ") or repr(error)
            log.warning("cannot start %s: %s", order.key, why)
            self._launches.failed(order.key)
            self._offer(order.key, SpawnFailed(generation=order.generation, why=why, fatal=fatal))
            return
        self._offer(order.key, Spawned(generation=order.generation, life=life))
        self._launches.began(order.key, awaits_output=agent.rules.liveness == "heartbeat")
        self._bounds.began(order.key, life)
        self._exits.watch(order.key, order.generation, life)

    def _kill(self, order: Kill, agent: Agent) -> None:
        life = self._life(order, agent)
        if life is None:
            never = Exited(generation=order.generation, exit=Exit(note="never began"))
            gone = partial(self._offer, order.key, never)
            if not self._preparing.abandon(order.key, order.generation, gone):
                gone()
        else:
            self._preparing.abandon(order.key, order.generation, lambda: None)
            if order.force and not life.cgroup:
                self._hold_and_kill(order.key, life)
            else:
                _end(order.key, life, lives.destroy if order.force else lives.terminate)

    def _hold_and_kill(self, key: Key, life: Life) -> None:
        """Without a cgroup everything has to stand still first, which the loop cannot wait for."""
        if (before := self._ending.get(key)) is None or before.done():
            self._ending[key] = self._threads.submit(_end, key, life, lives.destroy)
        for one in [one for one, ending in self._ending.items() if ending.done()]:
            del self._ending[one]

    def _freeze(self, order: Freeze, agent: Agent) -> None:
        life = self._life(order, agent)
        if life is not None:
            self._later(order, lives.freeze, life, Frozen(generation=order.generation))

    def _thaw(self, order: Thaw, agent: Agent) -> None:
        life = self._life(order, agent)
        if life is not None:
            first = partial(self._preparing.captured, order.key) if order.stray else None
            self._later(order, lives.thaw, life, Thawed(generation=order.generation), first)

    def _later(
        self,
        order: Order,
        do: Callable[[Life], str],
        life: Life,
        done: Fact,
        first: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Do outside the loop's thread what has to wait for the kernel; orders keep their turn."""
        before = self._moving.get(order.key)

        async def moved() -> None:
            if before is not None:
                await asyncio.wait([before])
            if first is not None:
                await first()
            try:
                await asyncio.to_thread(do, life)
            except OSError as error:
                log.warning("cannot %s %s: %s", do.__name__, order.key, error)
            else:
                self._offer(order.key, done)

        task = asyncio.ensure_future(moved())
        self._moving[order.key] = task
        task.add_done_callback(lambda _: self._forget_move(order.key, task))

    def _forget_move(self, key: Key, task: asyncio.Task[None]) -> None:
        if self._moving.get(key) is task:
            del self._moving[key]

    def _look(self, order: LookAt, agent: Agent) -> None:
        life = self._life(order, agent)
        if life is None or order.key in self._looking:
            return
        task = asyncio.ensure_future(self._looked(order, life))
        self._looking[order.key] = task
        task.add_done_callback(lambda _: self._looking.pop(order.key))

    async def _looked(self, order: LookAt, life: Life) -> None:
        """Look, and answer whatever happens: a look that fails has seen nothing."""
        try:
            seen = await looks.look(life, self._launches.sights(order.key))
        except (OSError, KeyError) as error:
            log.warning("cannot look at %s: %s", order.key, error)
            seen = Look()
        self._offer(order.key, Looked(generation=order.generation, look=seen))

    def _ask(self, order: Ask, _agent: Agent) -> None:
        self._asking.ask(order.key)

    def _life(self, order: Order, agent: Agent) -> Life | None:
        generation, life = self._exits.lives.get(order.key, (0, None))
        return life if generation == order.generation else agent.life


def _end(key: Key, life: Life, do: Callable[[Life], object]) -> None:
    try:
        do(life)
    except OSError as error:  # It is ordered again, sterner, when patience is over.
        log.warning("cannot end %s: %s", key, error)
