"""A real gateway process, and a client so raw that it can say anything."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

DEADLINE = 10.0
MASK = b"\x01\x02\x03\x04"
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GATEWAY = (sys.executable, "-m", "lazarus_pit.gateway.server")


class Gateway:
    """A running gateway: its ports and its process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.first_line = process.stdout.readline()
        found = re.search(r"ws://(\S+):(\d+)/ .* http://(\S+):(\d+)/health", self.first_line)
        assert found, f"unexpected first line {self.first_line!r}"
        self.port = int(found[2])
        self.health_port = int(found[4])

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/"

    def health(self) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.health_port}/health"
        with urllib.request.urlopen(url, timeout=DEADLINE) as response:
            facts = json.load(response)
        assert isinstance(facts, dict)
        return facts

    def resident_bytes(self) -> int:
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)


@contextmanager
def running(
    *flags: str,
    environment: Mapping[str, str] | None = None,
    health: Sequence[str] = ("--health-port", "0"),
    before: Sequence[str] = (),
) -> Iterator[Gateway]:
    """Run a gateway on ports that the system picks, and end it."""
    with subprocess.Popen(
        [*before, *GATEWAY, "--port", "0", *health, *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        text=True,
    ) as process:
        try:
            yield Gateway(process)
        finally:
            process.kill()


def eventually(seen: Callable[[], bool], seconds: float = DEADLINE) -> None:
    """Wait until something holds, and fail if it does not in time."""
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, f"did not happen within {seconds} s"
        time.sleep(0.01)


def opening(path: str = "/", **headers: str) -> bytes:
    """Give the bytes of an opening request; ``Sec_WebSocket_Key`` names a header by underscores."""
    lines = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
    }
    lines.update({name.replace("_", "-"): value for name, value in headers.items()})
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1")


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0) -> bytes:
    """Encode a masked frame, as a client must (RFC 6455, section 5.2)."""
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", first, 0x80 | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, 0x80 | 126, size)
    else:
        head = struct.pack("!BBQ", first, 0x80 | 127, size)
    pad = MASK * (size // 4 + 1)
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(pad[:size], "big")
    return head + MASK + masked.to_bytes(size, "big")


class Raw:
    """A socket to the gateway that is read frame by frame."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", receive_buffer: int = 0) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect((host, port))
        self.rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def open(self, path: str = "/", **headers: str) -> str:
        """Ask to be let in; give the status line and headers of the answer."""
        self.send(opening(path, **headers))
        return self.head()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def head(self) -> str:
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        return head.decode("latin-1")

    def frame(self) -> tuple[int, bytes]:
        """Give the opcode and payload of the next frame."""
        first, second = self._take(2)
        assert not second & 0x80, "a server masks nothing"
        assert first & 0x80, "the gateway joins fragments"
        size = second & 0x7F
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(size)

    def closing(self) -> int:
        """Give the close code with which the gateway ends this connection."""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                return int(struct.unpack("!H", payload[:2])[0]) if payload else 1005

    def ended(self) -> bool:
        """Read to the end of the connection; say whether anything but its end was left."""
        try:
            while data := self.socket.recv(65536):
                self.rest += data
        except ConnectionError:
            pass
        return not self.rest

    def read_ahead(self, size: int) -> None:
        """Read until so many bytes wait in ``rest``."""
        while len(self.rest) < size:
            self._more()

    def _take(self, size: int) -> bytes:
        self.read_ahead(size)
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionResetError("the gateway closed the connection")
        self.rest += data
