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
from lazarus_pit.cells.checkpoint.manifest import Content, lines_of
from lazarus_pit.cells.checkpoint.members import Member, emptied
from lazarus_pit.cells.checkpoint.pieces import CHUNK, Piece, Segment, plan, squeeze, unfold
from lazarus_pit.cells.checkpoint.scan import Entry, links_of
from lazarus_pit.cells.checkpoint.share import run_shares, share_out
from lazarus_pit.cells.checkpoint.untar import slices

_ENTRY_COST = 40_000
"""Handling an entry costs about as much time as compressing so many bytes."""
_WORTH_A_FORK = 32 << 20
_OPEN_SEGMENTS = 16

Run = tuple[int, int]
"""A part of the tree, ``[from, to)``, that goes into one segment."""
Fresh = Callable[[str, os.stat_result, str], Member]


class Draft(NamedTuple):
    """A composed tree. Pieces say by ``source`` in which of ``files`` they lie."""

    rows: dict[str, Row]
    segments: list[Segment]
    files: list[int]
    torn: set[str]
    """Paths whose members are empty, as they could not be read."""
    lines: list[bytes]
    """For each segment its part of the list (``manifest``); empty where it has yet to be made."""


NOTHING = Draft({}, [], [], set(), [])


class TornError(Exception):
    """A member cannot be read while it is being changed; the frozen pass will see to it."""


class Made(NamedTuple):
    """One segment that a share of the work has built."""

    number: int
    pieces: list[Piece]
    contents: list[Content]
    torn: list[str]
    lines: bytes
    """The segment's part of the list; empty where that takes what other segments hold."""


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
        has_links = bool(self._links) or any(row.link for row in prior.rows.values())
        self._is_plain = not (has_links or stale)
        """Whether an entry's inode and ctime say all there is to say."""
        self._runs = plan(tree)
        self._open: dict[int, dict[str, bytes]] = {}

    def compose(self, means: Means) -> Draft:
        """Build what must be built and return the whole. Raises ``DamagedError``, ``OSError``."""
        kept = [self._kept(start, end) for start, end in self._runs]
        todo = [number for number, rows in enumerate(kept) if rows is None]
        files = list(self._prior.files)
        made = {one.number: one for one in self._build(todo, files, means)}
        draft = Draft({}, [], files, set(), [])
        for number, (run, rows) in enumerate(zip(self._runs, kept, strict=True)):
            if rows is None:
                self._add_made(draft, run, made[number])
            else:
                self._add_kept(draft, run, rows)
        return draft

    def _add_kept(self, draft: Draft, run: Run, rows: list[Row]) -> None:
        number, before = len(draft.segments), rows[0].segment
        if before != number:
            rows = [
                Row(inode, ctime, number, link, digest, sparse)
                for inode, ctime, _, link, digest, sparse in rows
            ]
        draft.rows.update(zip([path for path, _ in self._tree[slice(*run)]], rows, strict=True))
        draft.segments.append(self._prior.segments[before])
        draft.lines.append(self._prior.lines[before])

    def _add_made(self, draft: Draft, run: Run, made: Made) -> None:
        number, links, rows = made.number, self._links, draft.rows
        for (path, state), (digest, sparse) in zip(
            self._tree[slice(*run)], made.contents, strict=True
        ):
            ctime = max(state.st_ctime_ns, NEVER_SAME)
            rows[path] = Row(state.st_ino, ctime, number, links.get(path, ""), digest, sparse)
        draft.segments.append(Segment(len(made.contents), made.pieces))
        draft.lines.append(made.lines)
        draft.torn.update(made.torn)

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

    def _is_same(self, row: Row, path: str, state: os.stat_result) -> bool:
        inode, ctime, _, link, _, _ = row
        return (
            ctime == state.st_ctime_ns
            and inode == state.st_ino
            and link == self._links.get(path, "")
            and path not in self._stale
        )

    def _kept(self, start: int, end: int) -> list[Row] | None:
        """Return the rows of a run that is one whole segment of the prior draft, unchanged."""
        rows = self._rows
        kept = []
        for path, state in self._tree[start:end]:
            row = rows.get(path)
            # Most entries are decided right here; the whole of it is in ``_is_same``.
            if row is None or row[1] != state.st_ctime_ns or row[0] != state.st_ino:
                return None
            if not self._is_plain and not self._is_same(row, path, state):
                return None
            kept.append(row)
        # Rows have the order of the tree: what lies between two of a segment is of it too.
        first = kept[0].segment
        whole = kept[-1].segment == first and self._prior.segments[first].members == len(kept)
        return kept if whole else None

    def _segment(self, number: int, sink: Sink) -> Made:
        contents: list[Content] = []
        torn: list[str] = []
        run = self._tree[slice(*self._runs[number])]
        links = self._links
        for path, state in run:
            row = self._rows.get(path)
            if row is not None and self._is_same(row, path, state):
                sink.add(self._member_of(row.segment, path))
                contents.append((row.digest, row.sparse))
                continue
            try:
                member = self._fresh(path, state, links.get(path, ""))
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
            contents.append((digest.digest(), member.sparse))
        is_whole = not (links and any(path in links for path, _ in run))
        lines = lines_of(run, contents) if is_whole else b""
        return Made(number, sink.segment(), contents, torn, lines)

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
