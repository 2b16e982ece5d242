"""Write an archive out of pieces; it gets its name when it is complete and on the disk."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import NamedTuple

from isal import isal_zlib

from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.checkpoint.compose import Draft, Sink, write_all
from lazarus_pit.cells.checkpoint.index import Index
from lazarus_pit.cells.checkpoint.pieces import HEAD, DamagedError, Piece, Segment, join_crc, tail

_RUN = 4 << 20


class Archive(NamedTuple):
    """A complete archive, synced, that has no name yet."""

    fd: int
    table: Index


class Writer:
    """Appends pieces to an archive and checks every byte that it copies."""

    def __init__(self, fd: int, files: list[int]) -> None:
        self._fd = fd
        self._files = files
        self._run: list[Piece] = []
        self._run_size = 0
        self._offset = len(HEAD)
        self._crc = 0
        self._raw_size = 0
        write_all(fd, HEAD)

    def add(self, piece: Piece) -> Piece:
        """Take a piece; return where it lies in the archive."""
        last = self._run[-1] if self._run else piece
        follows = piece.source == last.source and piece.offset == last.offset + last.size
        if self._run and (not follows or self._run_size > _RUN):
            self._flush()
        self._run.append(piece)
        self._run_size += piece.size
        self._crc = join_crc(self._crc, piece)
        self._raw_size += piece.raw_size
        placed = piece._replace(source=0, offset=self._offset)
        self._offset += piece.size
        return placed

    def end(self) -> int:
        """Write the end of the archive and sync it; return its size in bytes."""
        self._flush()
        end = tail(self._crc, self._raw_size)
        write_all(self._fd, end)
        os.fsync(self._fd)
        return self._offset + len(end)

    def _flush(self) -> None:
        """Copy a run of neighbours in one go. Raises ``DamagedError``."""
        if not self._run:
            return
        first = self._run[0]
        copied = os.pread(self._files[first.source], self._run_size, first.offset)
        view = memoryview(copied)
        at = 0
        for piece in self._run:
            if isal_zlib.crc32(view[at : at + piece.size]) != piece.crc:
                raise DamagedError(f"the piece at byte {piece.offset} has a wrong checksum")
            at += piece.size
        write_all(self._fd, copied)
        self._run, self._run_size = [], 0


def assemble(store: int, draft: Draft, preface: bytes) -> Archive:
    """Write an archive of a draft. Raises ``DamagedError`` and ``OSError``."""
    with ExitStack() as stack:
        spill = shelf.nameless(store)
        stack.callback(os.close, spill)
        fd = shelf.nameless(store)
        keep = stack.enter_context(ExitStack())
        keep.callback(os.close, fd)
        sink = Sink(len(draft.files), spill)
        for at in range(0, len(preface), 1 << 20):
            sink.add(preface[at : at + (1 << 20)])
        writer = Writer(fd, [*draft.files, spill])
        described = [writer.add(piece) for piece in sink.segment()]
        segments = [
            Segment(segment.members, [writer.add(piece) for piece in segment.pieces])
            for segment in draft.segments
        ]
        size = writer.end()
        keep.pop_all()
    return Archive(fd, Index(size, draft.rows, segments, described))


def publish(store: int, name: str, archive: Archive) -> None:
    """Give a complete archive its name. Raises ``OSError``."""
    # With a source directory every Python uses linkat(2) with AT_SYMLINK_FOLLOW, as a file without
    # a name needs it; without one it was link(2) before Python 3.14.
    os.link(
        f"/proc/self/fd/{archive.fd}",
        name,
        src_dir_fd=store,
        dst_dir_fd=store,
        follow_symlinks=True,
    )
    os.fsync(store)
