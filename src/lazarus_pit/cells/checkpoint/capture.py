"""Copy what changed since a cell was read: once while it runs, the rest while it stands still.

The pause is as long as the rest.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.checkpoint.below import Chain
from lazarus_pit.cells.checkpoint.compose import Draft, write_all
from lazarus_pit.cells.checkpoint.index import NEVER_SAME, Row
from lazarus_pit.cells.checkpoint.members import Member, read_member
from lazarus_pit.cells.checkpoint.pieces import CHUNK
from lazarus_pit.cells.checkpoint.scan import Entry, LeftOut, links_of

GRAIN_NS = 20_000_000
"""The kernel's clock for ctime ticks as rarely as every 10 ms: what is younger changes unseen."""
_IN_MEMORY = 64 << 20
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT}


class Held(NamedTuple):
    """A member as it was under the freeze: in memory, or from ``offset`` on in the spill."""

    member: Member
    kept: list[bytes]
    offset: int


class Seen(NamedTuple):
    """The state in which an entry was captured."""

    inode: int
    ctime_ns: int
    link: str
    young: int
    """A ctime after this instant (Unix time, nanoseconds) may stand for two states."""


class Captured:
    """The captured members; ``spill`` opens a nameless file for what is too much for memory."""

    def __init__(self, spill: Callable[[], int]) -> None:
        self._spill = spill
        self._file = -1
        self._end = 0
        self._in_memory = 0
        self._held: dict[str, Held] = {}
        self._seen: dict[str, Seen] = {}
        self.left_out: list[LeftOut] = []

    @property
    def paths(self) -> Collection[str]:
        """What was captured."""
        return self._held.keys()

    def take(self, root: int, entries: list[Entry], links: dict[str, str]) -> None:
        """Copy these entries of a cell that stands still; what cannot be read is left out.

        Raises ``OSError`` where there is no room for the copies.
        """
        lost = set()
        with Chain(root) as chain:
            for path, state in entries:
                link = links.get(path, "")
                try:
                    if link in lost:
                        raise PermissionError(errno.EACCES, "as its first name", path)
                    self._hold(path, read_member(chain, path, state, link))
                    self._seen[path] = Seen(
                        state.st_ino, state.st_ctime_ns, link, state.st_ctime_ns
                    )
                except OSError as error:
                    if error.errno in _NO_ROOM:
                        raise
                    lost.add(path)
                    why = os.strerror(error.errno or 0).lower()
                    self.left_out.append(LeftOut(path, f"could not be read: {why}"))

    def take_running(
        self, root: int, entries: list[Entry], links: dict[str, str], since_ns: int
    ) -> None:
        """Copy these entries, which were seen after ``since_ns``, while the cell's agents run.

        Whatever changes meanwhile, or cannot be read, is left to ``take``. Raises ``OSError``
        where there is no room for the copies.
        """
        with Chain(root) as chain:
            for path, state in entries:
                link = links.get(path, "")
                self._seen.pop(path, None)
                try:
                    self._hold(path, read_member(chain, path, state, link))
                except OSError as error:
                    if error.errno in _NO_ROOM:
                        raise
                else:
                    young = since_ns - GRAIN_NS
                    self._seen[path] = Seen(state.st_ino, state.st_ctime_ns, link, young)

    def has(self, path: str, state: os.stat_result, link: str) -> bool:
        """Whether an entry was captured in just this state."""
        seen = self._seen.get(path)
        return (
            seen is not None
            and (seen.inode, seen.ctime_ns, seen.link) == (state.st_ino, state.st_ctime_ns, link)
            and seen.ctime_ns <= seen.young
        )

    def settle(self, tree: list[Entry]) -> None:
        """Forget the copies of what is not, or is another entry, in the tree as it stood still.

        What an agent moved away and back is again as the live pass has it.
        """
        if not self._held:
            return
        links = links_of(tree)
        held = self._held
        sound = {
            path
            for path, state in tree
            if path in held and self.has(path, state, links.get(path, ""))
        }
        self._held = {path: one for path, one in held.items() if path in sound}

    def member(self, path: str, _state: os.stat_result, _link: str) -> Member:
        """Give a captured member back (the ``Fresh`` of the frozen pass)."""
        held = self._held[path]
        data = held.kept if held.offset < 0 else self._read_back(held)
        return held.member._replace(data=data)

    def _hold(self, path: str, member: Member) -> None:
        if member.size <= CHUNK and self._in_memory + member.size <= _IN_MEMORY:
            self._in_memory += member.size
            self._held[path] = Held(member, list(member.data), -1)
            return
        if self._file < 0:
            self._file = self._spill()
        offset = self._end
        for chunk in member.data:
            write_all(self._file, chunk)
            self._end += len(chunk)
        self._held[path] = Held(member, [], offset)

    def _read_back(self, held: Held) -> Iterator[bytes]:
        for at in range(0, held.member.size, CHUNK):
            size = min(CHUNK, held.member.size - at)
            yield os.pread(self._file, size, held.offset + at)


def changed(
    tree: list[Entry], draft: Draft, captured: Captured, mapped: Collection[int], since_ns: int
) -> list[Entry]:
    """Find the entries that neither the live pass nor what was captured holds as they are now.

    ``mapped``: inodes that frozen processes may change through memory; ``since_ns``: when the live
    pass began (Unix time, nanoseconds).
    """
    links = links_of(tree)
    rows, torn = draft.rows, draft.torn
    young = since_ns - GRAIN_NS
    found = []
    for entry in tree:
        path, state = entry
        row = rows.get(path)
        ctime = state.st_ctime_ns
        if state.st_ino in mapped or (
            (
                row is None
                or row.ctime_ns != ctime
                or row.inode != state.st_ino
                or ctime > young
                or path in torn
                or (state.st_nlink > 1 and row.link != links.get(path, ""))
            )
            and not captured.has(path, state, links.get(path, ""))
        ):
            found.append(entry)
    return found


def sure_rows(rows: dict[str, Row], thawed_ns: int, mapped: Collection[int]) -> dict[str, Row]:
    """Forget the state of what may have changed right after the thaw without a new ctime.

    That is whatever changed within one tick of the clock before ``thawed_ns`` (Unix time), and
    what is mapped.
    """
    young = thawed_ns - GRAIN_NS
    unsure = [path for path, row in rows.items() if row.ctime_ns > young or row.inode in mapped]
    return rows | {path: rows[path]._replace(ctime_ns=NEVER_SAME) for path in unsure}


def mapped_inodes(pids: Collection[int]) -> set[int]:
    """Find the inodes that these processes have mapped shared and writable.

    A store to a page that is dirty already moves no timestamp.
    """
    inodes = set()
    for pid in pids:
        try:
            maps = Path(f"/proc/{pid}/maps").read_bytes()
        except OSError:
            continue  # It has ended: it stores nothing any more.
        for line in maps.splitlines():
            fields = line.split(None, 5)
            if fields[1][1:2] == b"w" and fields[1][3:4] == b"s" and fields[4] != b"0":
                inodes.add(int(fields[4]))
    return inodes
