"""Unix sockets by path, however long: the kernel takes 107 bytes, the way to a cell is longer."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
from collections.abc import Iterator


def listen(path: str, backlog: int) -> socket.socket:
    """Listen on a path, in the place of whatever socket was there, for this user alone.

    The socket keeps the boundaries of messages (``SOCK_SEQPACKET``).

    Raises:
        OSError: it cannot be made there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with near(path) as short:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(short)
            listener.bind(short)
            os.chmod(short, 0o600)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def connect(path: str, timeout: float) -> socket.socket:
    """Connect to a path; ``timeout`` in seconds holds for everything done with the socket.

    Raises:
        OSError: nobody listens there.
    """
    speaker = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        speaker.settimeout(timeout)
        with near(path) as short:
            speaker.connect(short)
    except OSError:
        speaker.close()
        raise
    return speaker


def peer(connection: socket.socket) -> tuple[int, int]:
    """The pid and user of the other side: who connected, or who listened (unix(7))."""
    size = struct.calcsize("3i")
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid, uid, _ = struct.unpack("3i", found)
    return pid, uid


@contextlib.contextmanager
def near(path: str) -> Iterator[str]:
    """Yield another name of a socket's path, short enough for the kernel.

    Raises:
        OSError: its directory is not there.
    """
    folder, name = os.path.split(path)
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)
