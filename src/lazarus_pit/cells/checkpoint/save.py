"""Take a checkpoint: read while the agents run, stop them only for what changed meanwhile.

The order is that of live migration: scan and compress; copy what changed meanwhile; freeze; copy
what changed since; thaw; compress that, assemble, check, sync, and only then give the archive its
name.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from lazarus_pit.cells.checkpoint import index, manifest, shelf
from lazarus_pit.cells.checkpoint.assemble import assemble, publish
from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY, Chain
from lazarus_pit.cells.checkpoint.capture import (
    GRAIN_NS,
    Captured,
    changed,
    mapped_inodes,
    sure_rows,
)
from lazarus_pit.cells.checkpoint.changes import Before, open_inodes
from lazarus_pit.cells.checkpoint.compose import NOTHING, Composer, Draft, Means, TornError
from lazarus_pit.cells.checkpoint.ears import FOLLOW, Ear, ear_for
from lazarus_pit.cells.checkpoint.members import Member, read_member
from lazarus_pit.cells.checkpoint.pieces import DamagedError
from lazarus_pit.cells.checkpoint.scan import (
    Entry,
    LeftOut,
    Scan,
    foreign_links,
    links_of,
    scan,
)
from lazarus_pit.cells.checkpoint.source import listed
from lazarus_pit.cells.checkpoint.untar import printable
from lazarus_pit.errors import StoreError

_ROUNDS = 2
"""How often to copy what changed before the cell is frozen for the rest."""
_FEW = 64
"""So few entries are not worth a further round."""
PARTS = (".lazarus/home", "bus", "cell.json", "workspace")


class Freezer(Protocol):
    """Whoever can make the cell's agents stand still."""

    def freeze(self) -> tuple[int, ...]:
        """Stop every process of the cell and return their ids. Raises ``WorldError``."""

    def thaw(self) -> None:
        """Let them go on; harmless where nothing is frozen."""


Report = Callable[[str, float], None]
"""Told a stage's name and the share of it that is done, from 0 to 1."""


class SaveRequest(msgspec.Struct, frozen=True, kw_only=True, tag="save"):
    """Which cell to save where."""

    cell: str
    """The cell's directory."""
    store: str
    """The directory for the archive, on any filesystem; agents cannot write there."""
    parts: tuple[str, ...] = PARTS
    """What of the cell is saved."""
    owners: tuple[int, ...] = ()
    """The uids of the cell's agents; if empty, the owner of the workspace. A file of anybody else
    that has names outside the cell is not saved."""
    note: str = ""
    rescue: bool = False
    """The cell is about to be killed or replaced: see ``About.rescue``."""
    jobs: int = 2
    """Processes that read and compress."""
    follow: tuple[str, ...] = FOLLOW
    """How to hear of changes, for a shorter pause: the first way that the kernel allows. Where it
    allows none, all is looked at again under the freeze."""
    room: int = 0
    """Bytes that must be free in the store before anything begins."""


class Saved(msgspec.Struct, frozen=True, kw_only=True, tag="saved"):
    """A checkpoint that was taken. Sizes in bytes, times in seconds."""

    name: str
    archive: str
    size: int
    entries: int
    captured: int
    """Entries copied while the cell stood still."""
    pause_seconds: float
    wall_seconds: float
    incremental: bool
    left_out: tuple[manifest.Omission, ...]


class Live(NamedTuple):
    """The cell as the live pass saw it."""

    found: Scan
    draft: Draft
    since: int
    """When it began, in nanoseconds since 1970."""


class Frame(NamedTuple):
    """The cell as it stood under the freeze."""

    tree: list[Entry]
    captured: Captured
    copied: int
    """Entries copied under the freeze."""
    left_out: list[LeftOut]
    unsure: set[int]
    thawed_ns: int
    pause: float


def save(request: SaveRequest, freezer: Freezer, report: Report) -> Saved:
    """Take a checkpoint. Raises ``WorldError`` and ``RefusedError``; then nothing has changed.

    A rotten piece in the archive that would be reused is never copied: all is then read anew.
    """
    began = time.monotonic()
    try:
        with shelf.locked(Path(request.store)) as store:
            shelf.room(store, request.room)
            try:
                with shelf.base_of(Path(request.store)) as base:
                    run = Run(request, store, freezer, report)
                    return run.take(base, began)
            except DamagedError:
                return Run(request, store, freezer, report).take(None, began)
    except OSError as error:
        what = "the disk is full" if error.errno == errno.ENOSPC else str(error)
        raise StoreError(f"{request.store}: no checkpoint was taken: {what}") from error


class Run:
    """One attempt at a checkpoint."""

    def __init__(self, request: SaveRequest, store: int, freezer: Freezer, report: Report) -> None:
        self._request = request
        self._store = store
        self._freezer = freezer
        self._report = report
        self._root = -1

    def take(self, base: shelf.Base | None, began: float) -> Saved:
        """Run all the steps. Raises ``DamagedError`` and ``OSError``."""
        with ExitStack() as stack:
            self._root = os.open(self._request.cell, OPEN_DIRECTORY)
            stack.callback(os.close, self._root)
            spills: list[int] = []
            stack.callback(lambda: [*map(os.close, spills)])

            def spill() -> int:
                spills.append(shelf.nameless(self._store))
                return spills[-1]

            ear = ear_for(self._request.cell, self._request.follow)
            if ear is not None:
                stack.callback(ear.close)
            live = self._live_pass(base, spill, ear)
            frame = self._frozen_pass(live, ear, Captured(spill))
            self._report("compress", 0)
            final = live.draft
            if frame.tree is not live.found.tree or frame.captured.paths:
                final = self._compose(frame.tree, live.draft, frame.captured, spill)
            return self._finish(final, frame, began, incremental=base is not None)

    def _live_pass(
        self, base: shelf.Base | None, spill: Callable[[], int], ear: Ear | None
    ) -> Live:
        self._report("scan", 0)
        since = time.time_ns()
        found = scan(self._root, self._request.parts, ear.attend if ear else None)
        if base is None:
            prior = NOTHING
        else:
            lines = listed(base.archive, base.table)
            prior = Draft(base.table.rows, base.table.segments, [base.archive], set(), lines)

        def report(done: float) -> None:
            self._report("read", done)
            if ear is not None:
                ear.listen()

        with Chain(self._root) as chain:

            def fresh(path: str, state: os.stat_result, link: str) -> Member:
                try:
                    return read_member(chain, path, state, link)
                except OSError as error:
                    raise TornError from error

            composer = Composer(found.tree, prior, fresh, ())
            draft = composer.compose(Means(spill, self._request.jobs, report))
        return Live(found, draft, since)

    def _frozen_pass(self, live: Live, ear: Ear | None, captured: Captured) -> Frame:
        before = self._follow(live, ear, captured) if ear else None
        self._report("freeze", 0)
        found, touched = live.found, None
        began = time.monotonic()
        try:
            pids = self._freezer.freeze()
            mapped = mapped_inodes(pids)
            names = ear.names() if ear else None
            if before is not None and names is not None:
                # What was changed through a name that is gone by now is not named again.
                touched = before.look(names, mapped | open_inodes(pids), captured.paths)
                entries = touched.in_order()
            else:
                found = scan(self._root, self._request.parts)
                entries = found.tree
            todo = changed(entries, live.draft, captured, mapped, live.since)
            captured.take(self._root, todo, links_of(entries))
            thawed = time.time_ns()
        finally:
            self._freezer.thaw()
        pause = time.monotonic() - began
        if before is not None and touched is not None:
            found = before.merged(touched)
        captured.settle(found.tree)
        foreign = foreign_links(found.tree, self._owners(found.tree))
        lost = {one.path for one in [*captured.left_out, *foreign]}
        tree = [entry for entry in found.tree if entry[0] not in lost] if lost else found.tree
        left_out = [*found.left_out, *foreign, *captured.left_out]
        return Frame(tree, captured, len(todo), left_out, mapped, thawed, pause)

    def _follow(self, live: Live, ear: Ear, captured: Captured) -> Before:
        """Copy what changed during the live pass, so that less is left to do under the freeze."""
        self._report("follow", 0)
        young = live.since - GRAIN_NS
        suspects = [path for path, state in live.found.tree if state.st_ctime_ns > young]
        parts = self._request.parts
        before = Before(self._root, live.found, parts, [*suspects, *live.draft.torn])
        for _ in range(_ROUNDS):
            since = time.time_ns()
            names = ear.names()
            if names is None:
                break
            entries = before.look(names, ()).in_order()
            todo = changed(entries, live.draft, captured, (), live.since)
            captured.take_running(self._root, todo, links_of(entries), since)
            if len(todo) < _FEW:
                break
        return before

    def _owners(self, tree: list[Entry]) -> frozenset[int]:
        owners = [state.st_uid for path, state in tree if path == "workspace/"]
        return frozenset(self._request.owners or owners)

    def _compose(
        self,
        tree: list[Entry],
        prior: Draft,
        captured: Captured,
        spill: Callable[[], int],
    ) -> Draft:
        means = Means(spill, self._request.jobs, lambda done: self._report("compress", done))
        return Composer(tree, prior, captured.member, captured.paths).compose(means)

    def _finish(self, final: Draft, frame: Frame, began: float, *, incremental: bool) -> Saved:
        self._report("assemble", 0)
        about = self._about(frame)
        seconds = frame.thawed_ns // 1_000_000_000
        listed = manifest.list_of(frame.tree, final.segments, final.lines, final.rows)
        archive = assemble(self._store, final, manifest.preface_of(about, listed, seconds))
        with closing(os.fdopen(archive.fd, "rb")):
            name = shelf.next_name(Path(self._request.store), frame.thawed_ns)
            self._report("publish", 0)
            publish(self._store, name + shelf.ARCHIVE, archive)
        rows = sure_rows(archive.table.rows, frame.thawed_ns, frame.unsure)
        sure = archive.table._replace(rows=rows)
        shelf.write_whole(self._store, name + shelf.INDEX, index.encode(sure))
        return Saved(
            name=name,
            archive=str(Path(self._request.store) / (name + shelf.ARCHIVE)),
            size=archive.table.archive_size,
            entries=len(frame.tree),
            captured=frame.copied,
            pause_seconds=frame.pause,
            wall_seconds=time.monotonic() - began,
            incremental=incremental,
            left_out=about.left_out,
        )

    def _about(self, frame: Frame) -> manifest.About:
        when = datetime.fromtimestamp(frame.thawed_ns / 1e9, UTC)
        sizes = [state.st_size for _, state in frame.tree if stat.S_ISREG(state.st_mode)]
        return manifest.About(
            created_at=f"{when:%Y-%m-%dT%H:%M:%SZ}",
            parts=self._request.parts,
            note=self._request.note,
            rescue=self._request.rescue,
            entries=len(frame.tree),
            bytes=sum(sizes),
            pause_seconds=round(frame.pause, 6),
            left_out=tuple(
                manifest.Omission(printable(one.path), one.why) for one in frame.left_out
            ),
        )
