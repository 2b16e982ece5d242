"""Incidents: what the journals say of deaths and recoveries becomes issues at a forge.

What follows from an event stands in the records together with how far the journals were read: each
event is heard once. What is to be said stays there until it was delivered.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from pathlib import Path
from typing import Literal

import msgspec

from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.store import read_manifest
from lazarus_pit.channels import incidents
from lazarus_pit.channels.forge import Forge, ForgeDownError
from lazarus_pit.channels.incidents import Incident, Scene, Settings, Step
from lazarus_pit.channels.journals import PIT, Heard, Noticing, places_of, read_on
from lazarus_pit.channels.outbox import Outbox
from lazarus_pit.core.model import Seconds
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.instant import from_rfc3339, to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.text import one_line
from lazarus_pit.records import carried, outbox
from lazarus_pit.records.database import opened_records, transaction

log = logging.getLogger(__name__)

SWEEP_SECONDS: Seconds = 30.0
"""How often the journals are read, whatever was noticed."""
FRESH_SECONDS: Seconds = 60.0
"""A reader that comes for the first time hears what is so new: who began with it began then."""
SAVE_SECONDS: Seconds = 60.0
"""How often it is written down how far was read, where nothing of it mattered."""
FIRST_SECONDS: Seconds = 1.0
LAST_SECONDS: Seconds = 300.0
"""The first wait for a forge that is down, and the longest; each is twice the one before."""
_SINCE = "since"
_ENDS = ("cell_archived", "cell_destroyed")


Part = Literal["cells", "far"]
PARTS: tuple[Part, ...] = ("cells", "far")


def queue_of(part: Part, forge: Forge) -> str:
    """Return what the records call that part's incidents at a forge."""
    return f"incidents of {part} at {forge.id}"


class Teller:
    """Tells one forge of the cells' agents, or of the far gateways."""

    def __init__(self, pit: PitPaths, forge: Forge, settings: Settings, part: Part) -> None:
        """Nothing is read or sent yet. At most one may be at work for a part of a root."""
        self.queue = queue_of(part, forge)
        self.outbox = Outbox(pit.records, forge, self.queue)
        self._pit = pit
        self._settings = settings
        self._part = part
        self._noticing: Noticing | None = None
        self._cursors: dict[str, str] | None = None
        """How far we have read; what is on record of it is no farther."""
        self._since = 0.0
        self._saved = 0.0
        self._untold = True
        """Whether there may be something to be said."""
        self._wait = FIRST_SECONDS
        self._down: str | None = None

    async def run(self) -> None:
        """Tell, until cancelled. Whatever refuses is waited for; what is untold is kept."""
        try:
            self._noticing = Noticing(self._pit)
        except OSError as error:
            log.warning("journals are read every %g s only: %s", SWEEP_SECONDS, error.strerror)
        retry = 0.0
        try:
            while True:
                try:
                    self._watch()  # Before we read: what comes after that rings.
                    await asyncio.to_thread(self.take_in)
                    if self._untold and time.monotonic() >= retry:
                        retry = time.monotonic() + await self.send()
                except StoreError as error:
                    log.warning("incidents wait: %s", error)
                await self._rest(retry)
        finally:
            if self._noticing is not None:
                self._noticing.close()

    def _watch(self) -> None:
        if self._noticing is not None:
            self._noticing.watch(places_of(self._pit, cells=self._part == "cells"))

    async def _rest(self, retry: float) -> None:
        wait = SWEEP_SECONDS
        if retry > time.monotonic():
            wait = min(wait, retry - time.monotonic())
        if self._noticing is None:
            await asyncio.sleep(wait)
        else:
            await self._noticing.wait(wait)

    async def send(self) -> Seconds:
        """Deliver what there is; return how long to wait where the forge is down, else 0.

        Raises:
            StoreError: the records refuse.
        """
        try:
            await self.outbox.deliver()
        except (ForgeDownError, FormatError) as error:
            if not self._down:
                log.warning("the forge is down, what is to be said is kept: %s", error)
                await self._note(str(error))
            self._down = str(error)
            self._wait = min(self._wait * 2, LAST_SECONDS)
            after = error.after if isinstance(error, ForgeDownError) else 0.0
            return max(self._wait, after)
        self._untold = self.outbox.is_waiting
        if self._down:
            log.info("the forge is back, and was told what there was")
        if self._down is None or self._down:  # Whoever was killed may have left its own.
            await self._note("")
        self._down, self._wait = "", FIRST_SECONDS
        return 0.0

    async def _note(self, why: str) -> None:
        """Note how it is, for ``lazarus channels``."""
        notes = {"telling": one_line(why, 500), "telling_since": f"{time.time():.3f}"}
        name = f"incidents-{self._part}"
        await self.outbox.keep(lambda db: carried.note(db, name, notes))

    def take_in(self) -> None:
        """Read on in the journals, and queue what follows. One transaction: all or nothing.

        Most lines of a journal are no matter of ours; for them alone nothing is written. Whoever
        comes after us reads those again.

        Raises:
            StoreError: the root or the records refuse.
        """
        places = places_of(self._pit, cells=self._part == "cells")
        fresh = self._cursors is None
        if self._cursors is None:
            self._cursors, self._since = self._recalled()
        heard = read_on(places, self._cursors, self._since)
        matters = heard.gone or any(_matters(event) for _, event in heard.events)
        if fresh or matters or time.monotonic() - self._saved > SAVE_SECONDS:
            read = {**self._cursors, **heard.cursors}
            with opened_records(self._pit.records) as db, transaction(db):
                self._follow(db, heard)
                carried.note(db, self.queue, {**read, _SINCE: str(self._since)})
                outbox.forget(db, self.queue, heard.gone)
            self._saved = time.monotonic()
            self._untold = True
        self._cursors.update(heard.cursors)
        for place in heard.gone:
            self._cursors.pop(place, None)

    def _recalled(self) -> tuple[dict[str, str], float]:
        with opened_records(self._pit.records) as db:
            cursors = carried.recall(db, self.queue)
        return cursors, float(cursors.pop(_SINCE, time.time() - FRESH_SECONDS))

    def _follow(self, db: sqlite3.Connection, heard: Heard) -> None:
        for place, event in heard.events:
            if event.event in _ENDS and place != PIT:
                self._end_cell(db, place, event)
            elif event.event in incidents.EVENTS and event.agent:
                subject = incidents.subject_of(f"{place or 'pool'}/{event.agent}")
                known = self._known(db, subject)
                scene = self._scene(place, event)
                self._queue(
                    db, subject, known, incidents.follow(known, event, scene, self._settings)
                )
        for place in heard.gone:
            self._end_cell(db, place, Event(ts=to_rfc3339(time.time(), 3), event="cell_destroyed"))

    def _end_cell(self, db: sqlite3.Connection, uuid: str, event: Event) -> None:
        for subject in outbox.threads(db, self.queue):
            if subject.startswith(f"{uuid}/"):
                known = self._known(db, subject)
                self._queue(db, subject, known, incidents.cell_ended(known, event, self._settings))

    def _known(self, db: sqlite3.Connection, subject: str) -> Incident:
        return msgspec.convert(outbox.thread(db, self.queue, subject).state, Incident)

    def _queue(self, db: sqlite3.Connection, subject: str, known: Incident, step: Step) -> None:
        incident, actions = step
        if incident != known:
            outbox.remember(db, self.queue, subject, msgspec.to_builtins(incident))
        for action in actions:
            outbox.add(db, self.queue, subject, incidents.to_object(action))

    def _scene(self, place: str, event: Event) -> Scene:
        """Return what stands beside a death; what cannot be read is left out."""
        if place == PIT or event.event not in incidents.OPENING or not event.agent:
            return Scene()
        paths = self._pit.cell(place)
        try:
            manifest = read_manifest(paths)
            mission = manifest.mission
            cell = f"{manifest.name} ({place})" if manifest.name else place
        except (FormatError, StoreError):
            mission, cell = "", place
        return Scene(mission=mission, cell=cell, heartbeat_age=_beat_age(paths, event))


def _matters(event: Event) -> bool:
    return event.event in incidents.EVENTS or event.event in _ENDS


def _beat_age(paths: CellPaths, event: Event) -> float | None:
    """Return how old the newest beat was then: when it was written, whatever it says."""
    try:
        beat: Path = paths.heartbeat(event.agent or "")
        return max(0.0, from_rfc3339(event.ts) - beat.lstat().st_mtime)
    except (OSError, FormatError):
        return None
