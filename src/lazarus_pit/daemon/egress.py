"""The daemon's side of network mode ``allow``: there is a proxy, and what it refuses is told.

The proxy is a process of its own that outlives the daemon: a new daemon finds it by its socket and
speaks to it. When it dies the daemon starts another and hands it the networks of the running
lives again, by entering each; only what was under way is cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Collection, Mapping

import msgspec

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.core.events import Told
from lazarus_pit.core.model import Key, Life
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.errors import SpawnError
from lazarus_pit.formats.manifest import Network
from lazarus_pit.linux import pidfd, unix_sockets
from lazarus_pit.sandboxes import lives
from lazarus_pit.sandboxes.egress import hand
from lazarus_pit.sandboxes.egress.messages import (
    MAX_BYTES,
    PROTOCOL,
    Denied,
    Hello,
    Message,
    Passed,
    Take,
    Welcome,
    decode,
    encode,
)
from lazarus_pit.sandboxes.egress.start import start_proxy

log = logging.getLogger(__name__)

PATIENCE = 10.0
"""Seconds in which a proxy must answer; one that does not is replaced."""
RETRY_FIRST = 0.1
RETRY_LAST = 30.0
"""Seconds until a proxy that could not be started is tried again."""


class Egress:
    """The one proxy of this pit, started when the first agent needs it."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        pit: PitPaths,
        roster: Roster,
        running: Mapping[Key, tuple[int, Life]],
        tell: Callable[[Told], None],
    ) -> None:
        """Serve the lives in ``running``, by the lists in ``roster``; tell what is refused."""
        self._loop = loop
        self._path = str(pit.egress)
        self._log_file = str(pit.egress_log)
        self._roster = roster
        self._running = running
        self._tell = tell
        self._line: socket.socket | None = None
        self._child = 0
        """The proxy's pid if this daemon started it, and so must collect it."""
        self._proxy: int | None = None
        """A descriptor of the proxy at the other end of the line: its number may be used again."""
        self._asked: float | None = None
        """When it was asked whether it is well, if it has not answered since."""
        self._checked: float | None = None
        """The same at the last check."""
        self._retry: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Take over the proxy of a forerunner, and serve every adopted life that lacks one."""
        if self._wanted() or os.path.exists(self._path):
            self._restore(RETRY_FIRST, start=bool(self._wanted()))

    def ready(self) -> str:
        """Return the control socket of a proxy that runs, as far as is known.

        Whoever starts with one that is stopped has waited in vain for as long as it may take to
        answer; nobody else does: by then it is replaced.

        Raises:
            SpawnError: none could be started.
        """
        if self._line is not None:
            self._heard(self._line)  # It may have answered while the loop was busy.
        if self._asked is not None and time.monotonic() - self._asked >= PATIENCE:
            log.warning("the egress proxy does not answer")
            self._lost()
        if self._line is None:
            served = self._open()
            self._call_off()
            self._mend(served)
        self._ask()
        return self._path

    def check(self) -> None:
        """Ask the proxy whether it is well; one that is deaf or that nobody can find any more ends.

        Deaf is who has not answered since the last time.
        """
        line = self._line
        if line is None:
            return
        is_deaf = self._asked is not None and self._asked == self._checked
        if is_deaf or not os.path.exists(self._path):
            fault = "does not answer" if is_deaf else "lost its socket"
            log.warning("the egress proxy %s", fault)
            self._kill()
            return  # The end of the line is heard next.
        self._ask()
        self._checked = self._asked

    def close(self) -> None:
        """Speak to the proxy no more; while agents need it, it runs on."""
        self._call_off()
        self._hang_up()

    # ------------------------------------------------------------ the proxy

    def _open(self) -> Collection[tuple[Key, int]]:
        """Speak to the proxy that runs, else to a new one; return whom it serves."""
        served = self._greet()
        if served is None:
            self._start()
            served = self._greet()
        if served is None:
            self._kill()
            raise SpawnError(f"the egress proxy does not answer: see {self._log_file}")
        return served

    def _greet(self) -> Collection[tuple[Key, int]] | None:
        """Open a line to the proxy at the socket; one that is deaf or foreign is killed."""
        try:
            line = unix_sockets.connect(self._path, PATIENCE)
        except OSError:
            return None
        pid = self._child or unix_sockets.peer(line)[0]
        self._proxy = pidfd.open_pid(pid) if pid != os.getpid() else None
        try:
            line.send(encode(Hello(verbose=log.isEnabledFor(logging.DEBUG))))
            welcome = decode(line.recv(MAX_BYTES))
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the egress proxy does not answer: %s", error)
            welcome = Welcome(protocol=0)
        if not isinstance(welcome, Welcome) or welcome.protocol != PROTOCOL:
            self._kill()
            line.close()
            return None
        line.setblocking(False)
        self._line = line
        self._asked = None
        self._loop.add_reader(line, self._heard, line)
        return welcome.lives

    def _ask(self) -> None:
        """Ask the proxy whether it is well, unless its answer is awaited already."""
        if self._line is not None and self._asked is None:
            self._asked = time.monotonic()
            with contextlib.suppress(OSError):
                self._line.send(encode(Hello(verbose=log.isEnabledFor(logging.DEBUG))))

    def _start(self) -> None:
        try:
            self._child = start_proxy(self._path, self._log_file)
        except OSError as error:
            raise SpawnError(f"the egress proxy cannot be started: {error}") from error
        log.info("egress proxy %d begins", self._child)

    def _heard(self, line: socket.socket) -> None:
        while True:
            try:
                data = line.recv(MAX_BYTES)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lost()
                return
            try:
                self._note(decode(data))
            except msgspec.MsgspecError as error:
                log.warning("the egress proxy said something strange: %s", error)

    def _note(self, message: Message) -> None:
        if isinstance(message, Welcome):
            self._asked = None
        elif isinstance(message, Passed):
            log.debug("%s reached %s:%d", message.key, message.host, message.port)
        elif isinstance(message, Denied) and message.key.partition("/")[0] in self._roster.cells:
            data = {"host": message.host, "port": message.port, "why": message.why}
            counts = {"times": message.times, "others": message.others}
            self._tell(Told(event="network_denied", key=message.key, data={**data, **counts}))

    # ------------------------------------------------------------ when it dies

    def _lost(self) -> None:
        """Go on with another proxy, if anybody needs one."""
        self._kill()
        self._hang_up()
        if self._wanted():
            self._tell(Told(event="network_proxy_lost", data={"agents": len(self._wanted())}))
            self._restore(RETRY_FIRST, start=True)

    def _kill(self) -> None:
        """Make sure that the proxy is gone, and its sockets with it."""
        if self._proxy is not None:
            pidfd.send_signal(self._proxy, signal.SIGKILL)
            gone = select.poll()
            gone.register(self._proxy, select.POLLIN)
            gone.poll(PATIENCE * 1000)
            os.close(self._proxy)
            self._proxy = None
        if self._child:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._child, os.WNOHANG)
            self._child = 0

    def _hang_up(self) -> None:
        if self._line is not None:
            self._loop.remove_reader(self._line)
            self._line.close()
            self._line = None
            self._asked = None
        if self._proxy is not None:
            os.close(self._proxy)
            self._proxy = None

    def _restore(self, retry: float, *, start: bool) -> None:
        self._retry = None
        try:
            served = self._open() if start else self._greet()
        except SpawnError as error:
            log.warning("%s; trying again in %g s", error, retry)
            again = min(retry * 2, RETRY_LAST)
            self._retry = self._loop.call_later(retry, lambda: self._restore(again, start=True))
            return
        self._mend(served or ())

    def _call_off(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _mend(self, served: Collection[tuple[Key, int]]) -> None:
        """Have every running life served, one at a turn of the event loop."""
        for key, generation in self._wanted().items():
            if (key, generation) not in served:
                self._loop.call_soon(self._hand_again, key, generation)

    def _hand_again(self, key: Key, generation: int) -> None:
        now, life = self._running.get(key, (0, None))
        if life is None or now != generation or self._line is None:
            return  # It has ended; or the proxy has, and all is done again.
        if (fd := lives.open_pidfd(life)) is None:
            return
        try:
            _, member = self._roster.member(key)
            take = Take(
                key=key,
                agent=member.name,
                generation=generation,
                allow=member.allow,
                forward=member.forward,
            )
            hand.again(self._path, take, fd)
        except (OSError, KeyError) as error:
            self._tell(Told(event="network_lost", key=key, data={"why": str(error)}))
        else:
            self._tell(Told(event="network_restored", key=key))
        finally:
            os.close(fd)

    def _wanted(self) -> dict[Key, int]:
        """The lives that need a proxy, by key, with their generations."""
        found = {}
        for key, (generation, life) in self._running.items():
            with contextlib.suppress(KeyError):
                _, member = self._roster.member(key)
                if member.network is Network.ALLOW and lives.is_alive(life):
                    found[key] = generation
        return found
