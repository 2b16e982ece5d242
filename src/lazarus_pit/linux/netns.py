"""Network namespaces (network_namespaces(7)): make one, enter one, listen in it."""

from __future__ import annotations

import fcntl
import os
import socket
import struct

from lazarus_pit.linux import userns
from lazarus_pit.linux.syscalls import checked, libc

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_BACKLOG = 128


def leave_network() -> None:
    """Move this process into a fresh network with nothing but a loopback device that is up.

    An ordinary user gets a user namespace around it, in which nobody but that user exists. The
    process must have one thread.

    Raises:
        OSError: the kernel refused.
    """
    userns.leave(_CLONE_NEWNET, "network")
    _raise_loopback()


def enter_network_of(pidfd: int) -> None:
    """Move this process, which must have one thread, into the network of another one.

    Raises:
        OSError: the kernel refused, or the other is in the same network: then nobody is walled in.
    """
    before = os.stat("/proc/self/ns/net").st_ino
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | userns.CLONE_NEWUSER
    checked(libc.setns(pidfd, flags), "enter network")
    if os.stat("/proc/self/ns/net").st_ino == before:
        raise OSError(0, "it has no network of its own")


def listen_inside(port: int) -> socket.socket:
    """Listen on a port of the loopback of the network that this process is in.

    Raises:
        OSError: it cannot be had.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"127.0.0.1:{port}: {error.strerror}") from error
    return listener


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack_from("H", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request), 16)[0]
        request = struct.pack("16sH14x", b"lo", flags | _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)
