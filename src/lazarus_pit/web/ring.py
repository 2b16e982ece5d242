"""One bounded ring of what was told, for every reader of the stream.

Each frame is encoded once. A reader is a cursor and owns no queue, so one that reads slowly costs
nobody memory; one that has fallen off the ring's end is told to look at everything anew.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any

import msgspec

FRAMES = 1024
PING_SECONDS = 15.0
"""Between two comments on a quiet stream, by which a dead connection is noticed."""
RETRY_MS = 2000


class Ring:
    """The newest frames. An id is ``<epoch>-<number>``; another epoch is another process."""

    def __init__(self, epoch: str, size: int = FRAMES) -> None:
        """Begin empty."""
        self._epoch = epoch
        self._frames: deque[bytes] = deque(maxlen=size)
        self._count = 0
        self._told = asyncio.Event()
        self._over = False
        self.readers = 0

    def tell(self, event: str, data: Any) -> None:
        """Tell everybody; called in the event loop's thread."""
        self._count += 1
        self._frames.append(self._frame(event, msgspec.json.encode(data)))
        self._wake()

    def close(self) -> None:
        """End every stream."""
        self._over = True
        self._wake()

    async def read(self, last: str = "") -> AsyncIterator[bytes]:
        """Yield the frames after ``last`` as they come; from now on, where it is empty.

        Begins with ``hello``, or with ``reset`` where ``last`` cannot be gone on from: then the
        reader must look at the whole fleet. It ends for a reader that has fallen behind the ring.
        """
        at = self._resume(last)
        first = "reset" if at is None else "hello"
        at = self._count if at is None else at
        self.readers += 1
        try:
            yield f"retry: {RETRY_MS}\n".encode() + self._frame(first, b"{}", at)
            while not self._over:
                told = self._told
                behind = self._count - at
                if behind > len(self._frames):
                    return
                for frame in list(self._frames)[len(self._frames) - behind :]:
                    yield frame
                at += behind
                if behind:
                    continue
                try:
                    await asyncio.wait_for(told.wait(), PING_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self.readers -= 1

    def _resume(self, last: str) -> int | None:
        """Return the number to go on from; ``None`` where what follows is no longer there."""
        if not last:
            return self._count
        epoch, _, number = last.rpartition("-")
        if epoch != self._epoch or not (number.isascii() and number.isdigit()):
            return None
        at = int(number) if len(number) < 19 else -1
        return at if self._count - len(self._frames) <= at <= self._count else None

    def _frame(self, event: str, data: bytes, number: int | None = None) -> bytes:
        at = self._count if number is None else number
        return b"id: %s-%d\nevent: %s\ndata: %s\n\n" % (
            self._epoch.encode(),
            at,
            event.encode(),
            data,
        )

    def _wake(self) -> None:
        told, self._told = self._told, asyncio.Event()
        told.set()
