"""The pump: takes what agents print out of their pipes and into logs that are bounded.

A process of its own that outlives the daemon, one for a pit. An agent that could reach its log
could empty it, and a log that nobody puts aside fills the disk; so agents print into FIFOs, and
this is the only writer of logs. It holds one block of memory, whatever they print. A pipe that
nobody writes to any more is let go; with the last one, and no daemon to listen to, the pump ends.

Run by its file's path, with the listening socket as descriptor 3; standard library alone.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import signal
import socket
import stat
import sys
import time

BLOCK = 64 * 1024
"""Bytes read at once: what a pipe holds."""
LISTENER = 3
MESSAGE = 16 * 1024
"""Bytes of an order at most."""
RATE = 8 * 1024 * 1024
"""Bytes a second that one agent may print; a faster one waits, as at a slow terminal."""
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Pipe:
    """One agent's pipe and the log it goes to."""

    __slots__ = ("fd", "log", "lost", "most", "out", "passed", "rests_until", "since", "size")

    def __init__(self, fd: int, log: str, most: int) -> None:
        """Read from ``fd``; put the log aside from ``most`` bytes on, or never with 0."""
        self.fd, self.log, self.most = fd, log, most
        self.out, self.size = -1, 0
        self.lost = 0  # Bytes that the disk did not take.
        self.since, self.passed = 0.0, 0  # When this second began, and what has passed in it.
        self.rests_until = 0.0


class Pump:
    """All pipes of one pit."""

    def __init__(self, listener: socket.socket) -> None:
        """Take orders from whoever connects to ``listener``."""
        self._listener = listener
        self._poll = select.epoll()
        self._poll.register(listener, select.EPOLLIN)
        self._lines: dict[int, socket.socket] = {}
        self._pipes: dict[str, Pipe] = {}
        self._names: dict[int, str] = {}
        self._resting: set[str] = set()

    def run(self) -> None:
        """Pump until nobody prints and nobody listens."""
        while True:
            for fd, events in self._poll.poll(self._patience()):
                if fd == self._listener.fileno():
                    self._accept()
                elif fd in self._lines:
                    self._hear(fd)
                elif fd in self._names:
                    self._empty(self._names[fd], ended=bool(events & select.EPOLLHUP))
            self._wake()
            if not self._pipes and not self._lines:
                return

    def _patience(self) -> float | None:
        if not self._resting:
            return None
        now = time.monotonic()
        return max(0.0, min(self._pipes[name].rests_until for name in self._resting) - now)

    def _wake(self) -> None:
        now = time.monotonic()
        for name in [n for n in self._resting if self._pipes[n].rests_until <= now]:
            self._resting.discard(name)
            self._poll.register(self._pipes[name].fd, select.EPOLLIN)

    # ------------------------------------------------------------ orders

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            line, _ = self._listener.accept()
            line.setblocking(False)
            self._lines[line.fileno()] = line
            self._poll.register(line, select.EPOLLIN)

    def _hear(self, fd: int) -> None:
        line = self._lines[fd]
        try:
            data = line.recv(MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._poll.unregister(fd)
            del self._lines[fd]
            line.close()
            return
        with contextlib.suppress(ValueError, KeyError, TypeError):
            order = json.loads(data)
            name = str(order["pipe"])
            self._attend(name, str(order["log"]), int(order["most"]))
            with contextlib.suppress(OSError):  # A daemon that is gone needs no answer.
                line.send(json.dumps({"attended": name}).encode())

    def _attend(self, name: str, log: str, most: int) -> None:
        """Empty a pipe from now on; one that is emptied already keeps its place."""
        known = self._pipes.get(name)
        if known is not None and _is_same(known.fd, name):
            known.log, known.most = log, most
            return
        if known is not None:
            self._let_go(name)
        try:
            fd = os.open(name, _READ)
        except OSError as error:
            complain(f"{name}: {error.strerror}")
            return
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.close(fd)
            return
        self._pipes[name] = Pipe(fd, log, most)
        self._names[fd] = name
        self._poll.register(fd, select.EPOLLIN)

    def _let_go(self, name: str) -> None:
        pipe = self._pipes.pop(name)
        del self._names[pipe.fd]
        if name not in self._resting:
            self._poll.unregister(pipe.fd)
        self._resting.discard(name)
        for fd in (pipe.fd, pipe.out):
            if fd >= 0:
                os.close(fd)

    # ------------------------------------------------------------ pumping

    def _empty(self, name: str, *, ended: bool) -> None:
        """Move one block; everybody else has a turn before the next."""
        pipe = self._pipes[name]
        try:
            block = os.read(pipe.fd, BLOCK)
        except BlockingIOError:
            return
        except OSError:
            block = b""
        if not block:
            if ended:
                self._let_go(name)
            return
        _write(pipe, block)
        now = time.monotonic()
        if now - pipe.since >= 1.0:
            pipe.since, pipe.passed = now, 0
        pipe.passed += len(block)
        if pipe.passed >= RATE:
            pipe.rests_until = pipe.since + 1.0
            self._poll.unregister(pipe.fd)
            self._resting.add(name)


def _write(pipe: Pipe, block: bytes) -> None:
    """Append a block, a new log first where the old one is full; lines are kept whole."""
    if pipe.most and pipe.out >= 0 and pipe.size + len(block) > pipe.most:
        end = block.find(b"\n") + 1
        _append(pipe, block[:end])
        block = block[end:]
        _put_aside(pipe)
    if pipe.out >= 0 and not _is_same(pipe.out, pipe.log):
        os.close(pipe.out)
        pipe.out = -1
    _append(pipe, block)


def _append(pipe: Pipe, block: bytes) -> None:
    """Write all of it; what a full disk does not take is counted, and told when it takes again."""
    try:
        if pipe.out < 0:
            _open(pipe)
        if pipe.lost and block:
            note = b"[lazarus: %d bytes were lost: the disk was full]\n" % pipe.lost
            pipe.size += os.write(pipe.out, note)
            pipe.lost = 0
        while block:
            written = os.write(pipe.out, block)
            pipe.size += written
            block = block[written:]
    except OSError as error:
        pipe.lost += len(block)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            complain(f"{pipe.log}: {error.strerror}")


def _open(pipe: Pipe) -> None:
    fd = os.open(pipe.log, _APPEND, 0o640)
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise OSError(errno.EINVAL, "not a regular file")
    pipe.out, pipe.size = fd, found.st_size
    if pipe.most and pipe.size >= pipe.most:
        _put_aside(pipe)
        _open(pipe)


def _put_aside(pipe: Pipe) -> None:
    os.close(pipe.out)
    pipe.out, pipe.size = -1, 0
    try:
        os.replace(pipe.log, f"{pipe.log}.1")
    except OSError as error:
        complain(f"{pipe.log}: cannot be put aside: {error.strerror}")
        with contextlib.suppress(OSError):
            os.truncate(pipe.log, 0)


def _is_same(fd: int, path: str) -> bool:
    """Whether a path still leads to what is open."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    here = os.fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def complain(what: str) -> None:
    """Say what is wrong where the daemon's starter can read it."""
    with contextlib.suppress(OSError):
        os.write(2, f"log pump: {what}\n".encode(errors="replace"))


def main() -> None:
    """Be the pump of one pit."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    listener = socket.socket(fileno=LISTENER)
    listener.setblocking(False)
    Pump(listener).run()


if __name__ == "__main__":
    main()
    sys.exit(0)
