"""Find the work of a cell that no sound checkpoint holds, and the git repositories in it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

import msgspec

from lazarus_pit.cells.checkpoint import manifest, shelf
from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY, Chain, split
from lazarus_pit.cells.checkpoint.diff import only_touched
from lazarus_pit.cells.checkpoint.index import Row
from lazarus_pit.cells.checkpoint.members import read_member
from lazarus_pit.cells.checkpoint.restore import WORK
from lazarus_pit.cells.checkpoint.scan import NO_WORK, Entry, Scan, scan
from lazarus_pit.cells.checkpoint.source import Source, naming, opened
from lazarus_pit.cells.checkpoint.untar import printable
from lazarus_pit.cells.checkpoint.verify import VerifyRequest, verify
from lazarus_pit.errors import FormatError, StoreError

_WORKSPACE = "workspace/"
_BARE = frozenset({"HEAD", "objects/", "refs/"})
"""What makes a directory a repository without a workspace of its own, as git has it."""


class UnsavedRequest(msgspec.Struct, frozen=True, kw_only=True, tag="unsaved"):
    """Which cell to compare with the checkpoints in which store."""

    cell: str
    store: str
    parts: tuple[str, ...] = WORK


class Unsaved(msgspec.Struct, frozen=True, kw_only=True, tag="unsaved"):
    """What would be gone for good without the cell itself. Paths as text, below the cell."""

    checkpoint: str
    """The newest checkpoint that is sound and was compared with; empty if there is none."""
    unsound: tuple[str, ...]
    """Newer checkpoints, in which something is rotten."""
    paths: tuple[str, ...]
    """Files and links that are not in the checkpoint as they are now."""
    repositories: tuple[bytes, ...]
    """Git repositories in the workspace: their directories, relative to it (``.`` is itself)."""
    digest: str
    """Changes whenever one of ``paths`` does: sha256 over their names, inodes and ctimes."""


def unsaved(request: UnsavedRequest) -> Unsaved:
    """Compare content, kind and mode; a new time alone is no work. Empty directories are none.

    Raises ``StoreError`` where the cell cannot be looked at.
    """
    try:
        root = os.open(request.cell, OPEN_DIRECTORY)
        try:
            return _compare(root, request)
        finally:
            os.close(root)
    except OSError as error:
        raise StoreError(f"{request.cell}: cannot be compared: {error}") from error


def _compare(root: int, request: UnsavedRequest) -> Unsaved:
    found = scan(root, request.parts)
    sound, unsound = _newest_sound(Path(request.store))
    work = [entry for entry in found.tree if not entry[0].endswith("/")]
    if sound is None:
        missing = work
    else:
        with opened(sound.archive) as source, naming(sound.archive):
            missing = _missing(root, work, source)
    lost = [one.path for one in found.left_out if one.why not in NO_WORK]
    return Unsaved(
        checkpoint=sound.name if sound else "",
        unsound=unsound,
        paths=tuple(printable(path) for path in [*(path for path, _ in missing), *lost]),
        repositories=tuple(repositories(found)),
        digest=_digest(missing, lost),
    )


def _newest_sound(store: Path) -> tuple[shelf.Checkpoint | None, tuple[str, ...]]:
    unsound: list[str] = []
    for one in reversed(shelf.checkpoints(store)):
        try:
            verify(VerifyRequest(archive=str(one.archive)))
        except FormatError:
            unsound.append(one.name)
        else:
            return one, tuple(unsound)
    return None, tuple(unsound)


def _missing(root: int, work: list[Entry], source: Source) -> list[Entry]:
    """Find what the list of the checkpoint does not have like this.

    No agent can set a ctime: what has that of the index need not be read.
    """
    rows = source.table.rows if source.table else {}
    lines = source.preface.lines
    with Chain(root) as chain:
        return [
            (path, state)
            for path, state in work
            if not (
                (said := lines.get(manifest.name_of(path)))
                and (_is_row(state, rows.get(path)) or _is_like(chain, path, state, said))
            )
        ]


def _is_row(state: os.stat_result, row: Row | None) -> bool:
    return row is not None and (state.st_ino, state.st_ctime_ns) == (row.inode, row.ctime_ns)


def _is_like(chain: Chain, path: str, state: os.stat_result, said: bytes) -> bool:
    """Read an entry and compare it with its line; what cannot be read is not like it."""
    try:
        member = read_member(chain, path, state, "")
        digest = hashlib.sha256(member.seed)
        for chunk in member.data:
            digest.update(chunk)
    except OSError:
        return False
    now = manifest.attributes(
        state.st_mode, state.st_mtime_ns, state.st_size, digest.digest(), sparse=member.sparse
    )
    return only_touched(said, now)


def repositories(found: Scan) -> list[bytes]:
    """Find the directories in which git would find a repository, with a work tree or without.

    Only in the workspace: what lies in a home is an agent's cache of other people's work.
    """
    within: dict[str, set[str]] = {}
    for path, _ in found.tree:
        directory, name = split(path)
        within.setdefault(directory, set()).add(name + "/" * path.endswith("/"))
    return [
        os.fsencode(directory.removeprefix(_WORKSPACE).rstrip("/") or ".")
        for directory, names in within.items()
        if directory.startswith(_WORKSPACE) and _is_repository(directory, names)
    ]


def _is_repository(directory: str, names: Collection[str]) -> bool:
    if {".git", ".git/"} & set(names):
        return True
    is_its_own = split(directory)[1] != ".git" and "/.git/" not in directory
    return is_its_own and _BARE.issubset(names)


def _digest(missing: list[Entry], lost: list[str]) -> str:
    whole = hashlib.sha256()
    for path, state in missing:
        whole.update(b"%b\0%d\0%d\0" % (os.fsencode(path), state.st_ino, state.st_ctime_ns))
    for path in lost:
        whole.update(b"%b\0" % os.fsencode(path))
    return whole.hexdigest()
