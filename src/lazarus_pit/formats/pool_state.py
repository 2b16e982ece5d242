"""The pool's memory on disk: what it believes about each gateway, one JSON object."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from lazarus_pit.core.far import Far
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text

VERSION = 1
MAX_BYTES = 64 * 1024 * 1024


class _Memory(Struct, frozen=True, kw_only=True):
    version: int
    gateways: tuple[Far, ...] = ()


def encode(gateways: Iterable[Far]) -> bytes:
    """Return the file that remembers these gateways.

    Raises:
        FormatError: JSON cannot say it.
    """
    memory = _Memory(version=VERSION, gateways=tuple(gateways))
    return text.encode(memory, "pool state") + b"\n"


def parse(data: bytes) -> dict[str, Far]:
    """Return the remembered gateways by their names.

    Raises:
        FormatError: it is no such file, or one of a later release.
    """
    memory = text.decode(data, _Memory, "pool state")
    if memory.version != VERSION:
        raise FormatError(f"pool state: version {memory.version}, expected {VERSION}")
    return {far.key: far for far in memory.gateways}
