"""What the pool tells: a line in its log, and one in the pit's journal for ``lazarus events``."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from lazarus_pit.cells.journal import append_events
from lazarus_pit.core.events import Told
from lazarus_pit.errors import LazarusError
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.pool_config import NAME_SHOWN
from lazarus_pit.formats.text import one_line
from lazarus_pit.pool.sweep import Sight

log = logging.getLogger(__name__)

_LEVELS = {
    "gateway_escalated": logging.ERROR,
    "gateway_died": logging.WARNING,
    "gateway_revive_failed": logging.WARNING,
    "approval_requested": logging.WARNING,
    "approval_expired": logging.WARNING,
}
_WITH_PROBES = ("gateway_died", "gateway_escalated")


def shown_name(name: str) -> str:
    """Return a gateway's name as people are shown it, whatever stands in it."""
    return one_line(name, NAME_SHOWN)


class Journal:
    """Tells; a disk that refuses is said once and keeps nobody from being revived."""

    def __init__(self, path: Path) -> None:
        """Append to the pit's journal, beside other writers."""
        self._path = path
        self._refused = False

    def tell(self, told: Told, sight: Sight | None, mission: str) -> None:
        """Tell one thing; of a death also the mission, and what each probe saw."""
        data = dict(told.data)
        if mission and told.event in _WITH_PROBES:
            data["mission"] = mission
        if sight is not None and told.event in _WITH_PROBES:
            data["probes"] = sight.words()
            data["heartbeat_age"] = sight.heartbeat_age
        name = shown_name(told.key)
        said = " ".join(f"{key}={value}" for key, value in data.items())
        log.log(_LEVELS.get(told.event, logging.INFO), "%s: %s %s", name, told.event, said)
        stamp = to_rfc3339(time.time(), 3)
        event = Event(ts=stamp, event=told.event, agent=name, data=data)
        try:
            append_events(self._path, [event])
        except LazarusError as error:
            if not self._refused:
                log.warning("the journal is behind: %s", error)
            self._refused = True
        else:
            self._refused = False
