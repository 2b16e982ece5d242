"""Decide which checkpoints to keep. Pure: instants in, names out."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec

HOUR, DAY = 3600, 86_400


class Kept(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many checkpoints to keep."""

    last: int = 5
    """The newest so many; at least one always stays."""
    hourly: int = 24
    """The newest one of each of the newest so many hours (UTC) that have one."""
    daily: int = 7
    """The same for days (UTC)."""


class Dated(Protocol):
    """A checkpoint, as far as this matters."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def created(self) -> float:
        """Seconds since 1970."""


def expired(
    checkpoints: Collection[Dated], rule: Kept, protected: Collection[str] = ()
) -> list[str]:
    """Name the checkpoints to remove, oldest first.

    ``protected`` names stay whatever their age, such as the newest one that was verified. Each
    archive is whole, so none depends on another.
    """
    newest_first = sorted(checkpoints, key=lambda one: (one.created, one.name), reverse=True)
    kept = {one.name for one in newest_first[: max(rule.last, 1)]} | set(protected)
    for count, span in ((rule.hourly, HOUR), (rule.daily, DAY)):
        spans: set[int] = set()
        for one in newest_first:
            number = int(one.created // span)
            if number not in spans and len(spans) < count:
                spans.add(number)
                kept.add(one.name)
    return [one.name for one in reversed(newest_first) if one.name not in kept]
