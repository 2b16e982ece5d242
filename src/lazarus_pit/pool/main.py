"""``resurrection-pool``: watch, or look once, with the flags of contract 3.1."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
from msgspec.structs import replace

from lazarus_pit.cells import layout
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.core.far import Far
from lazarus_pit.daemon.carrying import carrying, once
from lazarus_pit.daemon.standing import take_lock
from lazarus_pit.daemon.telling import tell_now, telling
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.pool_config import PoolConfig, falls_back, policies
from lazarus_pit.formats.text import inert, one_line
from lazarus_pit.linux.inotify import IN_CLOSE_WRITE, Inotify
from lazarus_pit.linux.spawn import close_on_exec
from lazarus_pit.pool import memory, reports
from lazarus_pit.pool.options import Options
from lazarus_pit.pool.sources import find, handed_on
from lazarus_pit.pool.sweep import Prober, Sight
from lazarus_pit.pool.watch import Pool

log = logging.getLogger(__name__)


def run(options: Options) -> int:
    """Do what the flags ask for, and return the exit code.

    Raises:
        LazarusError: it cannot be done.
        OSError: the machine refused.
    """
    _log_to_stderr(verbose=options.verbose)
    found = find(options.config, os.environ)
    for warning in [*found.warnings, *found.config.channels.halves]:
        log.warning("%s", warning)
    given = {"poll_interval": options.poll_interval, "dead_threshold": options.dead_threshold}
    config = replace(found.config, **{k: v for k, v in given.items() if v is not None})
    root = options.root or found.root or layout.default_root()
    pit = PitPaths(root.absolute())
    if options.status:
        return _status(config, pit)
    if options.dry_run:
        return _dry_run(config, pit)
    _warn_of_channels(config)
    lock = take_lock(pit.pool_lock)
    close_on_exec()
    try:
        return asyncio.run(_once(config, pit) if options.once else _watch(config, pit))
    finally:
        os.close(lock)


class _OneLine(logging.Formatter):
    """What gateways are called and say stays on one line and moves no cursor."""

    def format(self, record: logging.LogRecord) -> str:
        return one_line(super().format(record), 4000)


def _log_to_stderr(*, verbose: bool) -> None:
    lines = logging.StreamHandler()
    lines.setFormatter(_OneLine("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[lines], force=True)
    logging.getLogger("lazarus_pit").setLevel(logging.DEBUG if verbose else logging.INFO)
    for loud in ("httpx2", "httpcore2", "asyncio"):
        logging.getLogger(loud).setLevel(logging.WARNING)
    logging.raiseExceptions = False  # A closed terminal is no reason to stop watching.


def _warn_of_channels(config: PoolConfig) -> None:
    asked = [word for word in policies(config).values() if word == "ask"]
    if not asked:
        return
    if falls_back(config, asked[0]):
        log.warning(
            "%d gateways have the policy ask and no channel is configured: they are revived "
            'without asking; ask_without_channel = "hold" waits for `lazarus approve`',
            len(asked),
        )
    elif not config.has_channel:
        log.warning("no channel is configured: requests wait for `lazarus approve`")


async def _once(config: PoolConfig, pit: PitPaths) -> int:
    def carry() -> Awaitable[None]:
        return once(pit, config.channels, config.gitea)

    await _as_far_as_records_let(carry)  # What was said since the last time.
    pool = Pool(config, pit, handed_on(os.environ))
    await pool.once()
    await _as_far_as_records_let(carry)
    await _as_far_as_records_let(
        lambda: tell_now(pit, config.gitea, config.notifications, "far"),
    )
    return 0 if pool.all_healthy else 1


async def _as_far_as_records_let(act: Callable[[], Awaitable[None]]) -> None:
    """Do what needs the records; where they refuse, only people are not reached."""
    try:
        await act()
    except StoreError as error:
        log.warning("nobody is asked or told: %s", error)


async def _watch(config: PoolConfig, pit: PitPaths) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pool = Pool(config, pit, handed_on(os.environ))
    bell = _hear(pit.bell, pool.answered)
    watched = f"{len(config.gateways)} gateway{'s' * (len(config.gateways) != 1)}"
    log.info("resurrection-pool %d watches %s", os.getpid(), watched)
    try:
        async with (
            telling(pit, config.gitea, config.notifications, "far"),
            carrying(pit, config.channels, config.gitea),
        ):
            await pool.run(stop)
    finally:
        if bell is not None:
            loop.remove_reader(bell.fd)
            bell.close()
    log.info("resurrection-pool %d ends; what it revived runs on", os.getpid())
    return 0


def _hear(path: Path, rung: Callable[[], None]) -> Inotify | None:
    """Hear the bell that whoever answers a request rings; without one the sweeps must do."""
    bell: Inotify | None = None
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        bell = Inotify()
        bell.add(str(path), IN_CLOSE_WRITE)
    except OSError as error:
        log.warning("%s: %s; answers are seen at the next sweep", path, error.strerror)
        if bell is not None:
            bell.close()
        return None
    heard = bell

    def ring() -> None:
        heard.read()
        rung()

    asyncio.get_running_loop().add_reader(heard.fd, ring)
    return heard


def _remembered(pit: PitPaths) -> dict[str, Far]:
    try:
        return memory.recall(pit.pool)
    except FormatError as error:
        log.warning("%s: %s", pit.pool, error)
        return {}


def _sights(config: PoolConfig) -> dict[str, Sight]:
    async def look() -> dict[str, Sight]:
        return await Prober(config, handed_on(os.environ)).look(config.gateways)

    return asyncio.run(look())


def _status(config: PoolConfig, pit: PitPaths) -> int:
    remembered = _remembered(pit)
    sights = _sights(config)
    listed = [
        reports.status_object(name, remembered.get(name, Far(key=name)), sight)
        for name, sight in sights.items()
    ]
    encoded = inert(msgspec.json.encode(listed))
    print(msgspec.json.format(encoded, indent=2).decode(), flush=True)  # noqa: T201 - the answer
    return 0


def _dry_run(config: PoolConfig, pit: PitPaths) -> int:
    remembered = _remembered(pit)
    sights = _sights(config)
    for line in reports.dry_run(config, remembered, sights, memory.Clock().now()):
        print(one_line(line, 4000), flush=True)  # noqa: T201 - the answer
    well = all(set(sight.readings) == {"passed"} for sight in sights.values())
    return 0 if well else 1
