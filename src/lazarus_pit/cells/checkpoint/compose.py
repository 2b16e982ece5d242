"""Make the segments of an archive: reuse, else rebuild from members at hand, else from the disk.

Both passes of a save go through here. The live pass composes the tree out of the previous
archive and the disk; the frozen pass composes it out of the live pass and what was captured.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from isal import isal_zlib

from lazarus_pit.cells.checkpoint import tar
from lazarus_pit.cells.checkpoint.index import NEVER_SAME, Row
from lazarus_pit.cells.checkpoint.members import Member, emptied
from lazarus_pit.cells.checkpoint.pieces import CHUNK, Piece, Segment, plan, squeeze, unfold
from lazarus_pit.cells.checkpoint.scan import Entry, links_of
from lazarus_pit.cells.checkpoint.share import run_shares, share_out
from lazarus_pit.cells.checkpoint.untar import slices

_ENTRY_COST = 40_000
"""Handling an entry costs about as much time as compressing so many bytes."""
_WORTH_A_FORK = 32 << 20
_OPEN_SEGMENTS = 16
_NO_DIGEST = bytes(32)

Fresh = Callable[[str, os.stat_result, str], Member]


class Draft(NamedTuple):
    """A composed tree. Pieces say by ``source`` in which of ``files`` they lie."""

    rows: dict[str, Row]
    segments: list[Segment]
    files: list[int]
    torn: set[str]
    """Paths whose members are empty, as they could not be read."""


class TornError(Exception):
    """A member cannot be read while it is being changed; the frozen pass will see to it."""


class Made(NamedTuple):
    """One segment that a share of the work has built."""

    number: int
    pieces: list[Piece]
    digests: dict[str, tuple[bytes, bool]]
    """For each member made afresh its sha256 and whether it is sparse."""
    torn: list[str]


class Means(NamedTuple):
    """What composing needs of the machine: new nameless files, processes, and someone to tell."""

    spill: Callable[[], int]
    jobs: int
    report: Callable[[float], None]
    """Told the share of the work that is done, from 0 to 1."""


class Composer:
    """Composes one tree on top of a prior draft.

    ``fresh`` makes a member anew; ``stale`` names paths that must be made so whatever their state.
    """

    def __init__(
        self, tree: list[Entry], prior: Draft, fresh: Fresh, stale: Collection[str]
    ) -> None:
        self._tree = tree
        self._prior = prior
        self._fresh = fresh
        self._stale = stale
        self._rows = prior.rows
        self._links = links_of(tree)
        self._runs = plan(tree)
        self._open: dict[int, dict[str, bytes]] = {}

    def compose(self, means: Means) -> Draft:
        """Build what must be built and return the whole. Raises ``DamagedError``, ``OSError``."""
        rows: dict[str, Row] = {}
        segments: list[Segment] = []
        todo = []
        for number, (start, end) in enumerate(self._runs):
            run = self._tree[start:end]
            kept = self._kept(run)
            if kept is None:
                todo.append(number)
                segments.append(Segment(end - start, []))
                self._note_rows(rows, number, run)
            else:
                segments.append(self._prior.segments[kept[0].segment])
                if kept[0].segment != number:
                    kept = [row._replace(segment=number) for row in kept]
                rows.update(zip([path for path, _ in run], kept, strict=True))
        files = list(self._prior.files)
        torn: set[str] = set()
        for made in self._build(todo, files, means):
            segments[made.number].pieces.extend(made.pieces)
            torn.update(made.torn)
            for path, (digest, sparse) in made.digests.items():
                rows[path] = rows[path]._replace(digest=digest, sparse=sparse)
        return Draft(rows, segments, files, torn)

    def _build(self, todo: list[int], files: list[int], means: Means) -> list[Made]:
        jobs = means.jobs if sum(map(self._weight, todo)) > _WORTH_A_FORK else 1
        shares = share_out(todo, self._weight, jobs)
        first = len(files)
        files += [means.spill() for _ in shares]

        def work(share: int, numbers: Sequence[int]) -> list[Made]:
            sink = Sink(first + share, files[first + share])
            made = []
            for done, number in enumerate(numbers):
                if share == 0 and done % 64 == 0:
                    means.report(done / len(numbers))
                made.append(self._segment(number, sink))
            return made

        return [made for part in run_shares(shares, work) for made in part]

    def _weight(self, number: int) -> int:
        start, end = self._runs[number]
        return sum(state.st_size + _ENTRY_COST for _, state in self._tree[start:end])

    def _same(self, path: str, state: os.stat_result) -> Row | None:
        row = self._rows.get(path)
        if (
            row is not None
            and row.ctime_ns == state.st_ctime_ns
            and row.inode == state.st_ino
            and row.link == self._links.get(path, "")
            and path not in self._stale
        ):
            return row
        return None

    def _kept(self, run: list[Entry]) -> list[Row] | None:
        """Return the rows of a run that is one whole segment of the prior draft, unchanged."""
        same = self._same
        kept = []
        for path, state in run:
            row = same(path, state)
            if row is None:
                return None
            kept.append(row)
        first = kept[0].segment
        if self._prior.segments[first].members != len(run):
            return None
        return kept if all(row.segment == first for row in kept) else None

    def _note_rows(self, rows: dict[str, Row], number: int, run: list[Entry]) -> None:
        links, prior = self._links, self._prior.rows
        for path, state in run:
            before = prior.get(path)
            digest, sparse = (before.digest, before.sparse) if before else (_NO_DIGEST, False)
            ctime = max(state.st_ctime_ns, NEVER_SAME)
            rows[path] = Row(state.st_ino, ctime, number, links.get(path, ""), digest, sparse)

    def _segment(self, number: int, sink: Sink) -> Made:
        digests: dict[str, tuple[bytes, bool]] = {}
        torn: list[str] = []
        start, end = self._runs[number]
        for path, state in self._tree[start:end]:
            row = self._same(path, state)
            if row is not None:
                sink.add(self._member_of(row.segment, path))
                continue
            try:
                member = self._fresh(path, state, self._links.get(path, ""))
            except TornError:
                torn.append(path)
                member = emptied(path, state)
            sink.add(member.head)
            digest = hashlib.sha256(member.seed)
            for chunk in member.data:
                digest.update(chunk)
                sink.add(chunk)
            if member.size % tar.BLOCK:
                sink.add(tar.padding(member.size))
            digests[path] = digest.digest(), member.sparse
        return Made(number, sink.segment(), digests, torn)

    def _member_of(self, segment: int, path: str) -> bytes:
        if segment not in self._open:
            if len(self._open) >= _OPEN_SEGMENTS:
                del self._open[next(iter(self._open))]
            raw = [
                unfold(self._prior.files[piece.source], piece)
                for piece in self._prior.segments[segment].pieces
            ]
            self._open[segment] = slices(b"".join(raw))
        return self._open[segment][path]


class Sink:
    """Gathers the bytes of one segment and writes them, compressed, to the end of a file."""

    def __init__(self, source: int, fd: int) -> None:
        self._source = source
        self._fd = fd
        self._offset = 0
        self._parts: list[bytes] = []
        self._size = 0
        self._pieces: list[Piece] = []

    def add(self, raw: bytes) -> None:
        """Take the next bytes of the segment."""
        self._parts.append(raw)
        self._size += len(raw)
        if self._size >= CHUNK:
            self._cut()

    def segment(self) -> list[Piece]:
        """End the segment and return its pieces; the next one begins."""
        if self._size:
            self._cut()
        pieces, self._pieces = self._pieces, []
        return pieces

    def _cut(self) -> None:
        raw = b"".join(self._parts)
        self._parts, self._size = [], 0
        packed = squeeze(raw)
        write_all(self._fd, packed)
        crc = isal_zlib.crc32
        piece = Piece(self._source, self._offset, len(packed), len(raw), crc(raw), crc(packed))
        self._pieces.append(piece)
        self._offset += len(packed)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte. Raises ``OSError``."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, data[done:])
