"""What changes below the root, told to the ring: noticed by inotify, read once for everybody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from msgspec import structs

from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.listing import list_cells
from lazarus_pit.errors import StoreError
from lazarus_pit.linux import inotify
from lazarus_pit.linux.inotify import Inotify
from lazarus_pit.web import approvals, fleet
from lazarus_pit.web.ring import Ring
from lazarus_pit.web.shapes import Approval, Cell
from lazarus_pit.web.spots import Words

SETTLE_SECONDS = 0.25
"""How long changes are gathered before they are read: however much happens, four looks a second."""
_FILES = frozenset({b"events.jsonl", b"cell.json", b"state.json", b"daemon.json"})
"""The names that matter in a watched directory; an agent's log is none of them."""
_RECORDS = b"records.db-wal"
"""Written to by whoever changes the records, and by no reader."""


class Feed:
    """Watches the root for as long as it is open."""

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
        self._roots: set[int] = set()
        self._watched: set[str] = set()
        self._journals: dict[str, tuple[CellPaths | None, int]] = {}
        self._known: dict[str, Cell] = {}
        self._up: bool | None = None
        self._approvals: tuple[Approval, ...] = ()
        self._asked = True
        """Whether the records may say something new."""
        self._due: asyncio.TimerHandle | None = None
        self._look_task: asyncio.Task[None] | None = None
        self._again = False
        self._look()
        self._aio.add_reader(self._inotify.fd, self._changed)

    def close(self) -> None:
        """Watch no more."""
        self._aio.remove_reader(self._inotify.fd)
        if self._due is not None:
            self._due.cancel()
        self._inotify.close()

    def _changed(self) -> None:
        for watch, mask, name in self._inotify.read():
            lost = mask & inotify.IN_Q_OVERFLOW
            asked = name == _RECORDS and mask & inotify.IN_MODIFY
            self._asked = self._asked or bool(lost or asked)
            if lost or asked or watch in self._roots or name in _FILES:
                self._soon()

    def _soon(self) -> None:
        if self._look_task is not None:
            self._again = True
        elif self._due is None:
            self._due = self._aio.call_later(SETTLE_SECONDS, self._begin_look)

    def _begin_look(self) -> None:
        self._due = None
        self._look_task = self._aio.create_task(self._tell())

    async def _tell(self) -> None:
        try:
            told, changes = await asyncio.to_thread(self._look)
        finally:
            self._look_task = None
            if self._again:
                self._again = False
                self._soon()
        for event in told:
            self._ring.tell("event", event)
            self._hear(event)
        if changes:
            self._ring.tell("fleet", {"now": fleet.now(), **changes})

    # ------------------------------------------------------------ in a thread, one at a time

    def _look(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the events that are new, and the cells that have changed."""
        with contextlib.suppress(OSError):
            self._roots.add(self._inotify.add(str(self._pit.root), inotify.ENTRIES))
        self._watch("", [str(self._pit.private)])
        try:
            for listed in list_cells(self._pit.root):
                paths = listed.paths
                self._watch(paths.uuid, [str(paths.cell), str(paths.logs), str(paths.private)])
            return self._events(), self._changes()
        except StoreError:
            return [], {}  # The root is not to be read now; what changes it is seen.

    def _watch(self, uuid: str, places: list[str]) -> None:
        """Watch a cell's directories, and note where its journal ends if it is a new one to us."""
        for place in places:
            if place not in self._watched:
                with contextlib.suppress(OSError):
                    self._inotify.add(place, inotify.ENTRIES)
                    self._watched.add(place)
        if uuid not in self._journals:
            paths = self._pit.cell(uuid) if uuid else None
            journal = paths.events if paths else self._pit.events
            first = self._up is None
            end = journal.stat().st_size if first and journal.exists() else 0
            self._journals[uuid] = (paths, end)

    def _events(self) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        for uuid, (paths, offset) in list(self._journals.items()):
            end = offset
            try:
                for line in read_events(paths.events if paths else self._pit.events, offset):
                    end = line.end
                    if line.event is not None:
                        told.append(fleet.told(line.event, uuid, self._words.sentence))
            except StoreError:
                continue
            self._journals[uuid] = (paths, end)
        return sorted(told, key=lambda event: str(event["ts"]))

    def _changes(self) -> dict[str, Any]:
        """Return what is to be told; nothing where all is as it was."""
        daemon = fleet.daemon(self._pit)
        now = {cell.uuid: cell for cell in fleet.cells(self._pit, self._words.need)}
        kept = {uuid: _lasting(cell) for uuid, cell in now.items()}
        before, self._known = self._known, kept
        cells = [cell for uuid, cell in now.items() if before.get(uuid) != kept[uuid]]
        gone = [uuid for uuid in before if uuid not in kept]
        for uuid in gone:
            self._journals.pop(uuid, None)
            self._watched -= {place for place in self._watched if f"/{uuid}" in place}
        asked = self._answers()
        was_up, self._up = self._up, bool(daemon["up"])
        if not (cells or gone or asked or was_up != self._up):
            return {}
        return {"daemon": daemon, "cells": cells, "gone": gone, **asked}

    def _answers(self) -> dict[str, Any]:
        """Return the requests for people's words, where any of them is not as it was."""
        if not self._asked:
            return {}
        self._asked = False
        try:
            found = approvals.shown(self._pit)
        except StoreError:
            self._asked = True  # Busy, or set aside just now: the next look asks again.
            return {}
        before, self._approvals = self._approvals, found
        return {"approvals": found} if found != before else {}


def _lasting(cell: Cell) -> Cell:
    """Return a cell without what changes by itself: one that is else the same is not told again."""
    ageless = (structs.replace(a, heartbeat_age=None, last_seen=None) for a in cell.agents)
    return structs.replace(cell, agents=tuple(ageless))
