"""Does anybody listen: a TCP connection, opened and closed again without a word."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import Any

from lazarus_pit.core.far import Reading
from lazarus_pit.probes.crew import Crew
from lazarus_pit.probes.seen import Seen, failed, from_error, passed, unknown

Address = tuple[int, tuple[Any, ...]]
"""An address family and what ``connect`` takes."""

_WEIGHT = {Reading.PASSED: 0, Reading.FAILED: 1, Reading.UNKNOWN: 2}
"""Of several addresses the one that says most: an IPv6 route that we lack is no evidence."""
MOST_ADDRESSES = 4
"""Of one name; no name deserves the whole deadline of its gateway many times over."""


class Names:
    """Names looked up once a sweep each, however many gateways have them."""

    def __init__(self, crew: Crew, timeout: float) -> None:
        """Wait at most ``timeout`` seconds for any name."""
        self._crew = crew
        self._timeout = timeout
        self._asked: dict[str, asyncio.Task[list[tuple[int, str]]]] = {}

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Return where a host is.

        Raises:
            TimeoutError: the resolver has not answered.
            OSError: it says that there is no such host, or has failed (``socket.gaierror``).
        """
        literal = _literal(host)
        if literal is not None:
            return [_address(*literal, port)]
        if host not in self._asked:
            self._asked[host] = asyncio.create_task(self._look_up(host))
        found = await asyncio.shield(self._asked[host])
        return [_address(family, text, port) for family, text in found]

    async def _look_up(self, host: str) -> list[tuple[int, str]]:
        found = await self._crew.call(
            lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM), self._timeout
        )
        unique = dict.fromkeys((int(family), str(where[0])) for family, _, _, _, where in found)
        return list(unique)[:MOST_ADDRESSES]

    def close(self) -> None:
        """Look nothing up any more; failures that nobody waited for are heard, so as to be gone."""
        for task in self._asked.values():
            if not task.done():
                task.cancel()
            elif not task.cancelled():
                task.exception()


def _literal(host: str) -> tuple[int, str] | None:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return None
    return (socket.AF_INET if version == 4 else socket.AF_INET6), host


def _address(family: int, text: str, port: int) -> Address:
    return family, ((text, port) if family == socket.AF_INET else (text, port, 0, 0))


async def probe(host: str, port: int, names: Names, seconds: float) -> Seen:
    """Return whether anybody takes a connection within so many seconds, names included."""
    end = asyncio.get_running_loop().time() + seconds
    try:
        addresses = await names.addresses(host, port)
    except TimeoutError:
        return unknown("the name was not looked up in time")
    except socket.gaierror as error:
        gone = error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None))
        said = error.strerror or "the resolver failed"
        return failed(said) if gone else unknown(said)
    except (OSError, UnicodeError, ValueError) as error:
        return unknown(f"the name cannot be looked up: {error}")
    seen: list[Seen] = []
    for number, address in enumerate(addresses):
        left = max(0.0, end - asyncio.get_running_loop().time())
        seen.append(await _connect(address, left / (len(addresses) - number)))
        if seen[-1].reading is Reading.PASSED:
            break
    return min(seen, key=lambda one: _WEIGHT[one.reading], default=unknown("no address"))


async def _connect(address: Address, seconds: float) -> Seen:
    family, where = address
    try:
        connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return from_error(error)
    with connection:
        try:
            async with asyncio.timeout(seconds):
                await asyncio.get_running_loop().sock_connect(connection, where)
        except TimeoutError:
            return failed("no answer")
        except OSError as error:
            return from_error(error)
        # With nobody there, the kernel may have picked that very port as ours.
        if connection.getsockname() == where:
            return failed("only we ourselves answered")
        return passed()
