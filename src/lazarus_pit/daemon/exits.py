"""Ends of lives: a pidfd becomes readable the moment a process ends; then its cgroup must be empty.

Only both together are proof that nothing of a life is left, and only then is ``Exited`` offered.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable

from lazarus_pit.core.events import Exited, Fact
from lazarus_pit.core.model import Exit, Key, Life
from lazarus_pit.sandboxes import lives

log = logging.getLogger(__name__)

RETRY_FIRST = 0.002
RETRY_LAST = 1.0
"""Seconds between looks at a life whose main process has ended but which is not yet empty."""


class Exits:
    """Watches the lives of this pit end."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        offer: Callable[[Key, Fact], None],
        gone: Callable[[Key, int, Life], None],
    ) -> None:
        """Offer ``Exited`` facts through ``offer``; before, let ``gone`` see what is left."""
        self._loop = loop
        self._offer = offer
        self._gone = gone
        self.lives: dict[Key, tuple[int, Life]] = {}
        """Every life that is watched, with its generation."""
        self._fds: dict[Key, int] = {}
        self._closed = False

    def watch(self, key: Key, generation: int, life: Life) -> None:
        """Watch a life from now on; if it is gone already, its end is offered at once."""
        self.lives[key] = (generation, life)
        fd = lives.open_pidfd(life)
        if fd is None and lives.is_alive(life):  # No descriptor is left: look again and again.
            self._loop.call_later(RETRY_LAST, self._watch_again, key, generation, life)
            return
        if fd is None:
            self._ended(key, generation, life)
            return
        self._fds[key] = fd
        self._loop.add_reader(fd, self._readable, key, generation, life)

    def _watch_again(self, key: Key, generation: int, life: Life) -> None:
        if not self._closed and self.lives.get(key) == (generation, life):
            self.watch(key, generation, life)

    def close(self) -> None:
        """Stop watching; the lives go on, and an end not told yet is the next daemon's to find."""
        self._closed = True
        for fd in self._fds.values():
            self._loop.remove_reader(fd)
            os.close(fd)
        self._fds.clear()

    def _readable(self, key: Key, generation: int, life: Life) -> None:
        fd = self._fds.pop(key)
        self._loop.remove_reader(fd)
        ending = lives.exit_of(life, fd) or Exit(note="unseen")
        os.close(fd)
        self._finish(key, generation, life, ending, RETRY_FIRST)

    def _ended(self, key: Key, generation: int, life: Life) -> None:
        ending = lives.exit_of(life) or Exit(note="unseen")
        self._finish(key, generation, life, ending, RETRY_FIRST)

    def _finish(self, key: Key, generation: int, life: Life, ending: Exit, retry: float) -> None:
        """Offer the end once the whole life is gone; what it left running is killed first.

        Emptiness follows a kill within microseconds, so a short growing timer is cheaper here
        than a watch on every cgroup.
        """
        if self._closed:
            return
        if not lives.is_gone(life):
            try:
                lives.destroy(life)
            except OSError as error:  # It is tried again below.
                log.warning("cannot end what is left of %s: %s", key, error)
            if not lives.is_gone(life):
                again = min(retry * 2, RETRY_LAST)
                self._loop.call_later(retry, self._finish, key, generation, life, ending, again)
                return
        self._gone(key, generation, life)
        lives.clean(life)
        if self.lives.get(key, (0, life))[0] == generation:
            self.lives.pop(key, None)
        self._offer(key, Exited(generation=generation, exit=ending, luck=random.random()))
