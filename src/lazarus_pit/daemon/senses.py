"""The senses: what was watched becomes facts. Beats from files and from ``sd_notify`` sockets.

Everything an agent can write is hostile: files are opened without following or blocking, must be
regular, and are read up to a bound; identity is the directory or socket, never what it says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from msgspec.structs import replace

from lazarus_pit.cells import store
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.events import Beat, Fact, Progressed, Spent, Told, ToolUsed
from lazarus_pit.core.model import NEVER, Hold, Key
from lazarus_pit.daemon.conversations import checked
from lazarus_pit.daemon.watch import Kind, Watch
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import heartbeat, notify

log = logging.getLogger(__name__)

PUBLISH_SECONDS = 15.0
STATUS_SECONDS = 1.0
"""How often the contract's heartbeat file is renewed: less often while only time moves in it."""
SPARE_DESCRIPTORS = 256
"""Kept for whatever is neither an agent's end nor its socket."""
DATAGRAM_LIMIT = 4096
"""Bytes of one ``sd_notify`` datagram that are read."""
DATAGRAMS_AT_ONCE = 64
"""Datagrams read from one socket before everybody else has a turn."""
SOCKET_REST = 0.05
"""Seconds in which a socket that was read is not read again: who floods it waits, nobody else."""


@dataclass(slots=True)
class Attended:
    """Where one agent can be heard."""

    paths: CellPaths
    name: str
    generation: int
    beats: str
    """Its heartbeat directory."""
    socket: socket.socket | None = None
    address: str = ""
    inode: int = 0
    published: float = 0.0
    shown: str | None = None
    complained: bool = False
    conversed: bool = False
    """Whether people were told what became of the conversation that was asked for."""


class Senses:
    """Turns watched files and sockets of agents into facts."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        watch: Watch,
        offer: Callable[[Key, Fact], None],
        tell: Callable[[Told], None],
    ) -> None:
        """Hear through ``watch`` and sockets on ``loop``; answer through ``offer``."""
        self._loop = loop
        self._watch = watch
        self._offer = offer
        self._tell = tell
        self.attended: dict[Key, Attended] = {}
        self._sockets_left = _most_sockets()

    def attend(self, key: Key, paths: CellPaths, name: str, generation: int) -> None:
        """Listen to an agent from now on: its heartbeat directory and its socket."""
        attended = self.attended.get(key)
        if attended is not None and self._still_listens(attended):
            attended.generation, attended.published = generation, 0.0
            attended.shown, attended.complained, attended.conversed = None, False, False
            self._watch.remove(Kind.OUTPUT, key)
            self._watch.add(Kind.BEAT, key, attended.beats)
            return
        self.forget(key)
        attended = Attended(paths, name, generation, str(paths.beats(name)))
        self.attended[key] = attended
        self._watch.add(Kind.BEAT, key, attended.beats)
        self._listen(key, attended)

    def _still_listens(self, attended: Attended) -> bool:
        """Whether the socket is the one that an agent would find; what it had to say is forgotten.

        A new life is not to be credited with what the old one still said.
        """
        if attended.socket is None:
            return False
        try:
            if os.lstat(attended.address).st_ino != attended.inode:
                return False
            for _ in range(DATAGRAMS_AT_ONCE):
                attended.socket.recv(1)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def await_output(self, key: Key) -> None:
        """Take the next growth of the agent's log as progress, once."""
        attended = self.attended[key]
        self._watch.add(Kind.OUTPUT, key, str(attended.paths.log(attended.name)))

    def forget(self, key: Key) -> None:
        """Listen no more."""
        attended = self.attended.pop(key, None)
        if attended is None:
            return
        for kind in (Kind.BEAT, Kind.OUTPUT):
            self._watch.remove(kind, key)
        if attended.socket is not None:
            self._loop.remove_reader(attended.socket)
            attended.socket.close()
            self._sockets_left += 1

    def close(self) -> None:
        """Listen to nobody."""
        for key in list(self.attended):
            self.forget(key)

    def seen(self, kind: Kind, key: Key, name: bytes) -> None:
        """Take note of one change that the watch reports."""
        attended = self.attended.get(key)
        if attended is None:
            return
        if kind is Kind.OUTPUT:
            self._progress(key, "output")
        elif name == os.fsencode(f"{attended.name}.json"):
            self._read_beat(key, attended)

    def reread(self, key: Key) -> None:
        """Read an agent's beat without being told: after an overflow, or where no watch is left."""
        attended = self.attended.get(key)
        if attended is not None:
            self._read_beat(key, attended)

    def _progress(self, key: Key, source: str) -> None:
        generation = self.attended[key].generation
        self._offer(key, Progressed(generation=generation, source=source))

    def _read_beat(self, key: Key, attended: Attended) -> None:
        try:
            beat = store.read_heartbeat(attended.paths, attended.name)
        except (FormatError, StoreError) as error:
            if not attended.complained:
                attended.complained = True
                self._tell(Told(event="heartbeat_unreadable", key=key, data={"why": str(error)}))
            return
        if beat is None:
            return
        now = time.time()
        self._offer(key, _fact(beat, now))
        self._count(key, attended, beat)
        self._publish(attended, beat, now)
        if not attended.conversed and (found := checked(key, beat)):
            attended.conversed = True
            self._tell(found)

    def _count(self, key: Key, attended: Attended, beat: heartbeat.Heartbeat) -> None:
        """Pass on what the life has spent, and how often in a row it has called a tool alike."""
        generation = attended.generation if beat.generation is None else beat.generation
        if beat.turns is not None or beat.tokens is not None:
            spent = Spent(generation=generation, turns=beat.turns, tokens=beat.tokens)
            self._offer(key, spent)
        if beat.tool_repeats is not None:
            self._offer(key, ToolUsed(generation=generation, repeats=beat.tool_repeats))

    def _publish(self, attended: Attended, beat: heartbeat.Heartbeat, now: float) -> None:
        """Renew the file that everybody reads: at a change of status, else now and then."""
        renewed = now - attended.published
        if renewed < (PUBLISH_SECONDS if beat.status == attended.shown else STATUS_SECONDS):
            return
        attended.shown, attended.published = beat.status, now
        shown = replace(
            beat,
            agent=attended.name,
            cell_uuid=attended.paths.uuid,
            timestamp=beat.timestamp or now,
        )
        with contextlib.suppress(StoreError):
            store.publish_heartbeat(attended.paths, attended.name, shown)

    def _listen(self, key: Key, attended: Attended) -> None:
        """Bind the agent's ``sd_notify`` socket; without one, its beats in files still count."""
        if self._sockets_left <= 0:
            return
        path = attended.paths.notify_socket(attended.name)
        try:
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            log.warning("no notify socket for %s: %s", key, error)
            return
        try:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
            _bind_short(listener, str(path.parent), path.name)
            path.chmod(0o666)
            attended.inode = path.lstat().st_ino
        except OSError as error:
            listener.close()
            log.warning("no notify socket for %s: %s", key, error)
            return
        self._sockets_left -= 1
        if not self._sockets_left:
            log.warning("no descriptors left for more notify sockets: beats in files still count")
        attended.socket, attended.address = listener, str(path)
        self._loop.add_reader(listener, self._heard, key, listener)

    def _heard(self, key: Key, listener: socket.socket) -> None:
        self._loop.remove_reader(listener)
        self._loop.call_later(SOCKET_REST, self._hear_again, key, listener)
        for _ in range(DATAGRAMS_AT_ONCE):
            try:
                data = listener.recv(DATAGRAM_LIMIT)
            except (BlockingIOError, InterruptedError):
                return
            try:
                said = notify.parse(data)
            except FormatError as error:
                log.debug("unreadable datagram from %s: %s", key, error)
                continue
            self._offer(key, Beat(status=said.status, busy_for=said.extend_timeout or 0.0))

    def _hear_again(self, key: Key, listener: socket.socket) -> None:
        attended = self.attended.get(key)
        if attended is not None and attended.socket is listener:
            self._loop.add_reader(listener, self._heard, key, listener)


def _most_sockets() -> int:
    """How many sockets may be open: each agent needs a descriptor to see it end first."""
    return max(0, (resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE_DESCRIPTORS) // 4)


def _fact(beat: heartbeat.Heartbeat, now: float) -> Beat:
    """Wall-clock instants become durations on receipt: no verdict ever sees a wall clock."""
    hold = None
    if beat.hold is not None:
        left = beat.hold_until - now if beat.hold_until is not None else NEVER
        hold = Hold(kind=beat.hold, until=time.monotonic() + max(0.0, left))
    busy = max(0.0, beat.busy_until - now) if beat.busy_until is not None else 0.0
    return Beat(
        generation=beat.generation,
        cycle=beat.cycle,
        status=beat.status,
        hold=hold,
        busy_for=busy,
    )


def _bind_short(listener: socket.socket, folder: str, name: str) -> None:
    """Bind below a descriptor: a socket's path may not be longer than 107 bytes, a cell's is."""
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)
