"""Get hold of what the machine must give: ports to listen on, descriptors for clients."""

from __future__ import annotations

import errno
import logging
import resource
import socket

from msgspec import structs

from lazarus_pit.errors import LazarusError, UsageError
from lazarus_pit.gateway.limits import Limits
from lazarus_pit.linux.listeners import holder_of

BACKLOG = 1024
SPARE_DESCRIPTORS = 384
"""Descriptors beside those of clients: refused ones, health connections, listeners."""

log = logging.getLogger("lazarus_pit.gateway")


def listen(flag: str, host: str, port: int, send_buffer: int = 0) -> list[socket.socket]:
    """Listen on every address of a host; port 0 lets the system pick one for all of them.

    Raises:
        UsageError: the host has no address.
        LazarusError: the port is taken, or not ours to take.
    """
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise UsageError(f"{flag} {host!r} has no address: {error}") from None
    sockets: list[socket.socket] = []
    missing = ""
    for family, kind, number, _, address in found:
        where = (address[0], port, *address[2:])
        sock = socket.socket(family, kind, number)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if send_buffer:  # Inherited by every connection; else the kernel lets it grow to megabytes.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        try:
            sock.bind(where)
            sock.listen(BACKLOG)
        except OSError as error:
            sock.close()
            if error.errno == errno.EADDRNOTAVAIL:  # Such as ::1 where there is no IPv6.
                missing = f"{flag} {address[0]} is not an address of this machine"
                continue
            for other in sockets:
                other.close()
            raise LazarusError(_why_not(flag, str(address[0]), port, error)) from None
        port = sock.getsockname()[1]
        sockets.append(sock)
    if not sockets:
        raise UsageError(missing)
    return sockets


def _why_not(flag: str, address: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port) or "somebody who is not to be seen from here"
        choice = f"{flag.replace('host', 'port')}, or [gateway] in the configuration"
        return f"port {port} on {address} is taken by {holder}; choose another: {choice}"
    return f"cannot listen on port {port} of {address}: {error.strerror}"


def fit_descriptors(limits: Limits) -> Limits:
    """Raise the process's limit of open files to what the clients need, else accept fewer."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.clients + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return limits
    clients = max(1, soft - SPARE_DESCRIPTORS)
    log.warning("open files are limited to %d: %d clients at most", soft, clients)
    return structs.replace(limits, clients=clients)
