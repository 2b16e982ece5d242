"""Put a checkpoint in the place of a cell's present state: whole, by an exchange of names.

The agents are stopped. The checkpoint is unpacked beside the cell's directories; then, and only
then, each part changes places with its present state in one rename, and what was replaced stays in
the staging directory until the caller removes it. A crash in between is finished or undone by
``recover``.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from lazarus_pit.cells.checkpoint import index, shelf
from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY, Chain, remove, split
from lazarus_pit.cells.checkpoint.index import Row
from lazarus_pit.cells.checkpoint.manifest import About
from lazarus_pit.cells.checkpoint.place import Trust
from lazarus_pit.cells.checkpoint.remail import Reopened, reopen
from lazarus_pit.cells.checkpoint.save import PARTS, Report
from lazarus_pit.cells.checkpoint.scan import Entry, scan
from lazarus_pit.cells.checkpoint.unpack import UnpackRequest, unpack
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.linux.rename import exchange, sync_filesystem

HOMES = ".lazarus/home"
WORK = (HOMES, "workspace")
"""What a restore puts back: the work. The manifest stays, and so does mail (``remail``)."""
_INTENT = "intent.json"
_DONE = "done.json"
"""What the intent is called once all has changed places: the directory holds what was replaced."""


class RestoreRequest(msgspec.Struct, frozen=True, kw_only=True, tag="restore"):
    """Which checkpoint to bring back into which cell."""

    cell: str
    archive: str
    staging: str
    """A directory that does not exist, on the cell's filesystem, out of every agent's reach."""
    parts: tuple[str, ...] = WORK
    jobs: int = 2


class Restored(msgspec.Struct, frozen=True, kw_only=True, tag="restored"):
    """A checkpoint is in place."""

    about: About
    replaced: str
    """The directory that now holds the state that was replaced."""
    reopened: int = 0
    """Mails that were read after the checkpoint and wait in their inboxes again."""
    notes: tuple[str, ...] = ()


class Intent(msgspec.Struct, frozen=True):
    """What a restore is about to exchange: written before the first exchange."""

    parts: dict[str, int]
    """Each part with the inode of the state that shall take its place."""


def restore(request: RestoreRequest, report: Report) -> Restored:
    """Unpack, check and exchange. Raises as ``unpack`` does; the cell is then as before."""
    staging = Path(request.staging)
    asked = UnpackRequest(
        archive=request.archive,
        target=request.staging,
        parts=tuple({*PARTS, *request.parts}),
        trust=Trust(own=True),
        jobs=request.jobs,
    )
    unpacked = unpack(asked, report)
    report("exchange", 0)
    held = [part for part in request.parts if os.path.lexists(staging / part)]
    intent = Intent({part: _inode(staging / part) for part in held})
    try:
        fd = os.open(staging, OPEN_DIRECTORY)
        try:
            shelf.write_whole(fd, _INTENT, msgspec.json.encode(intent))
        finally:
            os.close(fd)
        mail = _finish(Path(request.cell), staging, intent)
        for part in {*PARTS, *request.parts} - set(held):
            _remove_part(staging, part)
        refresh_index(Path(request.archive), Path(request.cell), held)
    except OSError as error:
        raise StoreError(f"{request.cell}: the restore is unfinished: {error}") from error
    return Restored(
        about=unpacked.about, replaced=str(staging), reopened=mail.mails, notes=unpacked.notes
    )


def recover(cell: Path, staging: Path) -> bool:
    """Finish a restore that a crash cut short; ``False`` where it had not come to exchanges.

    A staging directory without an intent holds nothing of value: the caller removes it (with
    ``remove_tree``). Harmless to call again. Raises ``OSError``.
    """
    try:
        intent = msgspec.json.decode((staging / _INTENT).read_bytes(), type=Intent)
    except (FileNotFoundError, msgspec.MsgspecError):
        return False
    _finish(cell, staging, intent)
    return True


def is_done(staging: Path) -> bool:
    """Whether a staging directory holds what a finished restore has replaced."""
    return (staging / _DONE).is_file()


def _finish(cell: Path, staging: Path, intent: Intent) -> Reopened:
    """Let the parts change places, see to the mail, and only then forget the intent."""
    here, there = os.open(cell, OPEN_DIRECTORY), os.open(staging, OPEN_DIRECTORY)
    try:
        for part, inode in intent.parts.items():
            if not os.path.lexists(cell / part) or _inode(cell / part) != inode:
                _exchange(here, there, part)
        mail = Reopened(0, 0)
        if HOMES in intent.parts:
            mail = reopen(cell, _bus(staging), os.listdir(cell / HOMES), staging)
        sync_filesystem(here)
        (staging / _INTENT).rename(staging / _DONE)
    finally:
        os.close(here)
        os.close(there)
    return mail


def _bus(staging: Path) -> list[str]:
    """List the mail of a checkpoint that was unpacked, while it lies there."""
    found = []
    for box in ("bus/inbox", "bus/done", "bus/outbox"):
        for folder in (staging / box).iterdir() if (staging / box).is_dir() else ():
            if folder.is_dir() and not folder.is_symlink():
                found += [f"{box}/{folder.name}/{name}" for name in os.listdir(folder)]
    return found


def remove_tree(path: Path) -> None:
    """Remove a directory with all that is in it; no link is followed. Raises ``OSError``."""
    parent = os.open(path.parent, OPEN_DIRECTORY)
    try:
        remove(parent, path.name)
    finally:
        os.close(parent)


def _remove_part(staging: Path, part: str) -> None:
    directory, name = split(part)
    if (staging / directory).is_dir():
        remove_tree(staging / directory / name)


def _inode(path: Path) -> int:
    return path.lstat().st_ino


def _exchange(here: int, there: int, part: str) -> None:
    directory, name = split(part)
    with Chain(here, make=True) as mine, Chain(there) as theirs:
        mine_fd, theirs_fd = mine.fd(directory), theirs.fd(directory)
        try:
            exchange(mine_fd, name, theirs_fd, name)
        except FileNotFoundError:  # The cell has no such part now: nothing to keep.
            os.rename(name, name, src_dir_fd=theirs_fd, dst_dir_fd=mine_fd)


def refresh_index(archive: Path, cell: Path, parts: Sequence[str]) -> None:
    """Note the new inodes in the archive's index, so that the next checkpoint reuses it.

    A store that refuses costs the next one time: what was put back does not fit the old index.
    """
    table = index.read(archive.with_name(index_of(archive)))
    if table is None:
        return
    root = os.open(cell, OPEN_DIRECTORY)
    try:
        tree = scan(root, parts).tree
    finally:
        os.close(root)
    write_index(archive, restated(table, tree))


def index_of(archive: Path) -> str:
    """Name the index beside an archive."""
    return archive.name.removesuffix(shelf.ARCHIVE) + shelf.INDEX


def write_index(archive: Path, table: index.Index) -> None:
    """Replace the index beside an archive, if the store lets us."""
    fd = os.open(archive.parent, OPEN_DIRECTORY)
    try:
        with suppress(FormatError, OSError):
            shelf.write_whole(fd, index_of(archive), index.encode(table))
    finally:
        os.close(fd)


def restated(table: index.Index, tree: list[Entry]) -> index.Index:
    """Give the rows of an index the state that their entries have now; the others match nothing."""
    now = dict(tree)
    rows: dict[str, Row] = {}
    for path, row in table.rows.items():
        state = now.get(path)
        inode, ctime = (state.st_ino, state.st_ctime_ns) if state else (0, index.NEVER_SAME)
        rows[path] = row._replace(inode=inode, ctime_ns=ctime)
    return table._replace(rows=rows)
