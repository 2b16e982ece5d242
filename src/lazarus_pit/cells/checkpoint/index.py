"""The index beside an archive: which piece holds which path, and the state it was read in.

It is a convenience of one host: an archive without it restores as well, only slower, and the next
checkpoint is then a full one. Format: MessagePack of ``_File`` compressed with zlib; columns are
unsigned little-endian 64-bit integers, names and links are joined by NUL bytes.
"""

from __future__ import annotations

import array
import os
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec
from isal import isal_zlib

from lazarus_pit.cells.checkpoint.pieces import IsalError, Piece, Segment
from lazarus_pit.errors import FormatError

VERSION = 1
NEVER_SAME = 0
"""The ctime of an entry that may have changed without a new ctime: it is always read again."""


class Row(NamedTuple):
    """One path of a checkpoint."""

    inode: int
    ctime_ns: int
    segment: int
    link: str
    """The first name of the same file, for its further names; else empty."""
    digest: bytes
    """sha256 of the data in the archive; of a symbolic link's target; else of nothing."""
    sparse: bool


class Index(NamedTuple):
    """Where everything lies in one archive."""

    archive_size: int
    rows: dict[str, Row]
    segments: list[Segment]
    preface: list[Piece]
    """The pieces of the two members that describe the checkpoint."""


class _File(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    archive_size: int
    names: bytes
    links: bytes
    numbers: bytes
    digests: bytes
    sparse: bytes
    members: bytes
    counts: bytes
    pieces: bytes


def encode(index: Index) -> bytes:
    """Write an index as bytes."""
    rows = index.rows.values()
    segments = [Segment(0, index.preface), *index.segments]
    numbers = [row.inode for row in rows]
    numbers += [row.ctime_ns for row in rows]
    numbers += [row.segment for row in rows]
    pieces = [piece for segment in segments for piece in segment.pieces]
    file = _File(
        version=VERSION,
        archive_size=index.archive_size,
        names=os.fsencode("\0".join(index.rows)),
        links=os.fsencode("\0".join([row.link for row in rows])),
        numbers=_pack(numbers),
        digests=b"".join([row.digest for row in rows]),
        sparse=bytes([row.sparse for row in rows]),
        members=_pack([segment.members for segment in segments]),
        counts=_pack([len(segment.pieces) for segment in segments]),
        pieces=_pack([number for piece in pieces for number in piece[1:]]),
    )
    packed: bytes = isal_zlib.compress(msgspec.msgpack.encode(file), 1)
    return packed


def decode(packed: bytes) -> Index:
    """Read an index. Raises ``FormatError``."""
    try:
        file = msgspec.msgpack.decode(isal_zlib.decompress(packed), type=_File)
        if file.version != VERSION:
            raise FormatError(f"a checkpoint index of version {file.version}, expected {VERSION}")
        return _index(file)
    except (IsalError, msgspec.MsgspecError, ValueError, IndexError) as error:
        raise FormatError(f"a checkpoint index that cannot be read: {error}") from None


def read(path: Path) -> Index | None:
    """Read the index file; ``None`` where there is none that can be used."""
    try:
        return decode(path.read_bytes())
    except (OSError, FormatError):
        return None


def _index(file: _File) -> Index:
    names = os.fsdecode(file.names).split("\0") if file.names else []
    count = len(names)
    numbers = _unpack(file.numbers)
    are_empty = len(file.links) < max(count, 1)  # There is nothing but what parts them.
    links = [""] * count if are_empty else os.fsdecode(file.links).split("\0")
    digests = [file.digests[at : at + 32] for at in range(0, 32 * count, 32)]
    columns = (numbers[:count], numbers[count : 2 * count], numbers[2 * count :])
    values = map(Row._make, zip(*columns, links, digests, map(bool, file.sparse), strict=True))
    fields = iter(_unpack(file.pieces))
    pieces = map(Piece, iter(lambda: 0, 1), *[fields] * 5)
    segments = [
        Segment(members, [next(pieces) for _ in range(held)])
        for members, held in zip(_unpack(file.members), _unpack(file.counts), strict=True)
    ]
    rows = dict(zip(names, values, strict=True))
    if count and max(columns[2]) >= len(segments) - 1:
        raise FormatError("a checkpoint index that points past its end")
    return Index(file.archive_size, rows, segments[1:], segments[0].pieces)


def _pack(numbers: list[int]) -> bytes:
    column = array.array("Q", numbers)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tobytes()


def _unpack(packed: bytes) -> list[int]:
    column = array.array("Q")
    column.frombytes(packed)
    if sys.byteorder == "big":
        column.byteswap()
    return column.tolist()
