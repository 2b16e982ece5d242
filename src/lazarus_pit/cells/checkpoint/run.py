"""Run the worker from an event loop: freeze and thaw on its word, and thaw whatever befalls it."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from lazarus_pit import errors
from lazarus_pit.cells.checkpoint import worker
from lazarus_pit.cells.checkpoint.worker import Done, Failed, Freeze, Message, Order, Thaw
from lazarus_pit.errors import LazarusError, WorldError

LINE = 256 << 20
"""The longest message, in bytes: a diff of two large checkpoints is one."""
LAST_BREATH = 5.0
"""Seconds that a worker has to end by itself after its last word."""


class Freezer(Protocol):
    """Whoever can freeze the cell's agents."""

    async def freeze(self) -> tuple[int, ...]:
        """Stop every process of the cell and return their ids. Raises ``WorldError``."""

    async def thaw(self) -> None:
        """Let them go on, unless people want the cell frozen; harmless when nothing is frozen."""


Tell = Callable[[worker.Progress], None]


async def run(order: Order, freezer: Freezer, tell: Tell, longest_freeze: float = 30.0) -> Any:
    """Have a worker do one piece of work; return its outcome (``worker.Outcome``).

    The cell is thawed when this returns or raises, also when it is cancelled. A worker that holds
    the freeze longer than ``longest_freeze`` seconds is killed. Raises what the worker raised, or
    ``WorldError`` where it died.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", worker.__name__),
        stdin=PIPE,
        stdout=PIPE,
        limit=LINE,
        start_new_session=True,
    )
    talk = _Talk(process, freezer, tell, longest_freeze)
    try:
        await talk.say(order)
        outcome = await talk.listen()
        await process.wait()
    finally:
        if talk.frozen:
            await asyncio.shield(freezer.thaw())
        if talk.has_failed:  # It ends by itself: a kill just then confuses whoever waits for it.
            with suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), LAST_BREATH)
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return outcome


class _Talk:
    def __init__(
        self, process: Process, freezer: Freezer, tell: Tell, longest_freeze: float
    ) -> None:
        self._process = process
        self._freezer = freezer
        self._tell = tell
        self._longest = longest_freeze
        self.frozen = False
        self.has_failed = False
        """Whether the worker has said that it failed, which is its last word."""

    async def say(self, what: msgspec.Struct) -> None:
        pipe = self._process.stdin
        if pipe is not None:
            with suppress(ConnectionError):
                pipe.write(msgspec.json.encode(what) + b"\n")
                await pipe.drain()

    async def listen(self) -> worker.Outcome:
        while True:
            message = await self._next()
            match message:
                case Done(outcome=outcome):
                    return outcome
                case Failed(error=name, text=text):
                    self.has_failed = True
                    raise _error(name, text)
                case Freeze():
                    await self.say(await self._freeze())
                case Thaw():
                    await self._freezer.thaw()
                    self.frozen = False
                    await self.say(worker.Answer())
                case worker.Progress():
                    self._tell(message)

    async def _freeze(self) -> worker.Answer:
        self.frozen = True
        try:
            return worker.Answer(pids=await self._freezer.freeze())
        except WorldError as error:
            return worker.Answer(refused=str(error))

    async def _next(self) -> Message:
        reader = self._process.stdout
        if reader is None:
            raise WorldError("the checkpoint worker cannot be heard")
        patience = self._longest if self.frozen else None
        try:
            line = await asyncio.wait_for(reader.readline(), patience)
        except TimeoutError:
            why = f"the checkpoint worker kept the cell frozen for {self._longest:.0f} s"
            raise WorldError(why) from None
        if not line:
            code = await self._process.wait()
            raise WorldError(f"the checkpoint worker ended with {code} before it was done")
        message: Message = msgspec.json.decode(line, type=Message)
        return message


def _error(name: str, text: str) -> LazarusError:
    kind = getattr(errors, name, WorldError)
    fits = isinstance(kind, type) and issubclass(kind, LazarusError)
    return kind(text) if fits else WorldError(text)


class Still:
    """The freezer of a cell that has no processes."""

    async def freeze(self) -> tuple[int, ...]:
        """Stop nobody."""
        return ()

    async def thaw(self) -> None:
        """Let nobody go on."""
