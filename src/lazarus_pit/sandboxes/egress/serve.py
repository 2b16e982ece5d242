"""One connection of one agent: read what it asks for, decide, connect, and pass bytes on."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple

from lazarus_pit.errors import FormatError, RefusedError
from lazarus_pit.formats import text
from lazarus_pit.formats.allowlist import Address, Rule
from lazarus_pit.sandboxes.egress import policy, relay, request
from lazarus_pit.sandboxes.egress.request import HEAD_LIMIT, Request


class Limits(NamedTuple):
    """What one agent may take up; times in seconds."""

    connections: int = 256
    """Of one life at once."""
    lookups: int = 4
    """Names of one life that are resolved at once."""
    head: float = 15.0
    """Until a request's head must be there, however slowly it drips."""
    reach: float = 20.0
    """Until a host must be resolved and connected to."""
    idle: float = 900.0
    """Without a byte in either direction: a model may think for minutes before it speaks."""


class Client(NamedTuple):
    """Who is served, by which rules, and who hears of it."""

    agent: str
    rules: Sequence[Rule]
    lookups: asyncio.Semaphore
    denied: Callable[[str, int, str], None]
    """Called with host, port and the reason."""
    passed: Callable[[str, int], None]
    """Called with host and port."""


_REASONS = {
    400: "Bad Request",
    403: "Forbidden",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    502: "Bad Gateway",
    503: "Service Unavailable",
}
_ANY_PORT = 9
_TUNNEL = b"HTTP/1.1 200 Connection established\r\n\r\n"


class _Answered(Exception):  # noqa: N818 - not a fault: the answer that ends a conversation
    """The client gets this answer and no more."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


async def serve(connection: socket.socket, client: Client, limits: Limits) -> None:
    """Answer one request to the proxy, and close the connection."""
    try:
        wanted, early = await _read_request(connection, limits)
        server = await _reach(client, wanted, limits)
        with server:
            await _join(connection, server, wanted, early, limits.idle)
    except _Answered as answer:
        await relay.say_last(connection, answer_of(answer.status, str(answer)))
    except OSError:
        pass  # One of the two sides is gone; the other will notice.
    finally:
        connection.close()


async def lead_through(connection: socket.socket, port: int, limits: Limits) -> None:
    """Join a connection to the same port on the host's loopback, and close it afterwards."""
    try:
        with await _connect(ipaddress.IPv4Address("127.0.0.1"), port) as server:
            await relay.Pair(connection, server, limits.idle).relay(None)
    except OSError:
        pass  # Nobody listens there, or one of the two is gone: closed is what a client expects.
    finally:
        connection.close()


def answer_of(status: int, sentence: str) -> bytes:
    """The bytes of an answer that says one sentence."""
    body = f"lazarus: {sentence}\n".encode()
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def resolve(host: str, port: int) -> list[Address]:
    """Look a name up as the host does. Raises ``OSError`` where there is none."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host.encode("ascii"), port, type=socket.SOCK_STREAM
    )
    unique = dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in found)
    return [ipaddress.ip_address(address) for address in unique]


def is_own(address: Address) -> bool:
    """Whether an address is one of this host's: to itself a host speaks from the same address.

    Nothing is sent for it: a datagram socket only asks the kernel for the way.
    """
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((str(address), _ANY_PORT))
        except OSError:
            return False  # No way leads there, so no connection will either.
        return ipaddress.ip_address(asking.getsockname()[0].partition("%")[0]) == address


# ---------------------------------------------------------------- below


async def _read_request(connection: socket.socket, limits: Limits) -> tuple[Request, bytes]:
    """Read a head, and return what it asks for and what came behind it."""
    loop = asyncio.get_running_loop()
    got = bytearray()
    try:
        async with asyncio.timeout(limits.head):
            while request.END not in got:
                if len(got) >= HEAD_LIMIT:
                    raise _Answered(431, f"a request's head may have {HEAD_LIMIT} bytes")
                more = await loop.sock_recv(connection, HEAD_LIMIT - len(got))
                if not more:
                    raise ConnectionResetError
                got += more
    except TimeoutError:
        raise _Answered(408, f"no whole request within {limits.head:g} seconds") from None
    head, end, early = bytes(got).partition(request.END)
    try:
        return request.parse(head + end), early
    except FormatError as error:
        raise _Answered(400, str(error)) from None


async def _reach(client: Client, wanted: Request, limits: Limits) -> socket.socket:
    """Return a connection to where the agent wants to go, if it may."""
    shown = text.one_line(wanted.host, 253)
    place = f"{shown}:{wanted.port}"

    def looked(done: asyncio.Future[list[Address]]) -> None:
        client.lookups.release()
        if not done.cancelled():
            done.exception()  # Whoever waited has heard of it, or waits no more.

    async def look_up(host: str, port: int) -> list[Address]:
        await client.lookups.acquire()
        looking = asyncio.ensure_future(resolve(host, port))
        looking.add_done_callback(looked)
        return await asyncio.shield(looking)  # No thread that looks a name up can be called off.

    try:
        async with asyncio.timeout(limits.reach):
            found = await policy.addresses(client.rules, wanted.host, wanted.port, look_up, is_own)
            server = await _first(found, wanted.port)
    except RefusedError as error:
        client.denied(shown, wanted.port, str(error))
        raise _Answered(403, f"{client.agent} may not reach {place}: it {error}") from None
    except TimeoutError:
        raise _Answered(502, f"{place} did not answer in {limits.reach:g} seconds") from None
    except OSError as error:
        raise _Answered(502, f"{place} cannot be reached: {error.strerror or error}") from None
    client.passed(shown, wanted.port)
    return server


async def _first(addresses: Sequence[Address], port: int) -> socket.socket:
    """Connect to the first address that answers."""
    fault = OSError("it has no address")
    for address in addresses:
        try:
            return await _connect(address, port)
        except OSError as error:
            fault = error
    raise fault


async def _connect(address: Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    server = socket.socket(family, socket.SOCK_STREAM)
    try:
        server.setblocking(False)
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(server, (str(address), port))
    except BaseException:
        server.close()
        raise
    return server


async def _join(
    connection: socket.socket, server: socket.socket, wanted: Request, early: bytes, idle: float
) -> None:
    loop = asyncio.get_running_loop()
    pair = relay.Pair(connection, server, idle)
    if wanted.body is None:
        await loop.sock_sendall(connection, _TUNNEL)
        if early:
            await loop.sock_sendall(server, early)
        await pair.relay(None)
        return
    first = early[: wanted.body]
    await loop.sock_sendall(server, wanted.head + first)
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await pair.relay(wanted.body - len(first))
