"""What the pool remembers over its own death: one file, replaced whole."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec.structs import replace

from lazarus_pit.cells.files import read_hostile, replace_file
from lazarus_pit.core.far import Far
from lazarus_pit.core.model import Verdict
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import pool_state

log = logging.getLogger(__name__)


class Clock:
    """Unix seconds that nobody can set while we run: wall time once, then the monotonic clock."""

    def __init__(self) -> None:
        """Read the wall clock, for the only time."""
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Return the present instant."""
        return time.monotonic() + self._offset

    def to_wall(self, instant: float) -> float:
        """Return an instant of ours as others would write it now."""
        return instant + time.time() - self.now()


def recall(path: Path) -> dict[str, Far]:
    """Return the remembered gateways; nothing is changed, and no file is nobody.

    Raises:
        FormatError: the file is damaged.
        StoreError: it cannot be read.
    """
    data = read_hostile(path, pool_state.MAX_BYTES)
    return {} if data is None else pool_state.parse(data)


def recall_or_set_aside(path: Path) -> dict[str, Far]:
    """Return the remembered gateways; a damaged file is kept under another name and said.

    Raises:
        StoreError: it cannot be read.
        OSError: it cannot be moved.
    """
    try:
        return recall(path)
    except FormatError as error:
        aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
        path.rename(aside)
        log.warning("%s; kept as %s, deaths are counted anew", error, aside.name)
        return {}


def remember(path: Path, gateways: Iterable[Far]) -> None:
    """Replace the file, durably.

    Raises:
        StoreError: the old one still stands.
    """
    replace_file(path, pool_state.encode(gateways), mode=0o600)


def is_news(before: Mapping[str, Far], after: Mapping[str, Far]) -> bool:
    """Whether anything is different that must survive; what any sweep sees anew need not."""
    return {key: _lasting(far) for key, far in before.items()} != {
        key: _lasting(far) for key, far in after.items()
    }


def _lasting(far: Far) -> Far:
    return replace(far, verdict=Verdict.UNKNOWN, looked=0.0)
