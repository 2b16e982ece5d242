"""The fleet as it is known here, read again only where something has changed.

One picture serves every request and the stream. A cell is encoded once for each change of it; the
ages of beats, which no watched file tells, are put between its pieces at each request.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import structs

from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.listing import list_uuids
from lazarus_pit.cells.view import age_order, see_cell
from lazarus_pit.errors import StoreError
from lazarus_pit.web.fleet import Need, cell_object
from lazarus_pit.web.shapes import Agent, Cell
from lazarus_pit.web.watch import PIT, Wanted, Watch

_NO_AGE = b'"heartbeat_age":null'
"""Never in a string: there a quotation mark has a backslash before it."""
_AGE = b'"heartbeat_age":%.3f'
_SETTLED_NS = 50_000_000
"""What was written to later than this before a look may be written to again at the same instant of
the file system's clock."""


class _Beats(NamedTuple):
    """Where the newest beat of an agent is to be seen."""

    files: tuple[str, str]
    last_seen: float | None


class _Known(NamedTuple):
    """One cell."""

    order: tuple[str, str]
    cell: Cell
    """Without ages of beats."""
    pieces: list[bytes]
    """The same, encoded, cut where each agent's age belongs."""
    beats: tuple[_Beats, ...]
    inboxes: tuple[tuple[str, int], ...]
    """Paths, and when something came or went there last; -1: look again."""


class News(NamedTuple):
    """What has happened since news were taken last."""

    places: set[str]
    """Where something was written: UUIDs, and ``PIT``."""
    cells: list[Cell]
    """Those that have changed, beats aside."""
    gone: list[str]
    records: bool
    """Whether the records were written to."""
    doubted: bool
    """Whether a request could not read them, and was answered without."""


class Picture:
    """Every cell. Without a watch, everything is read at each look."""

    def __init__(self, pit: PitPaths, need: Need, watch: Watch | None = None) -> None:
        """Know nothing yet."""
        self._pit = pit
        self._need = need
        self._watch = watch
        self._lock = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._sorted: list[_Known] | None = None
        self._epoch = secrets.token_hex(4)
        self._count = 0
        self._places: set[str] = set()
        self._changed: dict[str, None] = {}
        self._gone: dict[str, None] = {}
        self._records = self._doubted = False
        self.found: Callable[[], object] = _nobody
        """Called, in any thread, when a look for a request has found what ``news`` will tell."""

    def news(self) -> News:
        """Look at what has changed, and return it together with what other looks have found.

        Raises:
            StoreError: the root cannot be read.
        """
        with self._lock:
            self._look()
            now = time.time()
            cells = [_aged(self._known[uuid], now) for uuid in self._changed]
            gone = list(self._gone)
            news = News(self._places, cells, gone, self._records, self._doubted)
            self._places, self._changed, self._gone = set(), {}, {}
            self._records = self._doubted = False
            return news

    def encoded(self, now: float) -> tuple[bytes, str]:
        """Return all cells as a JSON array, and a word that changes when anything but ages does.

        Raises:
            StoreError: the root cannot be read.
        """
        with self._lock:
            found, version = self._now(), f"{self._epoch}-{self._count}"
        return b"[%s]" % b",".join(_joined(one, now) for one in found), version

    def doubt_records(self) -> None:
        """Have the stream tell what the records say as soon as they can be read."""
        with self._lock:
            self._doubted = True
        self.found()

    def cells(self) -> list[Cell]:
        """Return all cells as they stand now.

        Raises:
            StoreError: the root cannot be read.
        """
        with self._lock:
            found = self._now()
        now = time.time()
        return [_aged(one, now) for one in found]

    # ------------------------------------------------------------ under the lock

    def _now(self) -> list[_Known]:
        """Look, also for mail, which no watch tells of; return all cells in their order."""
        self._look(mail=True)
        if self._places or self._changed or self._gone or self._records:
            self.found()
        if self._sorted is None:
            self._sorted = sorted(self._known.values(), key=lambda one: one.order)
        return self._sorted

    def _look(self, *, mail: bool = False) -> None:
        wanted = self._watch.take() if self._watch else Wanted()
        try:
            places = self._where(wanted)
        except StoreError:
            if self._watch:
                self._watch.want(everything=True, records=wanted.records)
            raise
        if mail:
            places |= {uuid for uuid, one in self._known.items() if _mail_moved(one)}
        self._places |= places | wanted.places
        self._records = self._records or wanted.records
        for uuid in sorted(places - {PIT}):
            self._see(self._pit.cell(uuid))

    def _where(self, wanted: Wanted) -> set[str]:
        """Return what to look at; all that is new is followed first."""
        places = set(wanted.places)
        if wanted.root or wanted.everything:
            if self._watch:
                self._watch.follow_root()
            there = list_uuids(self._pit.root)
            places |= set(self._known) - set(there)
            places |= set(there) if wanted.everything else set(there) - set(self._known)
        if self._watch:
            for uuid in places | {PIT}:
                self._watch.follow(uuid)
        return places

    def _see(self, paths: CellPaths) -> None:
        """Read a cell; one without a manifest is none."""
        uuid = paths.uuid
        before = self._known.get(uuid)
        if not os.path.lexists(paths.manifest):
            if before is not None:
                del self._known[uuid]
                self._gone[uuid] = None
                self._changed.pop(uuid, None)
                self._sorted, self._count = None, self._count + 1
            return
        known = self._known[uuid] = _read(paths, self._need)
        self._sorted = None
        self._gone.pop(uuid, None)
        if before is None or _lasting(before.cell) != _lasting(known.cell):
            self._changed[uuid] = None
            self._count += 1


def _nobody() -> None:
    """Hear nothing."""


def _read(paths: CellPaths, need: Need) -> _Known:
    before = time.time_ns()
    view = see_cell(paths)
    cell = cell_object(view, need)
    bare = structs.replace(cell, agents=tuple(map(_ageless, cell.agents)))
    return _Known(
        order=age_order(view),
        cell=bare,
        pieces=msgspec.json.encode(bare).split(_NO_AGE),
        beats=tuple(
            _Beats((str(paths.beat(one.name)), str(paths.heartbeat(one.name))), one.last_seen)
            for one in bare.agents
        ),
        inboxes=tuple(
            (path, stamp if stamp < before - _SETTLED_NS else -1)
            for path in (str(paths.inbox(one.name)) for one in bare.agents)
            for stamp in (_stamp(path),)
        ),
    )


def _ageless(agent: Agent) -> Agent:
    return structs.replace(agent, heartbeat_age=None)


def _lasting(cell: Cell) -> Cell:
    """Return a cell without what changes by itself: one that is else the same is not told again."""
    agents = (structs.replace(one, last_seen=None) for one in cell.agents)
    return structs.replace(cell, agents=tuple(agents))


def _stamp(path: str) -> int:
    try:
        return os.lstat(path).st_mtime_ns
    except OSError:
        return 0


def _mail_moved(known: _Known) -> bool:
    return any(_stamp(path) != stamp for path, stamp in known.inboxes)


def _newest(beats: _Beats) -> float | None:
    newest = beats.last_seen
    for path in beats.files:
        try:
            at = os.lstat(path).st_mtime
        except OSError:
            continue
        if newest is None or at > newest:
            newest = at
    return newest


def _ages(known: _Known, now: float) -> list[float | None]:
    newest = map(_newest, known.beats)
    return [None if at is None else max(0.0, now - at) for at in newest]


def _joined(known: _Known, now: float) -> bytes:
    pieces = known.pieces
    found = [pieces[0]]
    for age, piece in zip(_ages(known, now), pieces[1:], strict=True):
        found += (_NO_AGE if age is None else _AGE % age, piece)
    return b"".join(found)


def _aged(known: _Known, now: float) -> Cell:
    """Return a cell with the ages of its agents' beats."""
    ages = _ages(known, now)
    agents = tuple(
        one if age is None else structs.replace(one, heartbeat_age=round(age, 3))
        for one, age in zip(known.cell.agents, ages, strict=True)
    )
    return structs.replace(known.cell, agents=agents)
