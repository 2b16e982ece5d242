"""Names that people type, made to mean exactly one cell or agent, or refused with the choices."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import NamedTuple

from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.store import read_manifest
from lazarus_pit.cells.view import CellView, see_cell, see_cells
from lazarus_pit.cli.say import clean
from lazarus_pit.errors import LazarusError, UsageError
from lazarus_pit.formats.manifest import Manifest
from lazarus_pit.formats.names import is_cell_uuid

SHOWN = 8
"""Candidates that a complaint lists at most."""


class Found(NamedTuple):
    """A cell that was meant."""

    paths: CellPaths
    manifest: Manifest


class FoundAgent(NamedTuple):
    """An agent that was meant."""

    paths: CellPaths
    manifest: Manifest
    name: str


def find_cell(pit: PitPaths, text: str) -> Found:
    """Return the cell that is meant by a UUID, the beginning of one, or a cell's name.

    Raises:
        UsageError: none or several are meant.
        FormatError: the one that is meant has a manifest that cannot be read.
        StoreError: the same, because the machine refused.
    """
    paths = pit.cell(_cell_uuid(pit, text))
    return Found(paths, read_manifest(paths))


def _cell_uuid(pit: PitPaths, text: str) -> str:
    if is_cell_uuid(text) and pit.cell(text).manifest.exists():
        return text
    cells = see_cells(pit)
    named = [cell for cell in cells if cell.manifest and cell.manifest.name == text]
    begun = [cell for cell in cells if text and cell.uuid.startswith(text.lower())]
    watched = [cell for cell in named if cell.is_watched]
    for found in (watched, named, begun):
        if len(found) == 1:
            return found[0].uuid
        if found:
            raise UsageError(
                f"{clean(text, 80)!r} means {len(found)} cells: {_listed(map(_cell_words, found))}"
            )
    raise UsageError(_unknown("cell", text, [_cell_words(cell) for cell in cells], pit))


def find_agent(pit: PitPaths, text: str) -> FoundAgent:
    """Return the agent that is meant by ``CELL/AGENT``, or by its name alone where that is unique.

    Raises:
        UsageError: none or several are meant.
        FormatError: the manifest of the cell that is meant cannot be read.
        StoreError: the same, because the machine refused.
    """
    cell, slash, name = text.rpartition("/")
    if slash:
        paths, manifest = find_cell(pit, cell)
        if manifest.member(name) is None:
            members = [f"{cell}/{member.name}" for member in manifest.agents]
            raise UsageError(_unknown("agent", text, members, pit))
        return FoundAgent(paths, manifest, name)
    cells = [cell for cell in see_cells(pit) if cell.manifest is not None]
    having = [cell for cell in cells if _has(cell, text)]
    watched = [cell for cell in having if cell.is_watched]
    for found in (watched, having):
        if len(found) == 1:
            return _agent_in(pit, found[0].uuid, text)
        if found:
            candidates = [f"{cell.label}/{text}" for cell in found]
            raise UsageError(f"{text!r} is in {len(found)} cells: say {_listed(candidates)}")
    everyone = [f"{cell.label}/{agent.name}" for cell in cells for agent in cell.agents]
    raise UsageError(_unknown("agent", text, everyone, pit))


def _has(cell: CellView, name: str) -> bool:
    return any(agent.name == name for agent in cell.agents)


def _agent_in(pit: PitPaths, uuid: str, name: str) -> FoundAgent:
    paths = pit.cell(uuid)
    return FoundAgent(paths, read_manifest(paths), name)


def label_of(pit: PitPaths, subject: str) -> str:
    """Return ``CELL/AGENT`` as people type it, of an agent that is named by its cell's UUID."""
    uuid, slash, agent = subject.partition("/")
    if not is_cell_uuid(uuid):
        return clean(subject)  # A gateway of the pool.
    name = None
    with suppress(LazarusError):  # Gone, or unreadable: the beginning of its UUID must do.
        name = read_manifest(pit.cell(uuid)).name
    return f"{name or uuid[:8]}{slash}{clean(agent)}"


def see_found(found: Found | FoundAgent) -> CellView:
    """Return the view of a cell that was found, as it stands now."""
    return see_cell(found.paths)


def _cell_words(cell: CellView) -> str:
    name = cell.manifest.name if cell.manifest else None
    return f"{cell.uuid[:8]} ({name})" if name else cell.uuid


def _unknown(kind: str, text: str, candidates: Sequence[str], pit: PitPaths) -> str:
    said = f"no {kind} {clean(text, 80)!r} below {pit.root}"
    near = get_close_matches(text, candidates, n=3, cutoff=0.5)
    if not near or len(candidates) <= SHOWN:  # Few enough to be seen all, the nearest first.
        near += [candidate for candidate in candidates if candidate not in near]
    return f"{said}; there is {_listed(near)}" if near else f"{said}; there is none"


def _listed(candidates: Sequence[str] | map[str]) -> str:
    shown = [clean(candidate, 80) for candidate in candidates]
    more = f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else ""
    return ", ".join(shown[:SHOWN]) + more
