"""Write tar members: ustar headers (POSIX.1-1988) with pax records (POSIX.1-2001) where needed.

Extended attributes go into ``SCHILY.xattr`` records and sparse files into GNU's format 1.0, both as
GNU tar writes them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

REGULAR, LINK, SYMLINK, DIRECTORY, PAX = b"0", b"1", b"2", b"5", b"x"
XATTR = b"SCHILY.xattr."
BLOCK = 512
_SECOND = 1_000_000_000
_LATEST = 0o77777777777
_LARGEST = 1 << 33
_MOST_ID = 0o7777777
_USTAR = b"ustar\x0000" + bytes(64) + b"0000000\x00" * 2 + bytes(155) + bytes(12)


class Record(NamedTuple):
    """A pax record."""

    key: bytes
    value: bytes


def padding(size: int) -> bytes:
    """Fill the last block of a member's data."""
    return bytes(-size % BLOCK)


def xattr_record(name: str, value: bytes) -> Record:
    """Say an extended attribute; ``%`` and ``=`` in its name are escaped."""
    key = os.fsencode(name).replace(b"%", b"%25").replace(b"=", b"%3D")
    return Record(XATTR + key, value)


def xattr_name(key: bytes) -> str:
    """Undo the name of ``xattr_record``."""
    return os.fsdecode(key[len(XATTR) :].replace(b"%3D", b"=").replace(b"%25", b"%"))


def time_text(nanoseconds: int) -> bytes:
    """Write an instant since 1970 as decimal seconds, without zeros at the end."""
    seconds, rest = divmod(abs(nanoseconds), _SECOND)
    text = (b"%d.%09d" % (seconds, rest)).rstrip(b"0") if rest else b"%d" % seconds
    return b"-" + text if nanoseconds < 0 else text


def time_of(text: bytes) -> int:
    """Read what ``time_text`` writes, in nanoseconds. Raises ``ValueError``."""
    seconds, _, rest = text.lstrip(b"-").partition(b".")
    value = int(seconds) * _SECOND + int(rest[:9].ljust(9, b"0"))
    return -value if text.startswith(b"-") else value


def member_head(
    path: str, state: os.stat_result, kind: bytes, size: int = 0, records: Sequence[Record] = ()
) -> bytes:
    """Make the header blocks of a member; ``size`` is that of its data, in bytes.

    The target of a link is given as the record ``linkpath``; it goes into the header if it fits.
    """
    name, target = os.fsencode(path), b""
    extra: list[tuple[bytes, bytes]] = []
    for key, value in records:
        if key == b"linkpath" and len(value) <= 100:
            target = value
        else:
            extra.append((key, value))
    if len(name) > 100:
        extra.append((b"path", name))
    when = state.st_mtime_ns
    seconds, rest = divmod(when, _SECOND)
    if rest or not 0 <= seconds <= _LATEST:
        extra.append((b"mtime", time_text(when)))
        seconds = min(max(seconds, 0), _LATEST)
    if size >= _LARGEST:
        extra.append((b"size", b"%d" % size))
        size = 0
    uid, gid = state.st_uid, state.st_gid
    if uid > _MOST_ID or gid > _MOST_ID:
        extra += [(b"uid", b"%d" % uid), (b"gid", b"%d" % gid)]
        uid, gid = uid & _MOST_ID, gid & _MOST_ID
    numbers = (state.st_mode & 0o7777, uid, gid, size, seconds)
    head = _header(name[:100], numbers, kind, target)
    if not extra:
        return head
    body = b"".join([_pax(key, value) for key, value in extra])
    return b"".join((_pax_header(len(body)), body, padding(len(body)), head))


def plain_head(path: str, size: int, seconds: int) -> bytes:
    """Make the header of a file of our own: mode 0600, of root."""
    name = os.fsencode(path)
    return _header(name, (0o600, 0, 0, size, seconds), REGULAR, b"")


def sparse_records(path: str, real_size: int) -> list[Record]:
    """Make the pax records of a sparse file (GNU format 1.0)."""
    return [
        Record(b"GNU.sparse.major", b"1"),
        Record(b"GNU.sparse.minor", b"0"),
        Record(b"GNU.sparse.name", os.fsencode(path)),
        Record(b"GNU.sparse.realsize", b"%d" % real_size),
    ]


def sparse_map(extents: list[tuple[int, int]]) -> bytes:
    """Make the map that precedes a sparse file's data: (offset, size) pairs, whole blocks."""
    text = b"%d\n" % len(extents) + b"".join([b"%d\n%d\n" % extent for extent in extents])
    return text + padding(len(text))


def _pax(key: bytes, value: bytes) -> bytes:
    # The length at the start counts its own digits.
    bare = len(key) + len(value) + 3
    if bare < 98:
        return b"%d %s=%s\n" % (bare + (1 if bare < 9 else 2), key, value)
    length = bare + len(str(bare))
    if len(str(length)) != len(str(bare)):
        length = bare + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _header(
    name: bytes, numbers: tuple[int, int, int, int, int], kind: bytes, link: bytes
) -> bytes:
    front = name.ljust(100, b"\0") + b"%07o\0%07o\0%07o\0%011o\0%011o\0" % numbers
    back, sum_of_back = _back(kind, link)
    return b"%s%06o\0 %s" % (front, sum(front) + sum_of_back, back)


@lru_cache(maxsize=256)
def _back(kind: bytes, link: bytes) -> tuple[bytes, int]:
    """Make what follows a header's checksum, and its part of the sum (with the sum as spaces)."""
    back = kind + link.ljust(100, b"\0") + _USTAR
    return back, sum(back) + 8 * 0x20


@lru_cache(maxsize=256)
def _pax_header(size: int) -> bytes:
    return _header(b"././@PaxHeader", (0o644, 0, 0, size, 0), PAX, b"")
