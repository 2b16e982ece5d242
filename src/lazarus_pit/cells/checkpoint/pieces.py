"""Cut a gzip stream into pieces that stand alone: each ends at a full flush.

Joined with ``HEAD`` before and ``tail()`` after, pieces are one ordinary gzip member (RFC 1952).
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import NamedTuple, cast

from isal import isal_zlib

from lazarus_pit.cells.checkpoint.scan import Entry
from lazarus_pit.errors import FormatError

HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"
CHUNK = 1 << 20
"""Files larger than this stand alone and are cut every so many bytes."""
_CUT_FROM, _CUT_AT = 32 << 10, 128 << 10
_RECORD = 10240


# The package's stubs take the exception for an instance.
IsalError = cast("type[Exception]", isal_zlib.error)


class Piece(NamedTuple):
    """Where a run of compressed bytes lies and what they unfold to; sizes in bytes."""

    source: int
    """Which file: see ``compose``. In an index it is always 0, the archive itself."""
    offset: int
    size: int
    raw_size: int
    raw_crc: int
    crc: int


class Segment(NamedTuple):
    """Whole tar members, in one piece or (one large file) in several."""

    members: int
    pieces: list[Piece]


class DamagedError(FormatError):
    """A piece is not what the index says."""


def squeeze(raw: bytes) -> bytes:
    """Compress to a raw deflate stream that ends at a full flush."""
    squeezer = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
    return squeezer.compress(raw) + squeezer.flush(isal_zlib.Z_FULL_FLUSH)


def unfold(fd: int, piece: Piece) -> bytes:
    """Read and decompress one piece. Raises ``DamagedError``."""
    packed = os.pread(fd, piece.size, piece.offset)
    if isal_zlib.crc32(packed) != piece.crc:
        raise DamagedError(f"the piece at byte {piece.offset} has a wrong checksum")
    try:
        raw = isal_zlib.decompressobj(-15).decompress(packed, piece.raw_size + 1)
    except IsalError as error:
        raise DamagedError(f"the piece at byte {piece.offset} does not unfold: {error}") from None
    if len(raw) != piece.raw_size or isal_zlib.crc32(raw) != piece.raw_crc:
        raise DamagedError(f"the piece at byte {piece.offset} is not what the index says")
    return raw


def join_crc(crc: int, piece: Piece) -> int:
    """Extend the checksum of all raw bytes by those of a piece."""
    joined: int = isal_zlib.crc32_combine(crc, piece.raw_crc, piece.raw_size)
    return joined


def tail(pieces_crc: int, raw_size: int) -> bytes:
    """End the tar stream (padded to its record of 10,240 bytes) and the gzip member."""
    end = bytes(1024 + -(raw_size + 1024) % _RECORD)
    crc = isal_zlib.crc32_combine(pieces_crc, isal_zlib.crc32(end), len(end))
    trailer = struct.pack("<II", crc & 0xFFFFFFFF, (raw_size + len(end)) & 0xFFFFFFFF)
    return squeeze(end) + b"\x03\x00" + trailer


def plan(tree: list[Entry]) -> list[tuple[int, int]]:
    """Cut a tree into runs ``[from, to)`` for one segment each.

    Cuts depend on names and sizes alone, so that a new or removed file disturbs one run only.
    """
    runs = []
    start = gathered = 0
    for place, (path, state) in enumerate(tree):
        size = 0 if path[-1] == "/" else state.st_size
        if size > CHUNK:
            if start < place:
                runs.append((start, place))
            runs.append((place, place + 1))
            start, gathered = place + 1, 0
            continue
        gathered += 1024 + size
        if gathered >= _CUT_AT or (
            gathered >= _CUT_FROM and zlib.crc32(os.fsencode(path)) & 3 == 0
        ):
            runs.append((start, place + 1))
            start, gathered = place + 1, 0
    if start < len(tree):
        runs.append((start, len(tree)))
    return runs


class Unzip:
    """Read any gzip stream, member after member, for archives that have no index.

    ``most`` bounds the bytes it may unfold to. Raises ``FormatError``.
    """

    def __init__(self, fd: int, most: int) -> None:
        self._fd = fd
        self._offset = 0
        self._left = most
        self._engine = isal_zlib.decompressobj(31)
        self._packed = b""

    def __call__(self) -> bytes:
        """Return the next bytes; empty at the end."""
        while not self._engine.eof:
            if not self._packed and not self._engine.unconsumed_tail:
                self._packed = os.pread(self._fd, CHUNK, self._offset)
                self._offset += len(self._packed)
                if not self._packed:
                    raise FormatError("the archive ends early: its gzip stream has no end")
            raw = self._unfold()
            if raw:
                self._left -= len(raw)
                if self._left < 0:
                    raise FormatError("the archive unfolds to more bytes than are allowed")
                return raw
        return b""

    def _unfold(self) -> bytes:
        packed = self._engine.unconsumed_tail or self._packed
        self._packed = b""
        try:
            return self._engine.decompress(packed, CHUNK)
        except IsalError as error:
            raise FormatError(f"the archive is no sound gzip stream: {error}") from None
