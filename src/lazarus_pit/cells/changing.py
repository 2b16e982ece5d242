"""Settings changed while a cell lives: written in one piece, and told with who changed what."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lazarus_pit.cells import provision
from lazarus_pit.cells.journal import append_events
from lazarus_pit.cells.store import update_manifest
from lazarus_pit.errors import RefusedError
from lazarus_pit.formats import settings
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Kind, Manifest
from lazarus_pit.formats.settings import Change

if TYPE_CHECKING:
    from lazarus_pit.cells.layout import CellPaths


def change_settings(
    paths: CellPaths, member: str, wishes: Mapping[str, Any], by: str
) -> list[Change]:
    """Change settings of a cell, or of one member of it; return what is now another.

    Raises:
        RefusedError: the cell has ended, or the member is gone or a person.
        FormatError: a value is wrong, or the manifest cannot be read; nothing has changed.
        StoreError: the operating system refused.
    """
    changes: list[Change] = []

    def change(old: Manifest) -> Manifest:
        provision.refuse_ended(old)
        found = old.member(member)
        if member and (found is None or found.kind is Kind.HUMAN):
            raise RefusedError(f"cell {old.uuid}: there is no agent {member}")
        new, changes[:] = settings.changed(old, member, wishes)
        return new if changes else old

    update_manifest(paths, change)
    if changes:
        data = {
            "by": by,
            "set": {one.name: one.after for one in changes},
            "was": {one.name: one.before for one in changes},
        }
        now = to_rfc3339(time.time(), 3)
        line = Event(ts=now, event="settings_changed", agent=member or None, data=data)
        append_events(paths.events, [line], durable=True)
    return changes
