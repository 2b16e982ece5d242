"""Files that must be whole or not at all, and files that a stranger may have planted.

Readers never wait (a FIFO), never follow a link and never read more than they were told to.
"""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.linux.rename import exchange, sync_filesystem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_HERE = -100
"""``AT_FDCWD``: paths are taken as they stand."""
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def durably(what: str, path: Path) -> Iterator[None]:
    """Say a refusal of the operating system as a StoreError that names the file."""
    try:
        yield
    except OSError as error:
        raise StoreError(f"{path}: {what}: {error.strerror or error}") from error


@contextmanager
def opened(path: Path | str, flags: int, mode: int = 0o644) -> Iterator[int]:
    """Hold a descriptor for as long as the block runs."""
    fd = os.open(path, flags, mode)
    try:
        yield fd
    finally:
        os.close(fd)


def read_hostile(path: Path, limit: int, *, sole: bool = False) -> bytes | None:
    """Return what a regular file holds, or ``None`` where there is no such file.

    Args:
        path: the file; its parent directories must not be a stranger's.
        limit: the most bytes that are read; a larger file is refused.
        sole: refuse a file with a second name, which may be the name of somebody's secret.

    Raises:
        FormatError: a link, a FIFO, a device, a directory, or larger than ``limit`` bytes.
        StoreError: the operating system refused.
    """
    try:
        with opened(path, _READ) as fd:
            _check_regular(os.fstat(fd), path, limit, sole=sole)
            data = _read_all(fd, limit + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        if path.is_symlink():
            raise FormatError(f"{path}: a symbolic link, expected a regular file") from None
        raise StoreError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise FormatError(f"{path}: more than {limit} bytes")
    return data


def _check_regular(found: os.stat_result, path: Path, limit: int, *, sole: bool) -> None:
    if not stat.S_ISREG(found.st_mode):
        kind = stat.filemode(found.st_mode)[0]
        words = {"p": "a FIFO", "d": "a directory", "s": "a socket"}
        raise FormatError(f"{path}: {words.get(kind, 'a device')}, expected a regular file")
    if found.st_size > limit:
        raise FormatError(f"{path}: {found.st_size} bytes, expected at most {limit}")
    if sole and found.st_nlink != 1:
        raise FormatError(f"{path}: has {found.st_nlink} names, expected one")


def _read_all(fd: int, limit: int) -> bytes:
    """Read to the end or to ``limit`` bytes, whichever comes first."""
    parts: list[bytes] = []
    left = limit
    while left and (part := os.read(fd, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def write_all(fd: int, data: bytes) -> None:
    """Write every byte; an OSError leaves it unknown how many were."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def own_like(fd: int, directory: os.stat_result) -> None:
    """Give what root has just made to the owner of its directory, as that owner would have it."""
    if os.geteuid() == 0 and directory.st_uid != 0:
        os.fchown(fd, directory.st_uid, directory.st_gid)


def replace_file(path: Path, data: bytes, *, mode: int = 0o644, durable: bool = True) -> None:
    """Put a whole file in the place of another: readers see the old one or the new one.

    Whatever stands at ``path`` is replaced and not followed. With ``durable`` the new file is on
    the disk before this returns. Nothing is left behind on failure.

    Raises:
        StoreError: the old file still stands.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    with durably("cannot be written", path):
        try:
            with opened(temporary, _CREATE, mode) as fd:
                os.fchmod(fd, mode)  # Whatever the umask of the person is.
                own_like(fd, path.parent.stat())
                write_all(fd, data)
                if durable:
                    os.fsync(fd)
            if durable or not _swapped(temporary, path):
                temporary.rename(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        if durable:
            sync_directory(path.parent)


def _swapped(new: Path, path: Path) -> bool:
    """Put a new file in the place of an old one by exchanging them; ``False``: rename it instead.

    A rename over a file makes ext4 write the new one back at once (``auto_da_alloc`` in ext4(5)),
    which may take milliseconds. Where nothing need be durable that would be waited for in vain.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return False
        exchange(_HERE, str(new), _HERE, str(path))
    except OSError:  # No old one, or a file system that cannot exchange.
        return False
    new.unlink()
    return True


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    with opened(path, _DIRECTORY) as fd:
        os.fsync(fd)


class Appended(NamedTuple):
    """How many lines an append wrote whole, and what stopped it from writing them all."""

    written: int
    error: StoreError | None = None


def sync_all(path: Path) -> None:
    """Have everything below a directory, and the rest of its file system, reach the disk.

    Raises:
        OSError: it did not.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync_filesystem(fd)
    finally:
        os.close(fd)


def append_lines(path: Path, lines: Sequence[bytes], *, durable: bool = False) -> Appended:
    """Append lines, each in one write; several programs may do so at once.

    A fragment that a power cut or a full disk has left is ended first, so that it becomes a line
    of its own which no reader can read. What is written is never rewritten. After an error the
    lines from ``written`` on are still to be written, the first of them anew.
    """
    count = 0
    try:
        with opened(path, _APPEND) as fd:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                return Appended(0, StoreError(f"{path}: not a regular file"))
            if found.st_size == 0:
                own_like(fd, path.parent.stat())
            torn = found.st_size > 0 and os.pread(fd, 1, found.st_size - 1) != b"\n"
            for line in lines:
                whole = b"\n" + line if torn else line
                torn = os.write(fd, whole) != len(whole)
                if torn:
                    return Appended(count, StoreError(f"{path}: no space for a whole line"))
                count += 1
            if durable:
                os.fdatasync(fd)
    except OSError as error:
        said = f"{path}: cannot be appended to: {error.strerror}"
        return Appended(count, StoreError(said))
    return Appended(count)
