"""The pool's incidents at a forge, told beside its circle and never in it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import forge_settings
from lazarus_pit.formats.pool_config import PoolConfig

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def meanwhile(config: PoolConfig, pit: PitPaths) -> AsyncIterator[None]:
    """Tell for as long as the block runs."""
    if not _is_told(config):
        yield
        return
    from lazarus_pit.channels import issues  # noqa: PLC0415 - an HTTP client is slow to import

    settings = issues.settings_of(config.gitea, config.notifications)
    task = asyncio.create_task(issues.keep(pit, config.gitea, settings, ["far"]))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def now(config: PoolConfig, pit: PitPaths) -> None:
    """Tell what there is to be told; a forge that is down is told another time."""
    if not _is_told(config):
        return
    from lazarus_pit.channels import issues  # noqa: PLC0415 - an HTTP client is slow to import

    settings = issues.settings_of(config.gitea, config.notifications)
    await issues.once(pit, config.gitea, settings, "far")


def _is_told(config: PoolConfig) -> bool:
    """Whether there is a forge to tell; why there is none is said, once."""
    missing = config.gitea.missing
    if missing:
        log.info("no incident is told: [gitea] %s is missing", missing)
        return False
    try:
        for key in ("url", "repo"):
            forge_settings.check(key, getattr(config.gitea, key))
    except FormatError as error:
        log.warning("no incident is told: [gitea] %s", error)
        return False
    return True
