"""Read an archive: by its index where it has one that fits, else from the front as it comes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.checkpoint import index, shelf
from lazarus_pit.cells.checkpoint.manifest import (
    About,
    Preface,
    lines_by_segment,
    read_about,
    read_preface,
)
from lazarus_pit.cells.checkpoint.pieces import (
    HEAD,
    DamagedError,
    Piece,
    Segment,
    Unzip,
    join_crc,
    tail,
    unfold,
)
from lazarus_pit.cells.checkpoint.untar import Stream
from lazarus_pit.errors import FormatError, UsageError

MOST_BYTES = 1 << 40
"""What an archive may unfold to unless more is allowed: 1 TiB."""


class Source(NamedTuple):
    """An open archive. With ``table`` its segments can be read in any order."""

    path: Path
    fd: int
    table: index.Index | None
    preface: Preface
    rest: Stream | None
    """What follows the preface, where there is no index."""


@contextmanager
def opened(
    archive: Path, most_bytes: int = MOST_BYTES, *, indexed: bool = True
) -> Iterator[Source]:
    """Open an archive and read what it says about itself.

    Without ``indexed`` no index beside it is looked at: a stranger's may unfold to anything.
    Raises ``UsageError`` where there is none, ``FormatError`` where it is no checkpoint.
    """
    try:
        fd = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{archive}: {os.strerror(error.errno or 0)}") from None
    try:
        beside = archive.with_name(archive.name.removesuffix(shelf.ARCHIVE) + shelf.INDEX)
        found = index.read(beside) if indexed else None
        with naming(archive):
            if found is not None and found.archive_size == os.fstat(fd).st_size:
                preface = read_preface(Stream(_pieces(fd, found.preface).__next__))
                yield Source(archive, fd, found, preface, None)
            else:
                rest = Stream(Unzip(fd, most_bytes))
                yield Source(archive, fd, None, read_preface(rest), rest)
    finally:
        os.close(fd)


def about_of(archive: Path) -> About:
    """Read what an archive says about itself, and no more of it.

    Raises ``UsageError`` where there is none, ``FormatError`` where it is no checkpoint.
    """
    try:
        fd = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError(f"{archive}: {os.strerror(error.errno or 0)}") from None
    try:
        with naming(archive):
            return read_about(Stream(Unzip(fd, MOST_BYTES)))
    finally:
        os.close(fd)


@contextmanager
def naming(archive: Path) -> Iterator[None]:
    """Have errors in an archive name it."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{archive}: {error}") from None


def listed(fd: int, table: index.Index) -> list[bytes]:
    """Read the list of an archive, parted by its segments; empty where it does not fit the index.

    Raises ``DamagedError``.
    """
    try:
        return lines_by_segment(Stream(_pieces(fd, table.preface).__next__), table.segments)
    except DamagedError:
        raise
    except FormatError:
        return [b""] * len(table.segments)


def stream_of(source: Source, segments: Sequence[Segment]) -> Iterator[Stream]:
    """Give a stream for each segment; its members are whole."""
    for segment in segments:
        yield Stream(_pieces(source.fd, segment.pieces).__next__)


def check_cover(source: Source) -> None:
    """See that the index's pieces follow one another from the first byte to the last.

    Then every byte of the archive is under some checksum. Raises ``FormatError``.
    """
    if source.table is None:
        return
    end = len(HEAD)
    crc = raw_size = 0
    for segment in [Segment(0, source.table.preface), *source.table.segments]:
        for piece in segment.pieces:
            if piece.offset != end:
                raise FormatError(f"the index leaves out bytes {end:,} to {piece.offset:,}")
            end += piece.size
            crc = join_crc(crc, piece)
            raw_size += piece.raw_size
    expected = tail(crc, raw_size)
    if os.pread(source.fd, len(expected) + 1, end) != expected:
        raise FormatError("the archive does not end as the index says")


def _pieces(fd: int, pieces: Sequence[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        yield unfold(fd, piece)
    while True:
        yield b""
