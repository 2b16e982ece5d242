"""Does it say of itself that it is well: ``GET`` on a health page, where 200 passes."""

from __future__ import annotations

import asyncio
from typing import Self

import httpx2

from lazarus_pit.formats.text import one_line
from lazarus_pit.probes.seen import Seen, failed, from_error, passed, unknown

MOST_CONNECTIONS = 200


class Pages:
    """What all probes of a sweep share: no proxy, no redirect, nobody's credentials."""

    def __init__(self) -> None:
        """Nothing is connected before the first probe."""
        limits = httpx2.Limits(max_connections=MOST_CONNECTIONS, max_keepalive_connections=0)
        self._client = httpx2.AsyncClient(
            trust_env=False, follow_redirects=False, limits=limits, timeout=None
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def probe(self, url: str, seconds: float) -> Seen:
        """Return what the page answers within so many seconds; its body is never read."""
        try:
            async with asyncio.timeout(seconds), self._client.stream("GET", url) as answer:
                said = f"status {answer.status_code}"
                return passed(said) if answer.status_code == 200 else failed(said)
        except TimeoutError:
            return failed("no answer")
        except (httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            return unknown(one_line(f"cannot be asked: {error}"))
        except httpx2.HTTPError as error:
            return _from_cause(error)


def _from_cause(error: httpx2.HTTPError) -> Seen:
    """Look for the system's own error below the client's words for it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return from_error(cause)
        cause = cause.__cause__ or cause.__context__
    return failed(one_line(str(error) or type(error).__name__))
