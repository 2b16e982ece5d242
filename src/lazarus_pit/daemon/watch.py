"""The eyes: one inotify instance for manifests, beats and first output.

Beats are drained in batches: at low rates the cost is waking up, not reading. Whoever judges calls
``drain`` first, so that a beat which has arrived is seen before its sender is condemned.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from enum import StrEnum

from lazarus_pit.linux import inotify

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.05
"""How long beats are gathered after the first one of a batch."""
WRITTEN = inotify.IN_MOVED_TO | inotify.IN_CLOSE_WRITE
"""A file that was replaced, or written in place and closed."""


class Kind(StrEnum):
    """What a watch is for."""

    ROOT = "root"
    MANIFEST = "manifest"
    BEAT = "beat"
    OUTPUT = "output"
    OUTBOX = "outbox"
    BELL = "bell"


Seen = Callable[[Kind, str, bytes], None]
"""Called with the kind, what was watched (a cell's uuid or an agent's key) and the file's name."""


class Watch:
    """One inotify instance on the event loop."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        seen: Seen,
        blinded: Callable[[], None],
        batch: float = BATCH_SECONDS,
    ) -> None:
        """Call ``seen`` for every change, once a batch; ``blinded`` when the queue overflowed.

        ``batch`` is how many seconds changes are gathered.
        """
        self._loop = loop
        self._seen = seen
        self._blinded = blinded
        self._batch = batch
        self._queue = inotify.Inotify()
        self._targets: dict[int, tuple[Kind, str]] = {}
        self._descriptors: dict[tuple[Kind, str], int] = {}
        self._pending: asyncio.TimerHandle | None = None
        self.refused: set[tuple[Kind, str]] = set()
        """What could not be watched because the kernel's limits are reached; it is polled."""
        loop.add_reader(self._queue.fd, self._readable)

    def add(self, kind: Kind, what: str, path: str) -> bool:
        """Watch a directory, a ``BELL``, or an ``OUTPUT`` until it grows; False: it is polled.

        An ``OUTBOX`` is watched until its first change, so that a flood is one event.
        """
        masks = {
            Kind.ROOT: inotify.IN_MOVED_TO | inotify.IN_CREATE,
            Kind.MANIFEST: WRITTEN,
            Kind.BEAT: WRITTEN,
            Kind.BELL: inotify.IN_CLOSE_WRITE,
            Kind.OUTPUT: inotify.IN_MODIFY | inotify.IN_ONESHOT,
            Kind.OUTBOX: WRITTEN | inotify.IN_ONESHOT,
        }
        try:
            descriptor = self._queue.add(path, masks[kind])
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.ENOMEM):
                if not self.refused:
                    log.warning("no inotify watches left (%s): polling what is not watched", path)
                self.refused.add((kind, what))
            return False
        before = self._descriptors.get((kind, what), descriptor)
        if before != descriptor:  # Another directory bears the name now.
            self.remove(kind, what)
        self._targets[descriptor] = (kind, what)
        self._descriptors[kind, what] = descriptor
        self.refused.discard((kind, what))
        return True

    def remove(self, kind: Kind, what: str) -> None:
        """Stop watching."""
        self.refused.discard((kind, what))
        descriptor = self._descriptors.pop((kind, what), None)
        if descriptor is not None and self._targets.get(descriptor) == (kind, what):
            del self._targets[descriptor]
            self._queue.remove(descriptor)

    def is_watched(self, kind: Kind, what: str) -> bool:
        """Whether the kernel will tell us."""
        return (kind, what) in self._descriptors

    def drain(self) -> None:
        """See everything that has happened until now."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
            self._loop.add_reader(self._queue.fd, self._readable)
        latest: dict[tuple[Kind, str, bytes], None] = {}
        for descriptor, mask, name in self._queue.read():
            if mask & inotify.IN_Q_OVERFLOW:
                self._blinded()
                continue
            target = self._targets.get(descriptor)
            if target is None:
                continue
            if mask & inotify.IN_IGNORED:
                self._gone(descriptor, target)
            else:
                # Only the latest change of a file counts: it is read once a batch.
                latest.pop((*target, name), None)
                latest[(*target, name)] = None
        for kind, what, name in latest:
            self._seen(kind, what, name)

    def close(self) -> None:
        """Give the kernel its watches back."""
        if self._pending is not None:
            self._pending.cancel()
        else:
            self._loop.remove_reader(self._queue.fd)
        self._queue.close()

    def _readable(self) -> None:
        self._loop.remove_reader(self._queue.fd)
        self._pending = self._loop.call_later(self._batch, self.drain)

    def _gone(self, descriptor: int, target: tuple[Kind, str]) -> None:
        del self._targets[descriptor]
        if self._descriptors.get(target) == descriptor:
            del self._descriptors[target]
