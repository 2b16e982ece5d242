"""The journals below a root, read from cursors of one's own; and a wait for more of them.

Who keeps the cursors with what follows from the events, in one transaction, hears each event once.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.instant import from_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.names import is_cell_uuid
from lazarus_pit.linux import inotify
from lazarus_pit.linux.inotify import Inotify

PIT = ""
"""The place of the journal that concerns no one cell."""
SETTLE_SECONDS = 0.2
"""How long changes are gathered before they are read."""
_TAIL = 256 * 1024
"""Bytes before the end in which a reader that comes for the first time looks for what is new."""


class Heard(NamedTuple):
    """What there was to read."""

    events: list[tuple[str, Event]]
    """Each with its place, ``PIT`` or a cell's UUID; those of one place in their order."""
    cursors: dict[str, str]
    """How far that was, where it has changed."""
    gone: list[str]
    """Cells that were read before and are no more."""


def places_of(pit: PitPaths, *, cells: bool) -> dict[str, Path]:
    """Return the journals of all cells, or the pit's own, where far gateways are told of.

    Raises:
        StoreError: the root cannot be listed.
    """
    if not cells:
        return {PIT: pit.events}
    try:
        names = sorted(name for name in os.listdir(pit.root) if is_cell_uuid(name))
    except OSError as error:
        raise StoreError(f"{pit.root}: cannot be listed: {error.strerror}") from error
    return {name: pit.cell(name).events for name in names}


def read_on(places: Mapping[str, Path], cursors: Mapping[str, str], since: float) -> Heard:
    """Return the events after the cursors; none that is older than ``since``, in Unix seconds.

    A journal without a cursor is new, unless no journal has one: then the reader is.
    """
    heard = Heard([], {}, [place for place in cursors if place and place not in places])
    for place, path in places.items():
        try:
            size = path.stat().st_size
            begin = _begin(cursors.get(place), size, first=not cursors)
            end = begin
            if size > begin:
                for line in read_events(path, begin):
                    end = line.end
                    if line.event is not None and _is_news(place, line.event, since):
                        heard.events.append((place, line.event))
        except (StoreError, OSError):
            continue  # It comes, or went; what is there is read the next time.
        if cursors.get(place) != str(end):
            heard.cursors[place] = str(end)
    return heard


def _begin(cursor: str | None, size: int, *, first: bool) -> int:
    if cursor is None:
        return max(0, size - _TAIL) if first else 0
    # A shorter journal than the one we know is another one, and no news.
    return min(int(cursor), size)


def _is_news(place: str, event: Event, since: float) -> bool:
    if event.cell is not None and event.cell != place:
        return False  # A fork brings the journal of its source along.
    try:
        return from_rfc3339(event.ts) >= since
    except FormatError:
        return False


class Noticing:
    """Rings when a journal grows or a cell appears; what is lost, the next sweep finds."""

    def __init__(self, pit: PitPaths) -> None:
        """Begin to watch; where inotify refuses, only sweeps are left.

        Raises:
            OSError: there is no instance to be had.
        """
        self._pit = pit
        self._inotify = Inotify()
        self._roots: set[int] = set()
        self._watched: set[str] = set()
        self._bell = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._inotify.fd, self._changed)

    def close(self) -> None:
        """Watch no more."""
        asyncio.get_running_loop().remove_reader(self._inotify.fd)
        self._inotify.close()

    def watch(self, places: Mapping[str, Path]) -> None:
        """Watch these journals, and the root for new ones."""
        with contextlib.suppress(OSError):
            self._roots.add(self._inotify.add(str(self._pit.root), inotify.ENTRIES))
        wanted = {str(path.parent) for path in places.values()}
        for directory in wanted - self._watched:
            with contextlib.suppress(OSError):
                self._inotify.add(directory, inotify.ENTRIES)
                self._watched.add(directory)
        self._watched &= wanted

    def ring(self) -> None:
        """End the wait."""
        self._bell.set()

    async def wait(self, seconds: float) -> None:
        """Wait for news, at most so long."""
        # Not wait_for: before Python 3.12 it can swallow the order to end.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, seconds)):
                await self._bell.wait()
            await asyncio.sleep(SETTLE_SECONDS)
        self._bell.clear()

    def _changed(self) -> None:
        for watch, mask, name in self._inotify.read():
            if mask & inotify.IN_Q_OVERFLOW or watch in self._roots or name == b"events.jsonl":
                self._bell.set()
