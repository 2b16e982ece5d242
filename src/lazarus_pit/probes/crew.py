"""Calls that block, each with its own deadline, in threads that keep no program from ending.

A file on a dead file server, or a resolver without an answer, may hold a thread for minutes: it is
left to its fate, and what waits for it goes on.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

MOST = 64
"""Threads at once; whoever finds all of them held waits, until its own deadline."""


class _Job(NamedTuple):
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    call: Callable[[], Any]


class Crew:
    """Threads that are hired as they are needed."""

    def __init__(self, most: int = MOST) -> None:
        """No thread is hired before the first call."""
        self._most = most
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._hired = 0
        self._waiting = 0
        """Jobs that nobody has finished; counted in the loop's thread alone."""

    async def call(self, call: Callable[[], T], timeout: float) -> T:  # noqa: ASYNC109 - seconds
        """Return what a blocking call returns.

        Raises:
            TimeoutError: there was no answer within so many seconds.
            Exception: whatever the call raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting += 1
        self._jobs.put(_Job(loop, future, call))
        if self._hired < min(self._waiting, self._most):
            self._hired += 1
            threading.Thread(target=self._work, name="probe", daemon=True).start()
        async with asyncio.timeout(timeout):
            return await future

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job.future.cancelled():
                self._settle(job, lambda: None)
                continue
            try:
                result = job.call()
            except Exception as error:  # noqa: BLE001 - it is the caller's, in another thread
                self._settle(job, _set(job.future.set_exception, error))
            else:
                self._settle(job, _set(job.future.set_result, result))

    def _settle(self, job: _Job, tell: Callable[[], None]) -> None:
        def settle() -> None:
            self._waiting -= 1
            if not job.future.done():
                tell()

        with suppress(RuntimeError):  # The loop has ended meanwhile; nobody waits.
            job.loop.call_soon_threadsafe(settle)


def _set(setter: Callable[[Any], None], value: Any) -> Callable[[], None]:
    return lambda: setter(value)
