"""Which cells there are below a root (contract 2.4, 2.7)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import Struct

from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.store import read_manifest
from lazarus_pit.core.model import CellStatus
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.names import is_cell_uuid
from lazarus_pit.formats.rules import unknown_rules

if TYPE_CHECKING:
    from pathlib import Path

    from lazarus_pit.formats.manifest import Manifest

SUPERVISED = (CellStatus.ACTIVE, CellStatus.FROZEN)


class Listed(Struct, frozen=True):
    """One cell as found: its manifest, or why that cannot be read."""

    paths: CellPaths
    manifest: Manifest | None = None
    problem: str = ""


def list_cells(root: Path) -> list[Listed]:
    """Return every cell below the root, archived and unreadable ones too, by UUID.

    Directories that are no cells are passed over: a name that is no UUID, or no ``cell.json``.

    Raises:
        StoreError: the root cannot be read; one that does not exist has no cells.
    """
    return [look_at(CellPaths(root, name)) for name in list_names(root)]


def list_names(root: Path) -> list[str]:
    """Return the UUIDs of the cells below the root, in order; no manifest is read.

    Raises:
        StoreError: the root cannot be read; one that does not exist has no cells.
    """
    return [name for name in list_uuids(root) if os.path.lexists(CellPaths(root, name).manifest)]


def list_uuids(root: Path) -> list[str]:
    """Return the names below the root that a cell could have, in order.

    Raises:
        StoreError: the root cannot be read; one that does not exist has none.
    """
    try:
        return sorted(name for name in os.listdir(root) if is_cell_uuid(name))
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(f"{root}: cannot be listed: {error.strerror}") from error


def look_at(paths: CellPaths) -> Listed:
    """Return one cell as found; a manifest that cannot be read is a finding, not an error."""
    try:
        return Listed(paths, read_manifest(paths))
    except (FormatError, StoreError) as error:
        return Listed(paths, None, str(error))


def odd_rules(manifest: Manifest) -> list[str]:
    """Return where a manifest names rules that do not exist, for a warning to people."""
    places = {"rules": manifest.rules}
    places |= {f"{member.name}: rules": member.rules for member in manifest.agents}
    return [f"{place}.{name}" for place, rules in places.items() for name in unknown_rules(rules)]
