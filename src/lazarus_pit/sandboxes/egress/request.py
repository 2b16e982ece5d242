"""The head of a request to a proxy (RFC 9112, sections 3.2 and 9; RFC 9110, section 9.3.6). Pure.

It comes from an agent: every byte is looked at, and what is passed on is written anew.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lazarus_pit.errors import FormatError

HEAD_LIMIT = 16_384
"""Bytes of a head, its empty line included."""
END = b"\r\n\r\n"

_LINE = re.compile(rb"([A-Z]{1,20}) ([\x21-\x7e]+) HTTP/1\.[01]\Z")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)\Z")
_AUTHORITY = r"(\[[0-9a-fA-F:.]+\]|[^\[\]/:@?#]+)"
_CONNECT = re.compile(rf"{_AUTHORITY}:([0-9]{{1,5}})\Z")
_URL = re.compile(rf"(?i:http)://{_AUTHORITY}(?::([0-9]{{0,5}}))?([/?][^#]*)?\Z")
_OF_ONE_HOP = frozenset(
    b"connection host keep-alive proxy-authenticate proxy-authorization proxy-connection te "
    b"trailer transfer-encoding upgrade".split()
)


class Request(NamedTuple):
    """What an agent asks for."""

    host: str
    """As it stands there, in lower case and without a dot at its end."""
    port: int
    head: bytes = b""
    """What to send to the host first; nothing for a tunnel."""
    body: int | None = None
    """Bytes that follow; ``None`` for a tunnel, where everything does."""


def parse(head: bytes) -> Request:
    """Return the request that these bytes, up to and with the empty line, make.

    Raises:
        FormatError: it is none, or one that could be understood in two ways.
    """
    first, *lines = head.removesuffix(END).split(b"\r\n")
    line = _LINE.match(first)
    if line is None:
        raise FormatError("this is not a request line of HTTP/1.1")
    fields = [_field(entry) for entry in lines]
    method, target = line[1], line[2].decode("ascii")
    if method == b"CONNECT":
        found = _CONNECT.match(target)
        if found is None:
            raise FormatError("CONNECT: expected HOST:PORT")
        return Request(_host(found[1]), _port(found[2]))
    url = _URL.match(target)
    if url is None:
        raise FormatError("this is a proxy: expected CONNECT HOST:PORT or an http:// address")
    port = _port(url[2] or "80")
    path = url[3] or "/"
    return Request(
        _host(url[1]),
        port,
        _rewritten(method, path if path.startswith("/") else f"/{path}", fields, url[1], port),
        _body(fields),
    )


def _field(entry: bytes) -> tuple[bytes, bytes]:
    found = _FIELD.match(entry)
    if found is None:
        raise FormatError("a header line is not of the form NAME: VALUE")
    return found[1].lower(), found[2].strip()


def _host(text: str) -> str:
    return text.lower().removesuffix(".")


def _port(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65_535:
        raise FormatError("expected a port from 1 to 65535")
    return port


def _body(fields: list[tuple[bytes, bytes]]) -> int:
    """The one length of the body: a second request behind it is not passed on."""
    if any(name == b"transfer-encoding" for name, _ in fields):
        raise FormatError("a body without a Content-Length cannot be passed on")
    lengths = {value for name, value in fields if name == b"content-length"}
    if not lengths:
        return 0
    length = lengths.pop()
    if lengths or not length.isdigit() or len(length) > 15:
        raise FormatError("Content-Length: expected one number")
    return int(length)


def _rewritten(
    method: bytes, path: str, fields: list[tuple[bytes, bytes]], host: str, port: int
) -> bytes:
    named = {
        word.strip().lower()
        for name, value in fields
        if name == b"connection"
        for word in value.split(b",")
    }
    kept = [
        name + b": " + value
        for name, value in fields
        if name not in _OF_ONE_HOP and (name not in named or name == b"content-length")
    ]
    authority = host if port == 80 else f"{host}:{port}"
    lines = [
        method + f" {path} HTTP/1.1".encode(),
        f"Host: {authority}".encode(),
        b"Connection: close",
        *kept,
    ]
    return b"\r\n".join(lines) + END
