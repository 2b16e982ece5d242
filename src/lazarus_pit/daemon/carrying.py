"""The channels to people, each served by one process of a root: who comes later waits for its turn.

The pit and a pool may name different channels for one root, so that each channel has a lock of its
own. It ends with the process that holds it.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.daemon.standing import take_lock
from lazarus_pit.errors import RefusedError, WorldError
from lazarus_pit.formats.channel_settings import Channels
from lazarus_pit.formats.forge_settings import Gitea

log = logging.getLogger(__name__)

FLUSH_SECONDS, HEAR_SECONDS, LOOK_SECONDS = 5.0, 1.0, 0.05
"""Who comes only once carries for so long at most, and hears for so long after that."""
TURN_SECONDS = 2.0
"""How often who waits for a turn tries to take it, and who has failed begins again."""


@asynccontextmanager
async def carrying(pit: PitPaths, channels: Channels, gitea: Gitea) -> AsyncIterator[list[str]]:
    """Serve what is configured for as long as the block runs; gives the names of those that ask."""
    if not (channels.configured or gitea.answers):
        yield []
        return
    from lazarus_pit.channels.choose import makers  # noqa: PLC0415 - slow to import
    from lazarus_pit.channels.serve import serve  # noqa: PLC0415

    made = makers(channels, gitea)
    acts: dict[str, Callable[[], Awaitable[None]]] = {
        name: partial(serve, pit, {name: make}) for name, make in made.items()
    }
    if not channels.apprise.missing:
        from lazarus_pit.channels import apprise  # noqa: PLC0415 - only who is configured

        acts[apprise.NAME] = partial(apprise.keep, pit, channels.apprise)
    tasks = [asyncio.create_task(in_turn(pit, name, act)) for name, act in acts.items()]
    try:
        yield list(made)
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def once(pit: PitPaths, channels: Channels, gitea: Gitea) -> None:
    """Carry what there is to carry, and hear a little, as long as anybody waits for a word."""
    if not (channels.configured or gitea.answers) or not pit.records.exists():
        return
    from lazarus_pit.channels.desk import Desk  # noqa: PLC0415 - slow to import

    async with carrying(pit, channels, gitea) as names:
        desks = [Desk(pit, name) for name in names]
        clock = asyncio.get_running_loop().time
        asked_at, end = clock(), clock() + FLUSH_SECONDS
        while clock() < end:
            works = [await desk.work() for desk in desks]
            if any(work.ask or work.settle for work in works):
                asked_at = clock()
            elif clock() - asked_at > HEAR_SECONDS or all(work.wake is None for work in works):
                return
            await asyncio.sleep(LOOK_SECONDS)


async def in_turn(pit: PitPaths, name: str, act: Callable[[], Awaitable[None]]) -> None:
    """Do it while nobody else below this root does."""
    said = ""
    while True:
        try:
            lock = take_lock(pit.channel_lock(name), f"process serves {name} for")
        except (RefusedError, WorldError) as error:
            if str(error) != said:
                said = str(error)
                log.info("%s; this one waits for its turn", said)
            await asyncio.sleep(TURN_SECONDS)
            continue
        try:
            log.info("%s is served", name)
            await act()
        except Exception:  # Else the channel would be silent, and nobody would know why.
            log.exception("a fault of ours: %s begins again", name)
        finally:
            os.close(lock)
        await asyncio.sleep(TURN_SECONDS)
