"""The roster: what the manifests below the root say, as facts.

A manifest is read again when its file has changed, never otherwise; a sweep costs one directory
listing and one ``stat`` a cell. A manifest that cannot be read is told once and changes nothing:
the agents it named before are kept as they were.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lazarus_pit.cells import pause
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.listing import odd_rules
from lazarus_pit.cells.store import read_manifest
from lazarus_pit.core.events import Dismissed, Enlisted, Fact, Told
from lazarus_pit.core.model import CellStatus, Desired, Key, Role, Rules
from lazarus_pit.daemon.sleepers import Sleepers
from lazarus_pit.errors import LazarusError
from lazarus_pit.formats.manifest import Manifest, Member
from lazarus_pit.formats.names import is_cell_uuid
from lazarus_pit.formats.rules import merge_rules

Stamp = tuple[int, int, int]
"""Change time, inode and size of a manifest: another stamp, another manifest."""


@dataclass(slots=True)
class Cell:
    """One cell as it was last read."""

    paths: CellPaths
    manifest: Manifest
    stamp: Stamp
    file: str
    """The manifest's path, at hand for each sweep."""
    enlisted: dict[str, Enlisted] = field(default_factory=dict)
    """What was last said of each agent, so that nothing is said twice."""
    members: dict[str, Member] = field(default_factory=dict)
    """The manifest's entries by name: they are asked for at every event of a life."""
    only_writer: str = ""
    """The one agent that can write the workspace; empty where there are several."""


class Roster:
    """All cells of one root."""

    def __init__(self, root: Path, rules: Rules, tell: Callable[[Told], None]) -> None:
        """Read nothing yet; ``rules`` are the configuration's, below the cells' and members'."""
        self.root = root
        self.cells: dict[str, Cell] = {}
        self._rules = rules
        self._tell = tell
        self._unreadable: dict[str, Stamp] = {}
        self._ended: list[str] = []
        self._paused: set[str] = set()
        """Cells that somebody restores: their agents are stopped as long as that goes on."""
        self.sleepers = Sleepers(tell)
        """Cells that stand still because they were idle."""
        self.overfull: set[Key] = set()
        """Who keeps more on disk than is allowed, cells as ``<uuid>/``: they stand still."""
        self.unsettled: set[Key] = set()
        """Who stood still when the last daemon ended, until it is known whether they may move."""

    def sweep(self) -> list[tuple[Key, Fact]]:
        """Look at every cell of the root; return what has changed since the last look."""
        facts: list[tuple[Key, Fact]] = []
        present: set[str] = set()
        try:
            with os.scandir(self.root) as entries:
                names = [entry.name for entry in entries if is_cell_uuid(entry.name)]
        except OSError as error:
            # The root itself cannot be seen: that is our eyes, not the end of every cell.
            self._tell(Told(event="root_unreadable", data={"why": str(error)}))
            return facts
        for uuid in sorted(names):
            present.add(uuid)
            facts.extend(self.read(uuid))
        for uuid in self._paused & self.cells.keys():  # Who held it may have died.
            self._look_at_pause(self.cells[uuid].paths)
            facts.extend(self.judge(uuid))
        for uuid in [uuid for uuid in self.cells if uuid not in present]:
            cell = self.cells.pop(uuid)
            self._ended.append(uuid)
            self.sleepers.forget(uuid)
            facts.extend((f"{uuid}/{name}", Dismissed()) for name in cell.enlisted)
        self._paused &= present
        for uuid in self._unreadable.keys() - present:
            del self._unreadable[uuid]
        return facts

    def take_ended(self) -> list[str]:
        """Return the cells that are gone since the last time, for all who remember anything."""
        ended, self._ended = self._ended, []
        return ended

    def read(self, uuid: str) -> list[tuple[Key, Fact]]:
        """Look at one cell; return what has changed in it."""
        known = self.cells.get(uuid)
        paths = known.paths if known else CellPaths(self.root, uuid)
        file = known.file if known else str(paths.manifest)
        stamp = _stamp(file)
        if stamp is None or (known and known.stamp == stamp) or self._unreadable.get(uuid) == stamp:
            return []
        try:
            manifest = read_manifest(paths)
            self._look_at_pause(paths)
            if known:
                self.sleepers.wake(uuid, "people")
            elif manifest.status is CellStatus.ACTIVE:
                self.sleepers.find(paths, stamp)
            wanted = dict(self._wanted(manifest))
        except (LazarusError, OSError) as error:
            self._unreadable[uuid] = stamp
            self._tell(Told(event="manifest_unreadable", key=f"{uuid}/", data={"why": str(error)}))
            return []
        self._unreadable.pop(uuid, None)
        if odd := odd_rules(manifest):
            self._tell(Told(event="rules_unknown", key=f"{uuid}/", data={"names": odd}))
        if known is None and manifest.status not in (CellStatus.ACTIVE, CellStatus.FROZEN):
            return []  # Archived before we came: passed over (contract 2.4).
        cell = known or Cell(paths, manifest, stamp, file)
        cell.manifest, cell.stamp = manifest, stamp
        cell.members = {member.name: member for member in manifest.agents}
        cell.only_writer = _only_writer(manifest)
        self.cells[uuid] = cell
        facts: list[tuple[Key, Fact]] = [
            (f"{uuid}/{name}", Dismissed()) for name in cell.enlisted if name not in wanted
        ]
        facts.extend(
            (f"{uuid}/{name}", fact)
            for name, fact in wanted.items()
            if cell.enlisted.get(name) != fact
        )
        cell.enlisted = wanted
        return facts

    def _look_at_pause(self, paths: CellPaths) -> None:
        if pause.is_paused(paths):
            self._paused.add(paths.uuid)
        elif paths.uuid in self._paused and not pause.is_busy(paths):
            self._paused.discard(paths.uuid)

    def judge(self, uuid: str) -> list[tuple[Key, Fact]]:
        """Return what is wanted otherwise of a cell though its manifest is the same."""
        cell = self.cells.get(uuid)
        if cell is None:
            return []
        wanted = dict(self._wanted(cell.manifest))
        changed = [
            (f"{uuid}/{name}", fact)
            for name, fact in wanted.items()
            if cell.enlisted.get(name) != fact
        ]
        cell.enlisted = wanted
        return [*changed]

    def read_new(self, name: str) -> list[tuple[Key, Fact]]:
        """Look at something that has just appeared below the root."""
        return self.read(name) if is_cell_uuid(name) else []

    def unreadable(self) -> set[str]:
        """Return the cells whose manifests could not be read: nothing is known of their wishes."""
        return set(self._unreadable)

    def member(self, key: Key) -> tuple[Cell, Member]:
        """Return the cell and the manifest's entry of one agent.

        Raises:
            KeyError: the manifests do not name it.
        """
        uuid, _, name = key.partition("/")
        cell = self.cells[uuid]
        return cell, cell.members[name]

    def _wanted(self, manifest: Manifest) -> Iterator[tuple[str, Enlisted]]:
        for member in manifest.agents:
            if not member.command:
                continue  # A person, or an agent that nobody told how to start.
            yield (
                member.name,
                Enlisted(
                    rules=merge_rules(self._rules, manifest.rules, member.rules),
                    desired=self._desired(manifest, member),
                    request=member.request,
                ),
            )

    def _desired(self, manifest: Manifest, member: Member) -> Desired:
        """What people want, unless the disk has no room for it or the cell sleeps."""
        wanted = _desired(manifest, member)
        if manifest.uuid in self._paused:
            return Desired.STOP
        if manifest.uuid in self.sleepers and wanted is Desired.RUN:
            return Desired.FREEZE
        cell, key = f"{manifest.uuid}/", f"{manifest.uuid}/{member.name}"
        full = {cell, key} & self.overfull or key in self.unsettled
        return Desired.FREEZE if full and wanted is Desired.RUN else wanted


def _only_writer(manifest: Manifest) -> str:
    writers = [m.name for m in manifest.agents if m.command and m.role is not Role.OBSERVER]
    return writers[0] if len(writers) == 1 else ""


def _stamp(manifest: str) -> Stamp | None:
    try:
        status = os.stat(manifest, follow_symlinks=False)
    except OSError:
        return None
    return status.st_ctime_ns, status.st_ino, status.st_size


def _desired(manifest: Manifest, member: Member) -> Desired:
    """What people want of an agent: the cell's status wins over the member's wish."""
    if manifest.status not in (CellStatus.ACTIVE, CellStatus.FROZEN):
        return Desired.STOP
    if member.desired == Desired.STOP:
        return Desired.STOP
    return Desired.FREEZE if manifest.status is CellStatus.FROZEN else Desired.RUN
