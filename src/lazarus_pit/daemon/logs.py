"""The daemon's side of the logs: there is a pump, and it knows every pipe that agents print into.

The pump outlives the daemon; a new daemon finds it by its socket. When it dies another is started
and told of all pipes again: an agent that prints meanwhile waits, and nothing it said is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import socket
import sys
from typing import NamedTuple

from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.core.model import Key
from lazarus_pit.formats.limits import MEGABYTE
from lazarus_pit.linux import spawn, unix_sockets
from lazarus_pit.linux.spawn import Program
from lazarus_pit.sandboxes import pump

log = logging.getLogger(__name__)

PATIENCE = 5.0
"""Seconds in which a new pump must take a connection."""
BACKLOG = 8
RETRY = 1.0
"""Seconds until a pump that could not be started is tried again."""


class _Order(NamedTuple):
    """One pipe, the log it goes to, and the bytes from which that is put aside."""

    pipe: str
    log: str
    most: int


class Logs:
    """The one pump of this pit, started when the first agent is."""

    def __init__(self, loop: asyncio.AbstractEventLoop, pit: PitPaths) -> None:
        """Start nothing yet."""
        self._loop = loop
        self._pit = pit
        self._line: socket.socket | None = None
        self._child = 0
        self._orders: dict[Key, _Order] = {}
        self._held: dict[str, int] = {}
        self._retry: asyncio.TimerHandle | None = None

    def attend(self, key: Key, paths: CellPaths, name: str, limit_mb: int) -> str:
        """Have what an agent prints put into its log; return the pipe it is to print into.

        Empty where there is no pump: then it writes to the log itself, without a bound. The pipe is
        held open until the pump has it, so that not even a life shorter than that is unheard.
        """
        pipe = str(paths.log_pipe(name))
        order = _Order(pipe, str(paths.log(name)), limit_mb * MEGABYTE)
        try:
            self._ready()
            if pipe not in self._held:
                self._held[pipe] = _hold(pipe)
            self._send(order)
        except OSError as error:
            log.warning("the log of %s has no bound: no pump: %s", key, error)
            self._let_go(pipe)
            return ""
        self._orders[key] = order
        return pipe

    def bounds(self, key: Key) -> bool:
        """Whether the pump bounds this agent's log."""
        return key in self._orders

    def forget(self, key: Key) -> None:
        """Attend to this agent no more once it stops printing."""
        self._orders.pop(key, None)

    def close(self) -> None:
        """Speak to the pump no more; while somebody prints, it runs on."""
        self._call_off()
        self._hang_up()
        for pipe in list(self._held):
            self._let_go(pipe)

    # ------------------------------------------------------------ the pump

    def _ready(self) -> None:
        if self._line is not None:
            return
        try:
            line = unix_sockets.connect(str(self._pit.pump), PATIENCE)
        except OSError:
            self._start()
            line = unix_sockets.connect(str(self._pit.pump), PATIENCE)
        line.setblocking(False)
        self._line = line
        self._loop.add_reader(line, self._heard, line)

    def _start(self) -> None:
        """Start a pump; it can be connected to before it has begun to listen."""
        program = Program(
            argv=(sys.executable, "-I", "-S", pump.__file__),
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        )
        with contextlib.ExitStack() as opened:
            nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            opened.callback(os.close, nothing)
            said = spawn.open_log(str(self._pit.companion_log("pump")))
            opened.callback(os.close, said)
            control = opened.enter_context(unix_sockets.listen(str(self._pit.pump), BACKLOG))
            standard = (nothing, said, said, control.fileno())
            self._child = spawn.plain(program, standard, "/")
        log.info("log pump %d begins", self._child)

    def _send(self, order: _Order) -> None:
        assert self._line is not None  # noqa: S101 - made ready before
        try:
            self._line.send(json.dumps(order._asdict()).encode())
        except OSError:
            self._hang_up()
            self._ready()
            self._line.send(json.dumps(order._asdict()).encode())

    def _heard(self, line: socket.socket) -> None:
        while True:
            try:
                data = line.recv(pump.MESSAGE)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:
                self._lost()
                return
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self._let_go(json.loads(data)["attended"])

    def _lost(self) -> None:
        """Go on with another pump, if anybody prints."""
        self._hang_up()
        if not self._orders:
            return
        log.warning("the log pump has ended; another takes over")
        self._restore()

    def _restore(self) -> None:
        try:
            self._ready()
            for order in list(self._orders.values()):
                self._send(order)
        except OSError as error:
            log.warning("no log pump: %s; agents that print wait", error)
            self._hang_up()
            self._call_off()
            self._retry = self._loop.call_later(RETRY, self._restore)

    def _call_off(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _hang_up(self) -> None:
        if self._line is not None:
            self._loop.remove_reader(self._line)
            self._line.close()
            self._line = None
        if self._child:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self._child, os.WNOHANG)

    def _let_go(self, pipe: str) -> None:
        fd = self._held.pop(pipe, -1)
        if fd >= 0:
            os.close(fd)


def _hold(pipe: str) -> int:
    with contextlib.suppress(FileExistsError):
        os.mkfifo(pipe, 0o600)
    return os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
