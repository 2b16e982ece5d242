"""How much disk agents keep, where no file system counts it for us: a walk that cannot be misled.

Whatever lies in the way was made by an agent: no link is followed, no other file system entered,
and one descriptor is open at a time, however deep it goes. A directory that is moved away during
the walk ends it; the next one begins anew.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_BLOCK = 512
"""Bytes of one unit of ``st_blocks`` (stat(2))."""
BREATH = 256
"""Entries looked at between two words about the sum."""

_Identity = tuple[int, int]


class MovedError(Exception):
    """A directory was moved while it was being measured."""


def is_within(place: Path, quota: int) -> bool:
    """Whether the whole file system holds no more than ``quota`` bytes: then no walk is needed.

    Raises:
        OSError: the place is not there.
    """
    found = os.statvfs(place)
    return (found.f_blocks - found.f_bfree) * found.f_frsize <= quota


def measure(
    places: Sequence[Path], enough: int, held: Iterable[os.stat_result] = ()
) -> Iterator[int]:
    """Yield the bytes on disk found so far, often; the last is the sum, or more than ``enough``.

    A file with several names counts once, an empty one as a block: it is not free, and so no walk
    is endless. What cannot be read is not counted.

    Args:
        places: the directories.
        enough: bytes after which nobody need count on.
        held: files that processes of the owner hold; of these count those without a name.

    Raises:
        MovedError: it cannot be said.
    """
    total = since = 0
    seen: set[_Identity] = set()
    named = (entry.found for place in places for entry in walk(place))
    for found in itertools.chain(_nameless(held, places[0]), named):
        since += 1
        if since % BREATH == 0:
            yield total
        if found is None:
            continue
        identity = (found.st_dev, found.st_ino)
        if found.st_nlink != 1:
            if identity in seen:
                continue
            seen.add(identity)
        total += max(found.st_blocks, 1) * _BLOCK
        if total > enough:
            break
    yield total


def _nameless(held: Iterable[os.stat_result], place: Path) -> Iterator[os.stat_result | None]:
    """Of what is held the files without a name that take room where a place is, and its owner's.

    ``None`` stands for each of the others: they take time.
    """
    try:
        own = os.stat(place, follow_symlinks=False)
    except OSError:
        return
    for found in held:
        same = (found.st_dev, found.st_uid) == (own.st_dev, own.st_uid)
        is_meant = same and found.st_nlink == 0 and stat.S_ISREG(found.st_mode)
        yield found if is_meant else None


class Entry(NamedTuple):
    """One entry of a tree."""

    fd: int
    """The directory that it is in, until the next entry is asked for."""
    name: str
    found: os.stat_result


def walk(top: Path) -> Iterator[Entry]:
    """Yield every entry below a directory, itself included as ``.``; none if it is not there.

    Raises:
        MovedError: a directory was moved meanwhile.
    """
    try:
        fd = os.open(top, _DIRECTORY)
    except OSError:
        return
    try:
        here = os.fstat(fd)
        yield Entry(fd, ".", here)
        device = here.st_dev
        below: list[str] = []
        yield from _listed(fd, below)
        trail: list[tuple[_Identity, list[str]]] = [((here.st_dev, here.st_ino), below)]
        while trail:
            _here, names = trail[-1]
            if not names:
                trail.pop()
                if trail:
                    fd = _climb(fd, trail[-1][0])
                continue
            child = _enter(fd, names.pop(), device)
            if child is None:
                continue
            os.close(fd)
            fd = child
            here = os.fstat(fd)
            below = []
            trail.append(((here.st_dev, here.st_ino), below))
            yield from _listed(fd, below)
    finally:
        os.close(fd)


def _listed(fd: int, below: list[str]) -> Iterator[Entry]:
    """The entries of one directory; the names of those to enter are put into ``below``."""
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                try:
                    found = entry.stat(follow_symlinks=False)
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.name)
                except OSError:
                    continue  # It is gone again.
                yield Entry(fd, entry.name, found)
    except OSError:
        return


def _enter(fd: int, name: str, device: int) -> int | None:
    try:
        child = os.open(name, _DIRECTORY, dir_fd=fd)
    except OSError:
        return None
    if os.fstat(child).st_dev != device:
        os.close(child)
        return None
    return child


def _climb(fd: int, expected: _Identity) -> int:
    """Go up, to where we came from and nowhere else; ``fd`` is closed only if that went well."""
    try:
        parent = os.open("..", _DIRECTORY, dir_fd=fd)
    except OSError as error:
        raise MovedError from error
    found = os.fstat(parent)
    if (found.st_dev, found.st_ino) != expected:
        os.close(parent)
        raise MovedError
    os.close(fd)
    return parent
