"""One process that is a publisher and all its subscribers, and keeps its own cost small.

All messages of a run are of one length, so what was delivered is counted in bytes and nothing is
parsed: the figures are those of the hub and not of this client.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from typing import NamedTuple

from bench.meters import median, on_cpu_seconds, p99

KIB = 1024
MIB = KIB * KIB
IN_FLIGHT = 16
WAIT_SECONDS = 20.0
TEXT = 1
MASK = bytes(4)
"""A mask of zeros is a mask: it leaves the payload as it is."""


class Fanout(NamedTuple):
    """What a hub does when it is never without work."""

    delivered_per_second: float
    cpu_us: float
    """Microseconds of the hub's processor time for each delivery."""


class Lag(NamedTuple):
    """What a hub does at a fixed rate; milliseconds from the due moment of sending."""

    p50_ms: float
    p99_ms: float
    cpu_us: float


class Stall(NamedTuple):
    """What one client that reads nothing does to the others, and to the hub's memory."""

    worst_second: float
    """The share that the others got in their worst second."""
    grown_mib: float
    slope_mib_per_second: float
    """Growth in the second half of the run."""


class Crowd:
    """A publisher and its subscribers."""

    def __init__(self, port: int, count: int) -> None:
        self.poll = select.epoll()
        self.subscribers: dict[int, socket.socket] = {}
        self.received: dict[int, int] = {}
        for _ in range(count):
            sock = enter(port)
            sock.setblocking(False)
            self.subscribers[sock.fileno()] = sock
            self.received[sock.fileno()] = 0
            self.poll.register(sock, select.EPOLLIN)
        self.publisher = enter(port)
        self.buffer = bytearray(256 * KIB)

    def close(self) -> None:
        for sock in (*self.subscribers.values(), self.publisher):
            sock.close()
        self.poll.close()

    def read(self, timeout: float) -> list[tuple[int, int]]:
        """Read what has arrived; say of which descriptors how many bytes."""
        found = []
        for descriptor, _ in self.poll.poll(max(0.0, timeout), 1024):
            try:
                got = self.subscribers[descriptor].recv_into(self.buffer)
            except BlockingIOError:
                continue
            if not got:
                raise ConnectionResetError("the hub has cut a subscriber that reads")
            self.received[descriptor] += got
            found.append((descriptor, got))
        return found

    def settle(self, total: int) -> None:
        """Read until so many bytes have arrived in all."""
        end = time.monotonic() + WAIT_SECONDS
        while sum(self.received.values()) < total:
            self.read(0.1)
            if time.monotonic() > end:
                raise TimeoutError("not everything was delivered")


def enter(port: int, receive_buffer: int = 0) -> socket.socket:
    """Open a WebSocket."""
    sock = socket.socket()
    sock.settimeout(WAIT_SECONDS)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect(("127.0.0.1", port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.sendall(
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += sock.recv(4096)
    if b" 101 " not in answer.partition(b"\r\n")[0]:
        raise ConnectionRefusedError(answer.decode("latin-1"))
    return sock


def message(size: int) -> tuple[bytes, int]:
    """Encode a text message for the hub; say how long it is when the hub passes it on."""
    head = struct.pack("!BBH", 0x80 | TEXT, 0x80 | 126, size)
    return head + MASK + b"x" * size, 4 + size


def fanout(crowd: Crowd, pid: int, seconds: float) -> Fanout:
    """Keep sixteen messages of 1 KiB in flight."""
    out, arriving = message(KIB)
    per_message = arriving * len(crowd.subscribers)
    sent, got = 0, 0
    began, cpu = time.monotonic(), on_cpu_seconds([pid])
    while (now := time.monotonic()) - began < seconds:
        room = IN_FLIGHT - (sent - got // per_message)
        if room > 0:
            crowd.publisher.sendall(out * room)
            sent += room
        got += sum(count for _, count in crowd.read(0.05))
    took, cpu = now - began, on_cpu_seconds([pid]) - cpu
    delivered = got / arriving
    crowd.settle(sent * per_message)
    return Fanout(delivered / took, cpu / delivered * 1e6)


def lag(crowd: Crowd, pid: int, rate: float, seconds: float) -> Lag:
    """Publish at a fixed rate, whatever becomes of it."""
    out, arriving = message(KIB)
    base = dict(crowd.received)
    due: list[float] = []
    lags: list[float] = []
    count = int(rate * seconds)
    began, cpu = time.monotonic(), on_cpu_seconds([pid])
    expected = count * len(crowd.subscribers)
    while len(lags) < expected:
        now = time.monotonic()
        following = began + len(due) / rate
        if len(due) < count and now >= following:
            due.append(following)
            crowd.publisher.sendall(out)
            continue
        if now - began > seconds + WAIT_SECONDS:
            raise TimeoutError("not everything was delivered")
        heard = crowd.read(following - now if len(due) < count else 0.1)
        now = time.monotonic()
        for descriptor, got in heard:
            last = (crowd.received[descriptor] - base[descriptor]) // arriving
            first = (crowd.received[descriptor] - base[descriptor] - got) // arriving
            lags += [(now - at) * 1e3 for at in due[first:last]]
    return Lag(median(lags), p99(lags), (on_cpu_seconds([pid]) - cpu) / len(lags) * 1e6)


def resident(pid: int) -> int:
    """Bytes of a process that are in memory."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


def stall(port: int, pid: int, seconds: float) -> Stall:
    """Let twenty read and one not: messages of 16 KiB at 300 a second.

    Each second, what was sent until a moment ago must have arrived; what has not is missing.
    """
    out, arriving = message(16 * KIB)
    rate, moment = 300, 0.1
    crowd = Crowd(port, 20)
    stalled = enter(port, receive_buffer=4096)
    before, halfway = resident(pid), 0
    shares: list[float] = []
    sent = got = 0
    began = mark = time.monotonic()
    crowd.publisher.settimeout(0.5)
    try:
        while (now := time.monotonic()) - began < seconds:
            if now - mark >= 1.0:
                missing = (now - moment - began) * rate - got / (20 * arriving)
                shares.append(1 - min(1.0, max(0.0, missing / rate)))
                mark = now
                halfway = halfway or (resident(pid) if now - began > seconds / 2 else 0)
            following = began + sent / rate
            if now >= following:
                crowd.publisher.sendall(out)
                sent += 1
                continue
            got += sum(count for _, count in crowd.read(following - now))
    except TimeoutError:  # The hub no longer reads its publisher: everybody waits.
        shares.append(0.0)
    after = resident(pid)
    stalled.close()
    crowd.close()
    slope = (after - halfway) / MIB / (seconds / 2) if halfway else 0.0
    return Stall(min(shares), (after - before) / MIB, slope)
