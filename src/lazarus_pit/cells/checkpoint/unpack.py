"""Unpack a checkpoint into a fresh directory: complete and checked, or not there at all."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY, remove
from lazarus_pit.cells.checkpoint.intake import Intake, Taken, take_all
from lazarus_pit.cells.checkpoint.manifest import About, size_of
from lazarus_pit.cells.checkpoint.place import Placed, Trust, Writer
from lazarus_pit.cells.checkpoint.save import PARTS, Report
from lazarus_pit.cells.checkpoint.source import MOST_BYTES, Source, opened
from lazarus_pit.errors import FormatError, StoreError, UsageError
from lazarus_pit.linux.rename import die_with_parent, sync_filesystem

_SYNC_EVERY = 0.2


class UnpackRequest(msgspec.Struct, frozen=True, kw_only=True, tag="unpack"):
    """What to unpack where: the material of a fork, an import, or a look inside."""

    archive: str
    target: str
    """A directory that does not exist; its parent is out of every agent's reach."""
    parts: tuple[str, ...] = PARTS
    """The paths that its members may lie in; anything else is refused."""
    trust: Trust = Trust()
    jobs: int = 2
    most_bytes: int = MOST_BYTES
    indexed: bool = True
    """Whether an index beside the archive is one of this host."""


class Unpacked(msgspec.Struct, frozen=True, kw_only=True, tag="unpacked"):
    """A checkpoint was unpacked."""

    target: str
    about: About
    notes: tuple[str, ...] = ()
    """What this filesystem or user could not keep, for people."""


def unpack(request: UnpackRequest, report: Report) -> Unpacked:
    """Unpack, check and sync. On any error the target is removed again.

    Raises ``UsageError``, ``FormatError`` (a hostile or damaged archive, with the member's name)
    and ``StoreError`` (no room).
    """
    archive, target = Path(request.archive), Path(request.target)
    with opened(archive, request.most_bytes, indexed=request.indexed) as source:
        try:
            target.mkdir(mode=0o700)
        except OSError as error:
            raise UsageError(f"{target}: {os.strerror(error.errno or 0)}") from None
        try:
            notes = _fill(source, request, report)
        except BaseException as error:
            _remove(target)
            if isinstance(error, OSError):
                full = error.errno in (errno.ENOSPC, errno.EDQUOT)
                why = "the disk is full" if full else str(error)
                raise StoreError(f"{target}: not restored: {why}") from error
            raise
        about = source.preface.about
    return Unpacked(target=str(target), about=about, notes=tuple(notes))


def _fill(source: Source, request: UnpackRequest, report: Report) -> list[str]:
    root = os.open(request.target, OPEN_DIRECTORY)
    masked = os.umask(0)  # Files are born with the modes that they shall have.
    try:
        _check_room(source, root, request.most_bytes)
        report("unpack", 0)

        def make() -> Intake:
            writer = Writer(root, request.trust)
            return Intake(source.preface.lines, request.parts, request.most_bytes, writer)

        with _writing_out(root):
            shares = take_all(source, make, request.jobs)
        report("finish", 0)
        notes = _finish(Writer(root, request.trust), shares)
        report("sync", 0)
        sync_filesystem(root)
        return notes
    finally:
        os.umask(masked)
        os.close(root)


@contextmanager
def _writing_out(root: int) -> Iterator[None]:
    """Keep the disk busy meanwhile, so that little is left for the sync at the end.

    The child promises nothing: what it has not written out then, that sync writes.
    """
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            die_with_parent()
            while os.getppid() == parent:
                time.sleep(_SYNC_EVERY)
                sync_filesystem(root)
        finally:
            os._exit(1)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _finish(writer: Writer, shares: list[Taken]) -> list[str]:
    placed: list[Placed] = [share.said for share in shares]
    links = [link for share in shares for link in share.links]
    directories = [member for one in placed for member in one.directories]
    notes = [note for one in placed for note in one.notes]
    return notes + writer.finish(links, directories)


def _check_room(source: Source, root: int, most_bytes: int) -> None:
    """Refuse what cannot fit before anything is written."""
    declared = sum(
        size_of(said) for said in source.preface.lines.values() if b" storedsha256=" not in said
    )
    if declared > most_bytes:
        raise FormatError(f"{declared:,} bytes when unpacked; {most_bytes:,} are allowed")
    state = os.fstatvfs(root)
    free = state.f_bavail * state.f_frsize
    if declared > free:
        raise StoreError(f"{declared:,} bytes to unpack, but only {free:,} are free")


def _remove(target: Path) -> None:
    parent = os.open(target.parent, OPEN_DIRECTORY)
    try:
        with suppress(OSError):
            remove(parent, target.name)
    finally:
        os.close(parent)
