"""Take in the members of an archive: each must be what the list says, or all of it is refused."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from lazarus_pit.cells.checkpoint import tar
from lazarus_pit.cells.checkpoint.manifest import attributes, name_of
from lazarus_pit.cells.checkpoint.pieces import CHUNK, Segment
from lazarus_pit.cells.checkpoint.scan import DEEPEST
from lazarus_pit.cells.checkpoint.share import run_shares, share_out
from lazarus_pit.cells.checkpoint.source import Source, stream_of
from lazarus_pit.cells.checkpoint.untar import Found, Stream, next_member, printable, read_map
from lazarus_pit.errors import FormatError

Chunks = Iterator[tuple[int, bytes]]
"""A file's data: (offset, bytes)."""

_TYPES = {tar.REGULAR: stat.S_IFREG, tar.SYMLINK: stat.S_IFLNK, tar.DIRECTORY: stat.S_IFDIR}
_REFUSED = {b"3": "a character device", b"4": "a block device", b"6": "a FIFO"}
_ENTRY_COST = 60_000
_UP = {"", ".", ".."}
_NAME = 255
"""Bytes of the longest name that Linux takes, and of the longest link."""
_TARGET = 4095
_SHORT = 63
"""Characters that are no more bytes than that in any case."""


class Placer(Protocol):
    """Whoever does something with the members that were taken in."""

    def file(self, member: Found, chunks: Chunks) -> None:
        """Take a regular file; every chunk must be drawn."""

    def directory(self, member: Found) -> None:
        """Take a directory."""

    def symlink(self, member: Found) -> None:
        """Take a symbolic link."""

    def result(self) -> Any:
        """Return what this share of the work has to say; it is pickled."""


class Ignore:
    """A placer for those who only want to know that all is sound."""

    def file(self, member: Found, chunks: Chunks) -> None:  # noqa: ARG002
        """Draw the data."""
        for _ in chunks:
            pass

    def directory(self, member: Found) -> None:
        """Do nothing."""

    def symlink(self, member: Found) -> None:
        """Do nothing."""

    def result(self) -> None:
        """Say nothing."""


class Link(NamedTuple):
    """A further name of a file."""

    path: str
    target: str


class Taken(NamedTuple):
    """What one share of the work has taken in."""

    names: list[bytes]
    links: list[Link]
    said: Any


class Intake:
    """Takes members out of streams and hands them to a placer.

    ``parts``: the paths that members may lie in. ``most_bytes`` bounds the data.
    """

    def __init__(
        self, lines: dict[bytes, bytes], parts: Sequence[str], most_bytes: int, placer: Placer
    ) -> None:
        self._lines = lines
        self._parts = tuple(part.rstrip("/") + "/" for part in parts)
        self._left = most_bytes
        self._placer = placer
        self._names: list[bytes] = []
        self._links: list[Link] = []

    def taken(self) -> Taken:
        """Say what was taken in so far."""
        return Taken(self._names, self._links, self._placer.result())

    def take(self, stream: Stream) -> None:
        """Take every member. Raises ``FormatError`` that names the member, and ``OSError``."""
        while (member := next_member(stream)) is not None:
            _check_path(member.path, member.path, self._parts)
            self._left -= member.size
            if self._left < 0:
                raise FormatError(f"{printable(member.path)}: more data than is allowed")
            if member.kind == tar.LINK:
                _check_path(member.path, member.target, self._parts)
                self._links.append(Link(member.path, member.target))
                _no_data(member)
                continue
            if member.kind not in _TYPES:
                what = _REFUSED.get(member.kind, f"of the type {member.kind!r}")
                raise FormatError(f"{printable(member.path)}: is {what}; no checkpoint holds one")
            self._place(stream, member)

    def _place(self, stream: Stream, member: Found) -> None:
        if member.kind == tar.REGULAR:
            if member.size <= CHUNK and not member.sparse:
                data = stream.read(member.size)
                digest = hashlib.sha256(data)
                self._placer.file(member, iter(((0, data),) if data else ()))
            else:
                digest = hashlib.sha256()
                self._placer.file(member, _chunks(stream, member, digest.update))
            stream.read(-member.size % tar.BLOCK)
        elif member.kind == tar.DIRECTORY:
            _no_data(member)
            digest = hashlib.sha256()
            self._placer.directory(member)
        else:
            if len(os.fsencode(member.target)) > _TARGET:
                raise FormatError(f"{printable(member.path)}: leads further than {_TARGET} bytes")
            _no_data(member)
            digest = hashlib.sha256(os.fsencode(member.target))
            self._placer.symlink(member)
        name = name_of(member.path)
        mode = _TYPES[member.kind] | member.mode
        said = attributes(
            mode, member.mtime_ns, member.real_size, digest.digest(), sparse=member.sparse
        )
        expected = self._lines.get(name)
        if expected != said:
            wanted = expected.decode() if expected else "not to be there at all"
            raise FormatError(
                f"{printable(member.path)}: found {said.decode()}, the list says {wanted}"
            )
        self._names.append(name)


def take_all(source: Source, make: Callable[[], Intake], jobs: int) -> list[Taken]:
    """Take in a whole archive, in several processes where it has an index.

    Raises ``FormatError`` where a member is not as listed or a listed one is missing.
    """
    if source.table is None:
        taken = [_take_streams(make(), [source.rest] if source.rest else [])]
        if source.rest is not None:
            source.rest.drain()
    else:
        segments = source.table.segments
        shares = share_out(segments, _weight, jobs)
        taken = run_shares(shares, lambda _, share: _take_streams(make(), stream_of(source, share)))
    _check_whole(source.preface.lines, taken)
    return taken


def _take_streams(intake: Intake, streams: Iterable[Stream]) -> Taken:
    for stream in streams:
        intake.take(stream)
    return intake.taken()


def _weight(segment: Segment) -> int:
    return segment.members * _ENTRY_COST + sum(piece.raw_size for piece in segment.pieces)


def _check_whole(lines: dict[bytes, bytes], taken: list[Taken]) -> None:
    names = {name for share in taken for name in share.names}
    if sum(len(share.names) for share in taken) != len(names):
        raise FormatError("a member is there twice")
    for link in (link for share in taken for link in share.links):
        name, target = name_of(link.path), name_of(link.target)
        said = lines.get(target, b"")
        if target not in names or said.startswith(b"type=dir"):
            shown = printable(link.target)
            raise FormatError(f"{printable(link.path)}: a link to {shown}, which is no file of it")
        if lines.get(name) != said or name in names:
            raise FormatError(f"{printable(link.path)}: a link that the list does not know")
        names.add(name)
    if len(names) != len(lines):
        missing = next(name for name in lines if name not in names)
        raise FormatError(f"{missing.decode()}: listed, but not in the archive")


def _chunks(stream: Stream, member: Found, update: Callable[[bytes], None]) -> Chunks:
    if not member.sparse:
        offset = 0
        for chunk in stream.chunks(member.size, CHUNK):
            update(chunk)
            yield offset, chunk
            offset += len(chunk)
        return
    described, extents = read_map(stream, member)
    update(described)
    for start, length in extents:
        offset = start
        for chunk in stream.chunks(length, CHUNK):
            update(chunk)
            yield offset, chunk
            offset += len(chunk)


def _no_data(member: Found) -> None:
    if member.size:
        raise FormatError(f"{printable(member.path)}: data where there can be none")


def _check_path(member: str, path: str, parts: tuple[str, ...]) -> None:
    """Refuse a path that could leave the directory, or lie where no part is."""
    names = path.removesuffix("/").split("/")
    if not _UP.isdisjoint(names) or "\0" in path:
        raise FormatError(f"{printable(member)}: refused: {printable(path)} leaves the cell")
    longest = max(map(len, names))
    if longest > _SHORT and any(len(os.fsencode(name)) > _NAME for name in names):
        where = printable(member)[:200]
        raise FormatError(f"{where}…: refused: a name of more than {_NAME} bytes")
    if len(names) > DEEPEST + 1:
        raise FormatError(f"{printable(member)[:200]}…: refused: deeper than {DEEPEST} directories")
    if not (path + "/").startswith(parts):
        raise FormatError(f"{printable(member)}: refused: {printable(path)} is in no known part")
