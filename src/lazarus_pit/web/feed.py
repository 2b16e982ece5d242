"""What changes below the root, told to the ring: noticed by the kernel, read once for everybody.

Only what has changed is read again: a look costs what has happened, however large the fleet is.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.errors import StoreError
from lazarus_pit.web import approvals, fleet
from lazarus_pit.web.picture import News, Picture
from lazarus_pit.web.ring import Ring
from lazarus_pit.web.shapes import Approval, Gateway
from lazarus_pit.web.spots import Words
from lazarus_pit.web.watch import PIT, Watch

SETTLE_SECONDS = 0.25
"""How long changes are gathered before they are read: however much happens, four looks a second."""
TICK_SECONDS = 1.0
"""How often is looked for what no file tells: that the daemon was killed, and, where the kernel has
no watch left to give, everything."""


class Feed:
    """Watches the root for as long as it is open; ``picture`` is what it knows.

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
        self._watch = Watch(pit)
        self.picture = Picture(pit, words.need, self._watch)
        self._journals: dict[str, int] = {}
        self._up: bool | None = None
        self._approvals: tuple[Approval, ...] | None = None
        self._far: tuple[Gateway, ...] = ()
        self._due: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._look()
        self.picture.found = lambda: self._aio.call_soon_threadsafe(self._soon)
        self._aio.add_reader(self._watch.fd, self._changed)
        self._ticks = self._aio.call_later(TICK_SECONDS, self._tick)

    def close(self) -> None:
        """Watch no more."""
        self._aio.remove_reader(self._watch.fd)
        self._ticks.cancel()
        if self._due is not None:
            self._due.cancel()
        self._watch.close()

    # ------------------------------------------------------------ noticing

    def _changed(self) -> None:
        if self._watch.notice():
            self._soon()

    def _tick(self) -> None:
        self._ticks = self._aio.call_later(TICK_SECONDS, self._tick)
        # A daemon that comes says so in a file; one that is killed says nothing.
        if self._up or self._watch.is_blind or self._approvals is None:
            self._soon()

    def _soon(self) -> None:
        if self._task is not None:
            self._again = True
        elif self._due is None:
            self._due = self._aio.call_later(SETTLE_SECONDS, self._begin_look)

    def _begin_look(self) -> None:
        self._due = None
        self._task = self._aio.create_task(self._tell())

    async def _tell(self) -> None:
        try:
            told, changes = await asyncio.to_thread(self._look)
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

    def _look(self) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Return the events that are new, and the cells that have changed."""
        try:
            news = self.picture.news()
        except StoreError:
            return [], {}  # The root is not to be read now; what changes it is seen.
        told = [event for uuid in sorted({PIT, *news.places}) for event in self._events(uuid)]
        changes = self._changes(news)
        return sorted(told, key=lambda event: str(event["ts"])), changes

    def _events(self, uuid: str) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = []
        paths: CellPaths | PitPaths = self._pit.cell(uuid) if uuid else self._pit
        if uuid not in self._journals:
            is_first = self._up is None
            self._journals[uuid] = _size(paths.events) if is_first else 0
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

    def _changes(self, news: News) -> dict[str, Any]:
        """Return what is to be told; nothing where all is as it was."""
        for uuid in news.gone:
            self._journals.pop(uuid, None)
        if news.doubted:
            self._approvals = None
        asked = self._answers() if news.records or news.doubted else {}
        daemon, far = fleet.daemon(self._pit), fleet.gateways(self._pit)
        if far != self._far:
            self._far, asked = far, {**asked, "gateways": far}
        was_up, self._up = self._up, bool(daemon["up"])
        if not (news.cells or news.gone or asked or was_up != self._up):
            return {}
        return {"daemon": daemon, "cells": news.cells, "gone": news.gone, **asked}

    def _answers(self) -> dict[str, Any]:
        """Return the requests for people's words, where any of them is not as it was."""
        try:
            found = approvals.shown(self._pit)
        except StoreError:
            # Busy, or set aside just now: the next look asks again, and tells them even if they are
            # the same, for who asked for the whole fleet meanwhile knows none of them.
            self._approvals = None
            self._watch.want(records=True)
            return {}
        before, self._approvals = self._approvals, found
        return {"approvals": found} if found != before else {}


def _size(path: Path) -> int:
    """Return a file's size in bytes; 0 where it is not there, or no longer."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
