"""Read the tar members that ``tar`` writes, and trust none of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lazarus_pit.cells.checkpoint import tar
from lazarus_pit.errors import FormatError

_MOST_PAX = 4 << 20
_MOST_MAP = 64 << 20
_MOST, _MOST_ID = 1 << 63, (1 << 32) - 1
_END = bytes(tar.BLOCK)
_NONE: dict[bytes, bytes] = {}


class Found(NamedTuple):
    """A member's header. ``size``: bytes of data in the archive; ``real_size``: when unfolded."""

    path: str
    kind: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int
    target: str
    size: int
    real_size: int
    sparse: bool
    xattrs: dict[str, bytes]


class Stream:
    """Bytes by the count, out of chunks. ``more`` returns the next chunk, empty at the end."""

    def __init__(self, more: Callable[[], bytes]) -> None:
        self._more = more
        self._held = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return exactly ``size`` bytes. Raises ``FormatError`` where the stream ends before."""
        end = self._at + size
        if end > len(self._held):
            self._gather(size)
            end = size
        taken = self._held[self._at : end]
        self._at = end
        return taken

    def at_end(self) -> bool:
        """Tell whether nothing follows."""
        if self._at == len(self._held):
            self._held, self._at = self._more(), 0
        return not self._held

    def chunks(self, size: int, most: int) -> Iterator[bytes]:
        """Return ``size`` bytes in parts of at most ``most``."""
        while size:
            part = self.read(min(size, most))
            size -= len(part)
            yield part

    def drain(self) -> None:
        """Read to the end, so that its checksum is checked; only zeros may follow."""
        while not self.at_end():
            if self._held.count(0, self._at) != len(self._held) - self._at:
                raise FormatError("data follows the end of the archive")
            self._at = len(self._held)

    def _gather(self, size: int) -> None:
        parts = [self._held[self._at :]]
        have = len(parts[0])
        while have < size:
            part = self._more()
            if not part:
                raise FormatError("the archive ends inside a member")
            parts.append(part)
            have += len(part)
        self._held, self._at = b"".join(parts), 0


def next_member(stream: Stream) -> Found | None:
    """Read the next header; ``None`` at the end. The caller reads ``size`` bytes and the padding.

    Raises ``FormatError`` that names the member.
    """
    if stream.at_end():
        return None
    records: dict[bytes, bytes] = {}
    block = stream.read(tar.BLOCK)
    if block[156:157] == tar.PAX:
        size = _number(block, 124, 136)
        if size > _MOST_PAX:
            raise FormatError(f"an extended header of {size:,} bytes; at most {_MOST_PAX:,}")
        padded = size + -size % tar.BLOCK
        both = stream.read(padded + tar.BLOCK)
        records = _records(both[:size])
        block = both[padded:]
    elif block == _END:
        return None
    return _found(block, records)


def _found(block: bytes, records: dict[bytes, bytes]) -> Found:
    # Run once for every member of every archive: each call that it makes costs a restore time.
    get = records.get
    sparse = b"GNU.sparse.major" in records
    name = get(b"GNU.sparse.name") or get(b"path") or block[:100].rstrip(b"\0")
    path = os.fsdecode(name)
    try:
        mode = int(block[100:107], 8)
        uid = int(get(b"uid") or int(block[108:115], 8))
        gid = int(get(b"gid") or int(block[116:123], 8))
        size = int(records[b"size"]) if b"size" in records else int(block[124:135], 8)
        real_size = int(records[b"GNU.sparse.realsize"]) if sparse else size
        when = get(b"mtime")
        mtime_ns = tar.time_of(when) if when else int(block[136:147], 8) * 1_000_000_000
        link = get(b"linkpath") or (block[157:257].rstrip(b"\0") if block[157] else b"")
        xattrs = {
            tar.xattr_name(key): value
            for key, value in records.items()
            if key.startswith(tar.XATTR)
        }
        _require(
            0 <= size < _MOST
            and 0 <= real_size < _MOST
            and mode >= 0
            and 0 <= uid < _MOST_ID
            and 0 <= gid < _MOST_ID
            and -_MOST < mtime_ns < _MOST
            and not (b"\0" in name or b"\0" in link or any("\0" in key for key in xattrs))
        )
    except (ValueError, KeyError):
        raise FormatError(f"{printable(path)}: its header is not that of a tar member") from None
    target = os.fsdecode(link) if link else ""
    kind = block[156:157]
    return Found(path, kind, mode, uid, gid, mtime_ns, target, size, real_size, sparse, xattrs)


def read_map(stream: Stream, member: Found) -> tuple[bytes, list[tuple[int, int]]]:
    """Read a sparse file's map: its bytes, and (offset, size) of each extent, checked."""
    text = stream.read(tar.BLOCK)
    try:
        while text.count(b"\n") < 1 + 2 * int(text.split(b"\n", 1)[0]):
            _require(len(text) < min(member.size, _MOST_MAP))
            text += stream.read(tar.BLOCK)
        count, *numbers = text.rstrip(b"\0").split(b"\n")[:-1]
        values = [int(number) for number in numbers]
        extents = list(zip(values[::2], values[1::2], strict=True))
    except ValueError:
        raise FormatError(f"{printable(member.path)}: its sparse map cannot be read") from None
    ends = [0, *[at + size for at, size in extents]]
    ordered = all(end <= at <= at + size for end, (at, size) in zip(ends, extents, strict=False))
    sound = ordered and ends[-1] <= member.real_size
    stored = len(text) + sum(size for _, size in extents)
    if len(extents) != int(count) or not sound or stored != member.size:
        raise FormatError(f"{printable(member.path)}: its sparse map points outside the file")
    return text, extents


def printable(path: str) -> str:
    """Show a name that may hold anything."""
    return os.fsencode(path).decode("utf-8", "backslashreplace").replace("\n", "\\n")


def slices(raw: bytes) -> dict[str, bytes]:
    """Part a segment of ours into its members, each with its headers and padding.

    Its checksum was compared: that a member has the size and the name it says is all to be read.
    """
    parted = {}
    at = 0
    while at < len(raw):
        start = at
        get = _NONE.get
        if raw[at + 156 : at + 157] == tar.PAX:
            at += tar.BLOCK
            size = _number(raw[start:at], 124, 136)
            get = _records(raw[at : at + size]).get
            at += size + -size % tar.BLOCK
        name = get(b"GNU.sparse.name") or get(b"path") or raw[at : at + 100].rstrip(b"\0")
        size = int(get(b"size") or int(raw[at + 124 : at + 135], 8))
        at += tar.BLOCK + size + -size % tar.BLOCK
        parted[os.fsdecode(name)] = raw[start:at]
    return parted


def _require(sound: bool) -> None:  # noqa: FBT001 - reads as an assertion
    if not sound:
        raise ValueError


def _number(block: bytes, start: int, end: int) -> int:
    try:
        return int(block[start : end - 1], 8)
    except ValueError:
        raise FormatError("an extended header whose size is not a number") from None


def _records(body: bytes) -> dict[bytes, bytes]:
    records = {}
    at = 0
    try:
        while at < len(body):
            space = body.index(b" ", at)
            length = int(body[at:space])
            end = at + length
            _require(length > space - at + 1 and end <= len(body))
            key, _, value = body[space + 1 : end - 1].partition(b"=")
            records[key] = value
            at = end
    except ValueError:
        raise FormatError("an extended header that cannot be read") from None
    return records
