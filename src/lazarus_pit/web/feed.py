"""What changes below the root, told to the ring: noticed by inotify, read once for everybody.

Only what has changed is read again: a look costs what has happened, however large the fleet is.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from msgspec import structs

from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.listing import list_names
from lazarus_pit.errors import StoreError
from lazarus_pit.linux import inotify
from lazarus_pit.linux.inotify import Inotify
from lazarus_pit.web import approvals, fleet
from lazarus_pit.web.ring import Ring
from lazarus_pit.web.shapes import Approval, Cell, Gateway
from lazarus_pit.web.spots import Words

SETTLE_SECONDS = 0.25
"""How long changes are gathered before they are read: however much happens, four looks a second."""
TICK_SECONDS = 1.0
"""How often is looked for what no file tells: that the daemon was killed, and, where the kernel has
no watch left to give, everything."""
_FILES = frozenset(
    {
        b"events.jsonl",
        b"cell.json",
        b"state.json",
        b"daemon.json",
        b"pool.json",
        b"logs",
        b".lazarus",
    }
)
"""The names that matter in a watched directory; an agent's log is none of them."""
_RECORDS = b"records.db-wal"
"""Written to by whoever changes the records, and by no reader."""
PIT = ""
"""Stands for a UUID where the pit itself is meant."""


class _Wanted(NamedTuple):
    """What is to be looked at again."""

    places: frozenset[str]
    """UUIDs, and ``PIT``."""
    root: bool
    """Whether cells may have come or gone."""
    everything: bool
    records: bool


class Feed:
    """Watches the root for as long as it is open.

    What is noticed belongs to the event loop; a look runs in a thread, one at a time.
    """

    def __init__(
        self, pit: PitPaths, ring: Ring, words: Words, hear: Callable[[dict[str, Any]], None]
    ) -> None:
        """Begin with what is there: only what changes from now on is told.

        Args:
            pit: what is watched.
            ring: told of everything.
            words: how it is said.
            hear: told of each event as well.
        """
        self._pit = pit
        self._ring = ring
        self._words = words
        self._hear = hear
        self._aio = asyncio.get_running_loop()
        self._inotify = Inotify()
        self._owners: dict[int, str] = {}
        self._roots: set[int] = set()
        self._blind = False
        self._dirty: set[str] = set()
        self._root = self._everything = self._records = True
        self._journals: dict[str, int] = {}
        self._known: dict[str, Cell] = {}
        self._up: bool | None = None
        self._approvals: tuple[Approval, ...] = ()
        self._far: tuple[Gateway, ...] = ()
        self._due: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._look(self._take())
        self._aio.add_reader(self._inotify.fd, self._changed)
        self._ticks = self._aio.call_later(TICK_SECONDS, self._tick)

    def close(self) -> None:
        """Watch no more."""
        self._aio.remove_reader(self._inotify.fd)
        self._ticks.cancel()
        if self._due is not None:
            self._due.cancel()
        self._inotify.close()

    # ------------------------------------------------------------ noticing

    def _changed(self) -> None:
        for watch, mask, name in self._inotify.read():
            if mask & inotify.IN_Q_OVERFLOW:
                self._everything = self._records = True
            elif watch in self._roots:
                self._root = True
            elif name == _RECORDS and mask & inotify.IN_MODIFY:
                self._records = True
            elif name in _FILES and watch in self._owners:
                self._dirty.add(self._owners[watch])
            else:
                continue
            self._soon()

    def _tick(self) -> None:
        self._ticks = self._aio.call_later(TICK_SECONDS, self._tick)
        if self._blind:
            self._everything = self._records = True
            self._soon()
        elif self._up:  # One that comes says so in a file; one that is killed says nothing.
            self._dirty.add(PIT)
            self._soon()

    def _soon(self) -> None:
        if self._task is not None:
            self._again = True
        elif self._due is None:
            self._due = self._aio.call_later(SETTLE_SECONDS, self._begin_look)

    def _begin_look(self) -> None:
        self._due = None
        self._task = self._aio.create_task(self._tell(self._take()))

    def _take(self) -> _Wanted:
        """Return what is to be looked at, which from now on counts as looked at."""
        wanted = _Wanted(frozenset(self._dirty), self._root, self._everything, self._records)
        self._dirty = set()
        self._root = self._everything = self._records = False
        return wanted

    async def _tell(self, wanted: _Wanted) -> None:
        try:
            told, changes = await asyncio.to_thread(self._look, wanted)
        finally:
            self._task = None
            if self._again:
                self._again = False
                self._soon()
        for event in told:
            self._ring.tell("event", event)
            self._hear(event)
        if changes:
            self._ring.tell("fleet", {"now": fleet.now(), **changes})

    # ------------------------------------------------------------ in a thread, one at a time

    def _look(self, wanted: _Wanted) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the events that are new, and the cells that have changed."""
        try:
            places, gone = self._places(wanted)
        except StoreError:
            self._everything = True  # The root is not to be read now; what changes it is seen.
            return [], {}
        for uuid in sorted(places):
            self._watch(uuid)
        told = [event for uuid in sorted(places) for event in self._events(uuid)]
        changes = self._changes(places - {PIT}, gone, records=wanted.records)
        return sorted(told, key=lambda event: str(event["ts"])), changes

    def _places(self, wanted: _Wanted) -> tuple[set[str], list[str]]:
        """Return what to look at, and the cells that are gone.

        Raises:
            StoreError: the root cannot be read.
        """
        places = {PIT, *wanted.places}
        if not (wanted.root or wanted.everything):
            return places, []
        with contextlib.suppress(OSError):
            self._roots.add(self._inotify.add(str(self._pit.root), inotify.ENTRIES))
        there = set(list_names(self._pit.root))
        gone = [uuid for uuid in self._known if uuid not in there]
        new = there if wanted.everything else there - set(self._known)
        return (places & {PIT, *there}) | new, gone

    def _watch(self, uuid: str) -> None:
        """Watch the directories of a cell; those that are watched stay so."""
        paths = self._pit.cell(uuid) if uuid else None
        places = (paths.cell, paths.logs, paths.private) if paths else (self._pit.private,)
        for place in places:
            try:
                self._owners[self._inotify.add(str(place), inotify.ENTRIES)] = uuid
            except OSError as error:
                # What is not there yet is seen in the directory above when it comes.
                self._blind = self._blind or error.errno not in (errno.ENOENT, errno.ENOTDIR)
        if uuid not in self._journals:
            journal = (paths or self._pit).events
            first = self._up is None
            self._journals[uuid] = os.stat(journal).st_size if first and journal.exists() else 0

    def _events(self, uuid: str) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        paths: CellPaths | PitPaths = self._pit.cell(uuid) if uuid else self._pit
        end = self._journals[uuid]
        try:
            for line in read_events(paths.events, end):
                end = line.end
                if line.event is not None:
                    told.append(fleet.told(line.event, uuid, self._words.sentence))
        except StoreError:
            return told  # It is read again from where it was read to.
        finally:
            self._journals[uuid] = end
        return told

    def _changes(self, uuids: Iterable[str], gone: list[str], *, records: bool) -> dict[str, Any]:
        """Return what is to be told; nothing where all is as it was."""
        cells = []
        for uuid in uuids:
            cell = fleet.look(self._pit.cell(uuid), self._words.need)
            lasting = _lasting(cell)
            if self._known.get(uuid) != lasting:
                self._known[uuid] = lasting
                cells.append(cell)
        for uuid in gone:
            self._forget(uuid)
        asked = self._answers() if records else {}
        daemon, far = fleet.daemon(self._pit), fleet.gateways(self._pit)
        if far != self._far:
            self._far, asked = far, {**asked, "gateways": far}
        was_up, self._up = self._up, bool(daemon["up"])
        if not (cells or gone or asked or was_up != self._up):
            return {}
        return {"daemon": daemon, "cells": cells, "gone": gone, **asked}

    def _forget(self, uuid: str) -> None:
        self._known.pop(uuid, None)
        self._journals.pop(uuid, None)
        self._owners = {watch: owner for watch, owner in self._owners.items() if owner != uuid}

    def _answers(self) -> dict[str, Any]:
        """Return the requests for people's words, where any of them is not as it was."""
        try:
            found = approvals.shown(self._pit)
        except StoreError:
            self._records = True  # Busy, or set aside just now: the next look asks again.
            return {}
        before, self._approvals = self._approvals, found
        return {"approvals": found} if found != before else {}


def _lasting(cell: Cell) -> Cell:
    """Return a cell without what changes by itself: one that is else the same is not told again."""
    ageless = (structs.replace(a, heartbeat_age=None, last_seen=None) for a in cell.agents)
    return structs.replace(cell, agents=tuple(ageless))
