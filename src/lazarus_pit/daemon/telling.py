"""Incidents at a forge, told beside whoever tells them and never in their circle.

The cells' agents and the far gateways are each told of by one process of a root; who comes later
waits for its turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Literal

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.provision import Owner
from lazarus_pit.daemon.carrying import in_turn
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import forge_settings
from lazarus_pit.formats.forge_settings import Gitea, Notifications

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def telling(
    pit: PitPaths,
    gitea: Gitea,
    told: Notifications,
    part: Literal["cells", "far"],
    owner: Owner | None = None,
) -> AsyncIterator[None]:
    """Tell for as long as the block runs.

    Args:
        pit: whose journals are read.
        gitea: the forge, if there is one.
        told: what people want told.
        part: of whom.
        owner: whom the agents of a cell run as that an approved proposal becomes; ``None``: none
            does.
    """
    if not is_told(gitea):
        yield
        return
    from lazarus_pit.channels import issues  # noqa: PLC0415 - an HTTP client is slow to import

    settings = issues.settings_of(gitea, told)
    keep = partial(issues.keep, pit, gitea, settings, part, owner)
    task = asyncio.create_task(in_turn(pit, f"incidents-{part}", keep))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def tell_now(
    pit: PitPaths, gitea: Gitea, told: Notifications, part: Literal["cells", "far"]
) -> None:
    """Tell what there is to be told; a forge that is down is told another time."""
    if is_told(gitea):
        from lazarus_pit.channels import issues  # noqa: PLC0415 - see above

        await issues.once(pit, gitea, issues.settings_of(gitea, told), part)


def is_told(gitea: Gitea) -> bool:
    """Whether there is a forge to tell; why there is none is said, once (contract 5.3)."""
    missing = gitea.missing
    if missing:
        log.info("no incident is told: [gitea] %s is missing", missing)
        return False
    try:
        for key in ("url", "repo"):
            forge_settings.check(key, getattr(gitea, key))
    except FormatError as error:
        log.warning("no incident is told: [gitea] %s", error)
        return False
    return True
