"""``lazarus channels`` and ``lazarus channel serve``: the ways to people, and how they are."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import time

from msgspec import Struct, to_builtins
from msgspec.structs import replace

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli import say
from lazarus_pit.cli.place import HERE, Json, Place
from lazarus_pit.config import Config
from lazarus_pit.daemon.carrying import carrying
from lazarus_pit.daemon.standing import is_held
from lazarus_pit.daemon.telling import telling
from lazarus_pit.errors import ConfigError, LazarusError
from lazarus_pit.formats.text import one_line
from lazarus_pit.records import carried, outbox
from lazarus_pit.records.database import opened_records

_WORK = ("asking", "hearing")
"""What a channel does, and under what it notes the last error; ``channels.serve`` writes them."""


class State(Struct, frozen=True):
    """How one channel is."""

    name: str
    well: bool
    found: str
    since: float | None = None
    """Unix seconds."""
    known_as: str = ""
    """Our own name there, where people must know it to write to us."""


def channels(*, json: Json = False, place: Place = HERE) -> int:
    """List the channels on which people are asked, and the last error of each."""
    found = states(place.settings())
    if json:
        say.as_json([to_builtins(one) for one in found])
    for one in [] if json else found:
        since = f" ({say.span(time.time() - one.since)})" if one.since else ""
        say.line(f"{one.name:10} {say.clean(one.found, 400)}{since}")
        if one.known_as:
            say.line(f"{'':10} known there as {one.known_as}")
    if not found and not json:
        say.line("no channel is configured: requests wait for `lazarus approve` or the page")
    return 0 if all(one.well for one in found) else 1


def serve(*, place: Place = HERE) -> int:
    """Ask, hear and tell people on every configured channel until SIGTERM or Ctrl-C."""
    config = place.settings()
    if not config.reaches_people:
        missing = (
            "; ".join(config.channels.halves) or "expected [telegram], [nostr], [gitea] or another"
        )
        raise ConfigError(f"{config.path}: no channel is configured: {missing}")
    log_to_stderr()
    asyncio.run(_serve(config))
    return 0


async def _serve(config: Config) -> None:
    ends = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ends.set)
    pit = PitPaths(config.root)
    async with (
        carrying(pit, config.channels, config.gitea),
        telling(pit, config.gitea, config.notifications, "cells", config.owner),
    ):
        await ends.wait()


def states(config: Config) -> list[State]:
    """Return how each channel is that is configured here, or served for this root."""
    pit = PitPaths(config.root)
    names = [*config.channels.configured, *(["gitea"] if config.gitea.answers else [])]
    notes: dict[str, dict[str, str]] = {}
    if pit.records.exists():
        with opened_records(pit.records) as db:
            known = carried.with_note(db, _WORK[0])
            notes = {name: carried.recall(db, name) for name in {*names, *known}}
    served = [name for name in sorted({*names, *notes}) if is_held(pit.channel_lock(name))]
    found = [
        _served(name, notes.get(name, {}))
        if name in served
        else State(name, well=False, found="nobody serves it: is `lazarus up` running?")
        for name in sorted({*names, *served})
    ]
    found = [replace(one, known_as=known_as(config, one.name)) for one in found]
    if not config.gitea.missing:
        found += [_incidents(pit, part) for part in _parts(config)]
    halves = config.channels.halves
    return found + [State(one.partition("]")[0][1:], well=False, found=one) for one in halves]


def _parts(config: Config) -> list[str]:
    """Return of whom the forge is told from here: gateways by a pool that is configured here."""
    return ["cells", "far"] if config.pool.gateways else ["cells"]


def _incidents(pit: PitPaths, part: str) -> State:
    """Return how the incidents of one part are told at the forge."""
    name = f"incidents-{part}"
    if not is_held(pit.channel_lock(name)):
        return State(name, well=False, found="nobody tells them: is `lazarus up` running?")
    with opened_records(pit.records) as db:
        notes = carried.recall(db, name)
        waiting = outbox.count(db, f"incidents of {part} at ")
    left = f", {waiting} to be told" if waiting else ""
    if notes.get("telling"):
        since = float(notes.get("telling_since", "0"))
        return State(name, well=False, found=f"the forge: {notes['telling']}{left}", since=since)
    return State(name, well=True, found=f"tells{left}")


def known_as(config: Config, name: str) -> str:
    """Return our own name on a channel, where it has one; a key of ours is made if there is none.

    Empty as well where it cannot be told: who serves the channel says why.
    """
    if name != "nostr" or config.channels.nostr.missing:
        return ""
    from lazarus_pit.channels.nostr import own_key  # noqa: PLC0415 - slow to import

    try:
        return own_key(config.channels.nostr, PitPaths(config.root)).npub
    except LazarusError:
        return ""


def _served(name: str, notes: dict[str, str]) -> State:
    if name == "apprise":
        return _telling(name, notes)
    for what in _WORK:
        if notes.get(what):
            why, since = f"{what}: {notes[what]}", float(notes.get(f"{what}_since", "0"))
            return State(name, well=False, found=why, since=since)
    if any(what not in notes for what in _WORK):
        return State(name, well=True, found="begins")
    return State(name, well=True, found="asks and hears")


def _telling(name: str, notes: dict[str, str]) -> State:
    """Return how a channel is that only tells: it notes an error for each address."""
    why = [notes[key] for key in sorted(notes) if key.startswith("telling ") and notes[key]]
    if why:
        since = float(notes.get("telling_since", "0"))
        return State(name, well=False, found="; ".join(why), since=since)
    return State(name, well=True, found="tells")


class _OneLine(logging.Formatter):
    """What strangers say stays on one line and moves no cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record), 4000)


def log_to_stderr() -> None:
    """Log what a companion has to complain about."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[lines], force=True)
    for loud in ("httpx2", "httpcore2", "asyncio"):
        logging.getLogger(loud).setLevel(logging.WARNING)
    logging.raiseExceptions = False  # A closed terminal is no reason to stop asking.
