"""Go back to a checkpoint in place, touching only what differs from it.

An entry that still has the inode and ctime of the index holds the very bytes that were saved: no
agent can set a ctime. The agents are stopped. A crash half way is mended by doing it again.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY, Chain, remove, split
from lazarus_pit.cells.checkpoint.index import NEVER_SAME, Index, Row
from lazarus_pit.cells.checkpoint.intake import Chunks, Intake
from lazarus_pit.cells.checkpoint.manifest import About
from lazarus_pit.cells.checkpoint.place import Placed, Trust, Writer
from lazarus_pit.cells.checkpoint.remail import reopen
from lazarus_pit.cells.checkpoint.restore import HOMES, WORK, remove_tree, write_index
from lazarus_pit.cells.checkpoint.save import Report
from lazarus_pit.cells.checkpoint.scan import Entry, scan
from lazarus_pit.cells.checkpoint.source import MOST_BYTES, Source, opened, stream_of
from lazarus_pit.cells.checkpoint.untar import Found, printable
from lazarus_pit.errors import RefusedError, StoreError
from lazarus_pit.linux.rename import sync_filesystem


class UndoRequest(msgspec.Struct, frozen=True, kw_only=True, tag="undo"):
    """Which cell goes back to which checkpoint of this host."""

    cell: str
    archive: str
    staging: str
    """A directory on the cell's filesystem, out of every agent's reach; it is made and removed."""
    parts: tuple[str, ...] = WORK


class Undone(msgspec.Struct, frozen=True, kw_only=True, tag="undone"):
    """The cell is as the checkpoint has it. Counts of entries."""

    kept: int
    restored: int
    removed: int
    about: About
    notes: tuple[str, ...] = ()


class Work(NamedTuple):
    """What differs from the checkpoint."""

    gone: list[str]
    """Entries that the checkpoint does not have: to be removed, a directory with all in it."""
    differing: set[str]
    """Entries that are not as saved, or not there."""
    settle: set[str]
    """Directories whose attributes the work changes."""
    kept: int


def undo(request: UndoRequest, report: Report) -> Undone:
    """Bring the parts back. Raises ``RefusedError`` where the checkpoint has no index that fits."""
    archive, staging = Path(request.archive), Path(request.staging)
    with opened(archive) as source:
        if source.table is None:
            raise RefusedError(f"{archive}: has no index of this host; restore it instead")
        about = source.preface.about
        try:
            work, shared = _look(request, source.table.rows, about)
            report("unpack", 0)
            remove_tree(staging)
            staging.mkdir(mode=0o700)
            placed = _extract(source, work, staging)
            report("apply", 0)
            _apply(request, source.table.rows, work, placed)
            notes = [*placed.notes, *_reopen(Path(request.cell), source.table.rows, request.parts)]
            again = work.differing | work.settle | shared
            write_index(archive, _restated(source.table, Path(request.cell), again))
        except OSError as error:
            raise StoreError(f"{request.cell}: the undo is unfinished: {error}") from error
        finally:
            with suppress(OSError):
                remove_tree(staging)
    return Undone(
        kept=work.kept,
        restored=len(work.differing),
        removed=len(work.gone),
        about=about,
        notes=tuple(notes),
    )


def _reopen(cell: Path, rows: dict[str, Row], parts: Collection[str]) -> list[str]:
    """See to the mail; what the notes of it say is for people."""
    if HOMES not in parts:
        return []
    bus = [path for path in rows if path.startswith("bus/") and not path.endswith("/")]
    mail = reopen(cell, bus, os.listdir(cell / HOMES), None)
    back = [f"{mail.mails} mails read since wait in their inboxes again"] * bool(mail.mails)
    return back + [f"{mail.missing} mails that waited then are kept no more"] * bool(mail.missing)


def _look(request: UndoRequest, rows: dict[str, Row], about: About) -> tuple[Work, set[str]]:
    """Find what differs, and the files whose state changes with that of their other names."""
    root = os.open(request.cell, OPEN_DIRECTORY)
    try:
        tree = scan(root, request.parts).tree
    finally:
        os.close(root)
    unsaved = {omission.path for omission in about.left_out}
    shared = {path for path, state in tree if state.st_nlink > 1 and path[-1] != "/"}
    return compare(tree, within(rows, request.parts), unsaved), shared & rows.keys()


def _restated(table: Index, cell: Path, paths: Collection[str]) -> Index:
    """Note the present state of these paths, so that the next checkpoint reuses the archive.

    Whatever else there is was found as the index has it and was not touched.
    """
    rows = dict(table.rows)
    root = os.open(cell, OPEN_DIRECTORY)
    try:
        with Chain(root) as chain:
            for path in sorted(paths):
                inode, ctime = 0, NEVER_SAME
                with suppress(OSError):
                    directory, name = split(path)
                    state = os.stat(name, dir_fd=chain.fd(directory), follow_symlinks=False)
                    inode, ctime = state.st_ino, state.st_ctime_ns
                rows[path] = rows[path]._replace(inode=inode, ctime_ns=ctime)
    finally:
        os.close(root)
    return table._replace(rows=rows)


def within(rows: dict[str, Row], parts: Collection[str]) -> dict[str, Row]:
    """Pick the rows that lie in these parts."""
    inside = tuple(part + "/" for part in parts)
    return {path: row for path, row in rows.items() if path.startswith(inside) or path in parts}


def compare(tree: list[Entry], rows: dict[str, Row], unsaved: Collection[str]) -> Work:
    """Find what differs. What a checkpoint could not save is never removed."""
    now = dict(tree)
    gone: list[str] = []
    for path in [path for path, _ in tree if path not in rows]:
        covered = bool(gone) and gone[-1].endswith("/") and path.startswith(gone[-1])
        if not covered and printable(path) not in unsaved:
            gone.append(path)
    differing = set()
    for path, row in rows.items():
        state = now.get(path)
        if state is None or state.st_ctime_ns != row.ctime_ns or state.st_ino != row.inode:
            differing.add(path)
    differing |= {path for path, row in rows.items() if row.link and row.link in differing}
    settle = {path for path in differing if path.endswith("/")}
    settle |= {split(path)[0] for path in [*gone, *differing]} & rows.keys()
    return Work(gone, differing, settle, len(rows) - len(differing))


class _Wanted:
    """Places the wanted members and only reads the others, their neighbours."""

    def __init__(self, writer: Writer, wanted: Collection[str]) -> None:
        self._writer = writer
        self._wanted = wanted

    def file(self, member: Found, chunks: Chunks) -> None:
        if member.path in self._wanted:
            self._writer.file(member, chunks)
        else:
            for _ in chunks:
                pass

    def directory(self, member: Found) -> None:
        if member.path in self._wanted:
            self._writer.directory(member)

    def symlink(self, member: Found) -> None:
        if member.path in self._wanted:
            self._writer.symlink(member)

    def result(self) -> Placed:
        return self._writer.result()


def _extract(source: Source, work: Work, staging: Path) -> Placed:
    """Write what differs into the staging directory."""
    table = source.table
    assert table is not None  # noqa: S101 - undo() has seen to it
    wanted = work.differing | work.settle
    numbers = sorted({table.rows[path].segment for path in wanted})
    root = os.open(staging, OPEN_DIRECTORY)
    try:
        placer = _Wanted(Writer(root, Trust()), wanted)
        about = source.preface.about
        intake = Intake(source.preface.lines, about.parts, MOST_BYTES, placer)
        for stream in stream_of(source, [table.segments[number] for number in numbers]):
            intake.take(stream)
        return placer.result()
    finally:
        os.close(root)


def _apply(request: UndoRequest, rows: dict[str, Row], work: Work, placed: Placed) -> None:
    """Remove, make directories, move files in, link, and settle directories, in this order."""
    root = os.open(request.cell, OPEN_DIRECTORY)
    staged = os.open(request.staging, OPEN_DIRECTORY)
    files = sorted(path for path in work.differing if not path.endswith("/"))
    links = [path for path in files if rows[path].link]
    try:
        _open_up(root, work)
        with Chain(root, make=True) as cell, Chain(staged) as saved:
            for path in work.gone:
                directory, name = split(path)
                remove(cell.fd(directory), name)
            for path in sorted(work.differing):
                if path.endswith("/"):
                    cell.fd(path)
            for path in files:
                directory, name = split(path)
                if not rows[path].link:
                    with suppress(FileNotFoundError):  # A link too long, which the notes name.
                        source = saved.fd(directory)
                        os.rename(name, name, src_dir_fd=source, dst_dir_fd=cell.fd(directory))
            for path in links:
                _link(cell, path, rows[path].link)
        _strip(root, placed.directories)
        Writer(root, Trust()).finish([], placed.directories)
        sync_filesystem(root)
    finally:
        os.close(staged)
        os.close(root)


def _open_up(root: int, work: Work) -> None:
    """Let an ordinary owner change directories that are closed; they are settled at the end."""
    if os.geteuid() == 0:
        return
    with Chain(root) as chain:
        for path in sorted(work.settle):
            with suppress(OSError):
                os.fchmod(chain.fd(path), 0o700)


def _strip(root: int, directories: Sequence[Found]) -> None:
    """Take the attributes that directories have got since; files are replaced with theirs."""
    with Chain(root) as chain:
        for member in directories:
            fd = chain.fd(member.path.removesuffix("/") + "/")
            with suppress(OSError):  # A filesystem without, or what only the kernel sets.
                for name in set(os.listxattr(fd)) - member.xattrs.keys():
                    os.removexattr(fd, name)


def _link(cell: Chain, path: str, target: str) -> None:
    target_directory, target_name = split(target)
    directory, name = split(path)
    source = os.dup(cell.fd(target_directory))
    try:
        remove(cell.fd(directory), name)
        os.link(
            target_name,
            name,
            src_dir_fd=source,
            dst_dir_fd=cell.fd(directory),
            follow_symlinks=False,
        )
    finally:
        os.close(source)
