"""What every request passes first: Host, Origin, the bearer's token; and what every answer bears.

A browser sends a cookie of 127.0.0.1 to every port there, an agent's own server included; so there
is no cookie. A page elsewhere may name us by a host of its own (DNS rebinding); so Host is checked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lazarus_pit.web.keys import Key

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src 'self' data:; require-trusted-types-for 'script'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class Door:
    """Lets requests in. On the unix socket the file's mode has decided already."""

    def __init__(
        self, app: ASGIApp, bearer: Callable[[str], Key | None], hosts: Iterable[str] | None
    ) -> None:
        """Guard an application.

        Args:
            app: what is behind the door; it reads ``scope["role"]``, ``scope["who"]`` and, whether
                that name was given with a token, ``scope["named"]``.
            bearer: the key that a token is.
            hosts: names (without port) by which we may be called; ``None`` on the unix socket.
        """
        self._app = app
        self._bearer = bearer
        self._hosts = None if hosts is None else frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse or pass on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refusal(headers)
        if refusal:
            answer = JSONResponse({"error": refusal}, 421 if "Host" in refusal else 403)
            await answer(scope, receive, sealed)
            return
        if self._hosts is None:  # The kernel has said who connects.
            scope["role"], scope["who"], scope["named"] = "approver", scope["client"][0], False
        else:
            key = self._key(headers)
            scope["role"], scope["who"] = (key.role, key.who) if key else (None, "")
            scope["named"] = bool(scope["who"])
        await self._app(scope, receive, sealed)

    def _refusal(self, headers: Headers) -> str:
        if self._hosts is None:
            return ""
        host = headers.get("host", "")
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        if name.lower() not in self._hosts:
            return f"Host: found {host[:80]!r}, expected one of {', '.join(sorted(self._hosts))}"
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return f"Origin: found {origin[:80]!r}, expected http://{host}"
        return ""

    def _key(self, headers: Headers) -> Key | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        return self._bearer(token.strip()) if kind.lower() == "bearer" and token else None
