"""Apprise: deaths, escalations and wanted words, to any service that it knows; nobody answers.

Each address reads the journals from a cursor of its own in the records, which moves once a message
was taken: after a kill between the two a message comes twice, and none is lost. Between two
messages to one address lies a pause, in which what happens is gathered into the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Mapping, Sequence
from typing import NoReturn

import apprise

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.store import read_manifest
from lazarus_pit.channels import apprise_send
from lazarus_pit.channels.base import ChannelError, silence
from lazarus_pit.channels.journals import PIT, Heard, Noticing, places_of, read_on
from lazarus_pit.channels.secrets import secret
from lazarus_pit.core.model import Seconds
from lazarus_pit.errors import ConfigError, FormatError, StoreError
from lazarus_pit.formats import channel_settings, notices
from lazarus_pit.formats.notices import News, Notice
from lazarus_pit.formats.text import one_line
from lazarus_pit.records import carried
from lazarus_pit.records.database import opened_records, transaction

log = logging.getLogger(__name__)

GATHER_SECONDS: Seconds = 1.0
"""How long a message waits for what dies with the first."""
PAUSE_SECONDS: Seconds = 30.0
"""Between two messages to one address."""
SWEEP_SECONDS: Seconds = 30.0
"""How often the journals are read, whatever was noticed."""
FRESH_SECONDS: Seconds = 60.0
"""An address that is new hears what is so new: who began with it began then."""
SEND_SECONDS: Seconds = 60.0
"""That a service may take for a message, whatever it does meanwhile."""
FIRST_SECONDS, LAST_SECONDS = 2.0, 300.0
"""The first wait for a service that is down, and the longest; each is twice the one before."""
NAME = "apprise"
TELLING = "telling"
"""Under this, with the number of an address, the last error stands in the channel's notes."""
_CURSORS, _SINCE = "cursors", "since"


class Target:
    """One address, and how far it was told."""

    def __init__(self, pit: PitPaths, url: str, number: int) -> None:
        """Take an address; ``number`` is its place in the configuration, from 1.

        Raises:
            ConfigError: Apprise knows no such service; the address is not shown.
        """
        if not apprise.Apprise().add(url):
            raise ConfigError(f"[apprise] urls: number {number}: Apprise knows no such service")
        self._pit = pit
        self._url = url
        self._queue = f"{NAME} {hashlib.sha256(url.encode()).hexdigest()[:12]}"
        self._number = number
        self._service = one_line(url.partition(":")[0], 20)
        self._wait = 0.0
        self._said: str | None = None
        self.due = 0.0
        """When it may be told the next time, by the monotonic clock."""

    async def step(self) -> None:
        """Tell what there is; a service or records that refuse are tried again later."""
        why, told = "", False
        try:
            told = await self._tell()
        except (ChannelError, StoreError) as error:
            why = str(error)
        except Exception as error:  # A service's part of Apprise may raise anything.
            log.debug("a fault while telling", exc_info=error)
            why = f"number {self._number} ({self._service}): {type(error).__name__}"
        if why:
            self._wait = min(max(2.0 * self._wait, FIRST_SECONDS), LAST_SECONDS)
            self.due = time.monotonic() + self._wait
        else:
            self._wait = 0.0
            self.due = time.monotonic() + PAUSE_SECONDS * told
        if why != self._said:
            if why:
                log.warning("%s, trying again: %s", NAME, why)
            self._said = why
            notes = {f"{TELLING} {self._number}": why, f"{TELLING}_since": f"{time.time():.3f}"}
            with contextlib.suppress(StoreError):
                await asyncio.to_thread(self._note, NAME, notes)

    async def _tell(self) -> bool:
        notice, heard = await asyncio.to_thread(self._read)
        if notice is not None:
            await asyncio.sleep(GATHER_SECONDS)
            notice, heard = await asyncio.to_thread(self._read)
        if notice is not None:
            await self._send(notice)
        if heard is not None:
            await asyncio.to_thread(self._note, self._queue, heard)
        return notice is not None

    def _read(self) -> tuple[Notice | None, dict[str, str] | None]:
        """Return what is to be said, and what is to be noted once it is; ``None``: nothing moved.

        Raises:
            StoreError: the root or the records refuse.
        """
        places = {**places_of(self._pit, cells=True), **places_of(self._pit, cells=False)}
        with opened_records(self._pit.records) as db:
            notes = carried.recall(db, self._queue)
        cursors: dict[str, str] = json.loads(notes.get(_CURSORS, "{}"))
        since = float(notes.get(_SINCE, time.time() - FRESH_SECONDS))
        heard = read_on(places, cursors, since)
        if not (heard.cursors or heard.gone) and notes:
            return None, None
        now = {place: at for place, at in cursors.items() if place not in heard.gone}
        now |= heard.cursors
        return notices.compose(self._named(heard)), {
            _CURSORS: json.dumps(now),
            _SINCE: f"{since:.3f}",
        }

    def _named(self, heard: Heard) -> list[News]:
        names = {PIT: ""}
        for place, _ in heard.events:
            if place not in names:
                names[place] = place
                with contextlib.suppress(FormatError, StoreError):
                    names[place] = read_manifest(self._pit.cell(place)).name or place
        return [News(names[place], event) for place, event in heard.events]

    async def _send(self, notice: Notice) -> None:
        asked = {
            "url": self._url,
            "title": notice.title,
            "text": notice.text,
            "grave": notice.grave,
            "seconds": SEND_SECONDS,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", apprise_send.__name__),
            stdin=PIPE,
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        try:
            await process.communicate(json.dumps(asked).encode())
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode == -signal.SIGALRM:
            why = f"has not taken a message in {SEND_SECONDS:g} s"
            raise ChannelError(f"number {self._number} ({self._service}) {why}")
        if process.returncode != apprise_send.TAKEN:
            raise ChannelError(f"number {self._number} ({self._service}) does not take a message")

    def _note(self, channel: str, notes: dict[str, str]) -> None:
        with opened_records(self._pit.records) as db, transaction(db):
            carried.note(db, channel, notes)


async def keep(pit: PitPaths, settings: channel_settings.Apprise) -> None:
    """Tell until cancelled. At most one may do so for a root."""
    targets: list[Target] = []
    wrong: dict[int, str] = {}
    try:
        for number, url in enumerate(await asyncio.to_thread(urls_of, settings), 1):
            try:
                # Apprise loads every service that it knows, which takes a second or two.
                targets.append(await asyncio.to_thread(Target, pit, url, number))
            except ConfigError as error:
                wrong[number] = str(error)
    except ConfigError as error:
        wrong[1] = str(error)
    for why in wrong.values():
        log.warning("nobody is told there: %s", why)
    with contextlib.suppress(StoreError):
        await asyncio.to_thread(_begin_anew, pit, wrong)
    await _tell_all(pit, targets)


def urls_of(settings: channel_settings.Apprise) -> list[str]:
    """Return the addresses that are configured, whether they are any or not.

    Raises:
        ConfigError: the file that holds them cannot be read.
    """
    kept = secret("", settings.urls_file, "[apprise] urls_file").splitlines()
    lines = [line.strip() for line in kept]
    urls = [*settings.urls, *(line for line in lines if line and not line.startswith("#"))]
    return list(dict.fromkeys(urls))


async def _tell_all(pit: PitPaths, targets: Sequence[Target]) -> NoReturn:
    """Tell each address by itself: one that takes a minute holds up none of the others."""
    async with asyncio.TaskGroup() as group:
        for target in targets:
            group.create_task(_tell(pit, target))
    await silence()


async def _tell(pit: PitPaths, target: Target) -> NoReturn:
    noticing: Noticing | None = None
    try:
        noticing = Noticing(pit)
    except OSError as error:
        log.warning("journals are read every %g s only: %s", SWEEP_SECONDS, error.strerror)
    try:
        while True:
            if noticing is not None:
                with contextlib.suppress(StoreError):  # Before we read: what comes after rings.
                    everywhere = {**places_of(pit, cells=True), **places_of(pit, cells=False)}
                    noticing.watch(everywhere)
            if target.due <= time.monotonic():
                await target.step()
            later = target.due - time.monotonic()
            wait = min(SWEEP_SECONDS, later) if later > 0.0 else SWEEP_SECONDS
            if noticing is None:
                await asyncio.sleep(wait)
                continue
            await noticing.wait(wait)
    finally:
        if noticing is not None:
            noticing.close()


def _begin_anew(pit: PitPaths, wrong: Mapping[int, str]) -> None:
    """Note which addresses are none, and forget what was said of others that are there no more."""
    with opened_records(pit.records) as db, transaction(db):
        old = [key for key in carried.recall(db, NAME) if key.startswith(f"{TELLING} ")]
        notes = dict.fromkeys(old, "") | {f"{TELLING} {at}": why for at, why in wrong.items()}
        carried.note(db, NAME, notes | {f"{TELLING}_since": f"{time.time():.3f}"})
