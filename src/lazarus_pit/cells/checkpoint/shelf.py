"""The directory that a cell's checkpoints lie in: names, the lock, files that appear whole."""

from __future__ import annotations

import errno
import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.checkpoint import index
from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY
from lazarus_pit.errors import RefusedError, UsageError, WorldError

_PART = ".lazarus-"
ARCHIVE, INDEX = ".tar.gz", ".idx"
_NAME = re.compile(r"\d{8}T\d{6}\.\d{6}Z")


class Checkpoint(NamedTuple):
    """One archive in the store."""

    name: str
    """Its instant, which is its id: ``20260406T000000.123456Z``."""
    archive: Path
    created: float
    """Seconds since 1970."""
    size: int
    """Bytes on disk of the archive."""


class Base(NamedTuple):
    """The archive that the next checkpoint may reuse."""

    archive: int
    table: index.Index


def name_of(instant_ns: int) -> str:
    """Name a checkpoint by its instant (nanoseconds since 1970)."""
    when = datetime.fromtimestamp(instant_ns // 1_000_000_000, UTC)
    return f"{when:%Y%m%dT%H%M%S}.{instant_ns // 1000 % 1_000_000:06d}Z"


def next_name(store: Path, instant_ns: int) -> str:
    """Name the newest of a store by its instant, or just after the one before it.

    Names are the order: where the clock was set back, the latest must still come last.
    """
    name, known = name_of(instant_ns), checkpoints(store)
    if not known or known[-1].name < name:
        return name
    whole, _, micros = known[-1].name.removesuffix("Z").partition(".")
    second = datetime.strptime(whole, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp()
    return name_of((int(second) * 1_000_000 + int(micros) + 1) * 1000)


def instant_of(name: str) -> float:
    """Read a name back, as seconds since 1970. Raises ``ValueError``."""
    return datetime.strptime(name, "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC).timestamp()


def checkpoints(store: Path) -> list[Checkpoint]:
    """List the checkpoints of a store, oldest first; other files are passed over."""
    found = []
    for archive in sorted(store.glob(f"*{ARCHIVE}")) if store.is_dir() else []:
        name = archive.name.removesuffix(ARCHIVE)
        if _NAME.fullmatch(name):
            try:
                found.append(Checkpoint(name, archive, instant_of(name), archive.stat().st_size))
            except (ValueError, FileNotFoundError):
                continue
    return found


def find(store: Path, wanted: str) -> Checkpoint:
    """Find a checkpoint by its name or the beginning of it; ``latest`` is the newest.

    Raises ``UsageError`` that says what there is.
    """
    known = checkpoints(store)
    if not known:
        raise UsageError("there is no checkpoint yet: lazarus checkpoint CELL takes one")
    if wanted == "latest":
        return known[-1]
    matching = [one for one in known if one.name.startswith(wanted.removesuffix(ARCHIVE))]
    if len(matching) == 1:
        return matching[0]
    there = ", ".join(one.name for one in (matching or known)[-5:])
    what = "fits several" if matching else "does not exist"
    raise UsageError(f"checkpoint {wanted!r} {what}; there are: {there}")


def discard(store: Path, name: str) -> None:
    """Remove a checkpoint and its index. Raises ``OSError``."""
    for suffix in (INDEX, ARCHIVE):
        (store / (name + suffix)).unlink(missing_ok=True)


@contextmanager
def locked(store: Path) -> Iterator[int]:
    """Hold the store for one writer and give its descriptor; leftovers of a crash are removed.

    Raises ``RefusedError`` where another process holds it.
    """
    store.mkdir(mode=0o700, exist_ok=True)
    fd = os.open(store, OPEN_DIRECTORY)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(f"{store}: another checkpoint is being taken or restored") from None
        for name in os.listdir(fd):
            if name.startswith(_PART) and name.endswith(".part"):
                os.unlink(name, dir_fd=fd)
        yield fd
    finally:
        os.close(fd)


def is_held(store: Path) -> bool:
    """Whether somebody saves or restores at this moment."""
    try:
        fd = os.open(store, OPEN_DIRECTORY)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contextmanager
def base_of(store: Path) -> Iterator[Base | None]:
    """Open the archive whose index was written last and is sound: the closest to the cell."""
    best: tuple[int, Path] | None = None
    for path in store.glob(f"*{INDEX}"):
        written = path.stat().st_mtime_ns
        if best is None or written > best[0]:
            best = (written, path)
    found = index.read(best[1]) if best else None
    if best is None or found is None:
        yield None
        return
    try:
        fd = os.open(best[1].with_suffix(ARCHIVE), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        fits = os.fstat(fd).st_size == found.archive_size
        yield Base(fd, found) if fits else None
    finally:
        os.close(fd)


def nameless(store: int) -> int:
    """Open a file without a name in the store: whatever happens, nothing of it stays."""
    try:
        return os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600, dir_fd=store)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
            raise
    name = f"{_PART}{os.urandom(8).hex()}.part"
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=store)
    os.unlink(name, dir_fd=store)
    return fd


def write_whole(store: int, name: str, data: bytes) -> None:
    """Write a small file: its name always has the old content or the new. Raises ``OSError``."""
    part = f"{_PART}{name}.part"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(part, flags, 0o600, dir_fd=store)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(part, name, src_dir_fd=store, dst_dir_fd=store)
    os.fsync(store)


def room(store: int, needed: int) -> None:
    """Raise ``WorldError`` where fewer than so many bytes are free."""
    state = os.fstatvfs(store)
    free = state.f_bavail * state.f_frsize
    if free < needed:
        raise WorldError(f"no room for a checkpoint: {free:,} bytes are free, {needed:,} needed")
