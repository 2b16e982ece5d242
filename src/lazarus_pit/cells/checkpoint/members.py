"""Read entries of a tree as tar members: the head at once, the data as it is asked for."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lazarus_pit.cells.checkpoint import tar
from lazarus_pit.cells.checkpoint.below import Chain, open_regular, split
from lazarus_pit.cells.checkpoint.pieces import CHUNK

_SMALLEST_SPARSE = 4096


class Member(NamedTuple):
    """A tar member before it is compressed; ``size`` is that of its data, without padding."""

    head: bytes
    size: int
    data: Iterable[bytes]
    seed: bytes = b""
    """What goes into its sha256 before the data: a symbolic link's target."""
    sparse: bool = False


def read_member(chain: Chain, path: str, state: os.stat_result, link: str) -> Member:
    """Read one entry, which ``state`` was seen of; ``link`` is the file's first name, or empty.

    The data has exactly the size that the head says, whatever happens to the file meanwhile: the
    caller compares states to learn whether it is sound. Raises ``OSError``.
    """
    if link:
        target = tar.Record(b"linkpath", os.fsencode(link))
        return _bare(tar.member_head(path, state, tar.LINK, records=[target]))
    if stat.S_ISDIR(state.st_mode):
        fd = chain.fd(path)
        return _bare(tar.member_head(path, state, tar.DIRECTORY, records=_xattrs(fd)))
    if stat.S_ISLNK(state.st_mode):
        directory, name = split(path)
        text = os.fsencode(os.readlink(name, dir_fd=chain.fd(directory)))
        target = tar.Record(b"linkpath", text)
        head = tar.member_head(path, state, tar.SYMLINK, records=[target])
        return Member(head, 0, (), seed=text)
    return _regular(chain, path)


def emptied(path: str, state: os.stat_result) -> Member:
    """Stand in for an entry that went away while agents ran; the frozen pass replaces it."""
    return _bare(tar.member_head(path, state, tar.REGULAR))


def _bare(head: bytes) -> Member:
    return Member(head, 0, ())


def _regular(chain: Chain, path: str) -> Member:
    fd, state = open_regular(chain, path)
    try:
        size = state.st_size
        records = _xattrs(fd)
        if size >= _SMALLEST_SPARSE and state.st_blocks * 512 < size:
            extents = _extents(fd, size)
            if sum(length for _, length in extents) < size:
                return _sparse(fd, path, state, records, extents)
        head = tar.member_head(path, state, tar.REGULAR, size, records)
        if size <= CHUNK:
            return Member(head, size, (_exactly(fd, size, 0),) if size else ())
        return Member(head, size, _data(os.dup(fd), [(0, size)]))
    finally:
        os.close(fd)


def _sparse(
    fd: int,
    path: str,
    state: os.stat_result,
    records: list[tar.Record],
    extents: list[tuple[int, int]],
) -> Member:
    real_size = state.st_size
    if not extents or sum(extents[-1]) < real_size:
        extents.append((real_size, 0))
    described = tar.sparse_map(extents)
    size = len(described) + sum(length for _, length in extents)
    directory, name = split(path)
    # Readers that know nothing of sparse files unpack it under this name, as GNU tar has it.
    plain = f"{directory}GNUSparseFile.0/{name}"
    short = plain if len(os.fsencode(plain)) <= 100 else "GNUSparseFile.0/long-name"
    records += tar.sparse_records(path, real_size)
    head = tar.member_head(short, state, tar.REGULAR, size, records)
    return Member(head, size, _data(os.dup(fd), extents, described), sparse=True)


def _data(fd: int, extents: list[tuple[int, int]], first: bytes = b"") -> Iterator[bytes]:
    try:
        if first:
            yield first
        for start, length in extents:
            for offset in range(0, length, CHUNK):
                yield _exactly(fd, min(CHUNK, length - offset), start + offset)
    finally:
        os.close(fd)


def _exactly(fd: int, size: int, offset: int) -> bytes:
    """Read so many bytes; a file that shrank is filled up with zeros (and will be read again)."""
    read = os.pread(fd, size, offset)
    while len(read) < size:
        more = os.pread(fd, size - len(read), offset + len(read))
        if not more:
            return read.ljust(size, b"\0")
        read += more
    return read


def _extents(fd: int, size: int) -> list[tuple[int, int]]:
    found = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break
            raise
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if at > start:
            found.append((start, at - start))
    return found


def _xattrs(fd: int) -> list[tar.Record]:
    try:
        return [tar.xattr_record(name, os.getxattr(fd, name)) for name in os.listxattr(fd)]
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENODATA, errno.EPERM):
            return []
        raise
