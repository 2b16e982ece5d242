"""What a pit does at a forge by itself, as one task: incidents, and cells of approved proposals.

The channel on which people answer there is ``comments``, and is served with the other channels.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NoReturn

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.provision import Owner
from lazarus_pit.channels.forge import Forge
from lazarus_pit.channels.incidents import Settings
from lazarus_pit.channels.proposals import Proposals
from lazarus_pit.channels.telling import Part, Teller
from lazarus_pit.formats.forge_settings import Gitea, Notifications

log = logging.getLogger(__name__)

FLUSH_SECONDS = 30.0
"""How long who looks only once waits for a forge."""
_AGAIN_SECONDS = 60.0


def settings_of(gitea: Gitea, told: Notifications) -> Settings:
    """Return what is to be told."""
    return Settings(
        open_on_death=told.open_issue_on_death,
        close_on_revive=told.close_issue_on_revive,
        reopen_within=gitea.reopen_within,
        asks_there=gitea.answers,
    )


async def keep(
    pit: PitPaths, gitea: Gitea, settings: Settings, part: Part, owner: Owner | None = None
) -> None:
    """Tell of a part, and make cells of approved proposals, until cancelled.

    Args:
        pit: whose journals are read.
        gitea: of which nothing is ``missing``.
        settings: what is to be told.
        part: one that no other process tells of.
        owner: whom the agents of a new cell run as; ``None``: no cell is made.
    """
    async with (
        Forge(gitea.url, gitea.repo, gitea.token) as forge,
        asyncio.TaskGroup() as group,
    ):
        group.create_task(_again(Teller(pit, forge, settings, part).run))
        if gitea.provision_approved and owner is not None:
            proposals = Proposals(pit, forge, gitea.repo, owner)
            group.create_task(_again(lambda: proposals.run(gitea.poll_interval)))


async def once(pit: PitPaths, gitea: Gitea, settings: Settings, part: Part) -> None:
    """Tell what there is to be told of a part now; a forge that is down is told another time."""
    async with Forge(gitea.url, gitea.repo, gitea.token) as forge:
        teller = Teller(pit, forge, settings, part)
        await asyncio.to_thread(teller.take_in)
        try:
            async with asyncio.timeout(FLUSH_SECONDS):
                await teller.send()
        except TimeoutError:
            log.warning("the forge is slow, what is to be said is kept")


async def _again(act: Callable[[], Awaitable[None]]) -> NoReturn:
    """Do it for ever: a fault of ours in one of them holds up none of the others."""
    while True:
        try:
            await act()
        except Exception:
            log.exception("a task at the forge failed, it begins again")
        await asyncio.sleep(_AGAIN_SECONDS)
