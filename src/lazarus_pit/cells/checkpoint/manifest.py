"""The two members that describe a checkpoint, first in every archive.

``.lazarus/checkpoint.json`` says what it is; ``.lazarus/checkpoint.mtree`` lists every entry with
its size and sha256 in the mtree format (mtree(5)), which ``bsdtar`` and ``mtree`` read too.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import msgspec

from lazarus_pit.cells.checkpoint import tar
from lazarus_pit.cells.checkpoint.index import Row
from lazarus_pit.cells.checkpoint.pieces import Segment
from lazarus_pit.cells.checkpoint.scan import Entry
from lazarus_pit.cells.checkpoint.untar import Stream, next_member, printable
from lazarus_pit.errors import FormatError

ABOUT = ".lazarus/checkpoint.json"
LIST = ".lazarus/checkpoint.mtree"
FORMAT = 1
_FIRST_LINE = b"#mtree\n"
_KIND = 0o170000
_MOST_ABOUT = 64 << 20
_MOST_LIST = 1 << 30
_ODD = re.compile(rb"[^!\"$-)+->@-Z\]-~]")
_ODD_OR_NUL = re.compile(rb"[^!\"$-)+->@-Z\]-~\0]")
_SIZE = re.compile(rb"(?:^| )size=(\d{1,19})(?: |$)")

Content = tuple[bytes, bool]
"""The sha256 of an entry's data (``Row.digest``), and whether it is sparse."""


class Omission(msgspec.Struct, frozen=True):
    """An entry that is not in the checkpoint."""

    path: str
    """As text; bytes that are not UTF-8 are shown as ``\\xNN``."""
    why: str


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint says about itself."""

    format: int = FORMAT
    created_at: str
    """RFC 3339, UTC."""
    parts: tuple[str, ...]
    """The paths of the cell that it holds."""
    note: str = ""
    rescue: bool = False
    """Taken of a cell that was about to be killed or replaced: no state to go back to unasked."""
    entries: int = 0
    bytes: int = 0
    """Sum of the sizes of its files."""
    pause_seconds: float = 0.0
    """How long the agents stood still for it."""
    left_out: tuple[Omission, ...] = ()


class Preface(msgspec.Struct, frozen=True):
    """Both members: what the checkpoint is, and its list as lines by name."""

    about: About
    lines: dict[bytes, bytes]


def escape(path: str, odd: re.Pattern[bytes] = _ODD) -> bytes:
    """Write a path as mtree does: odd bytes as a backslash and three octal digits."""
    return odd.sub(lambda found: b"\\%03o" % found[0][0], os.fsencode(path))


def name_of(path: str) -> bytes:
    """Write the name that begins an entry's line."""
    return b"./" + escape(path.rstrip("/"))


def attributes(mode: int, mtime_ns: int, size: int, digest: bytes, *, sparse: bool) -> bytes:
    """Write what follows the name; ``mode`` has the type bits, ``size`` is that when unpacked.

    A sparse file's sha256 is that of its map and data as stored: holes may be endless.
    """
    whole, rest = divmod(abs(mtime_ns), 1_000_000_000)
    sign = "-" if mtime_ns < 0 else ""
    state = f"mode={mode & 0o7777:04o} time={sign}{whole}.{rest:09d}"
    kind = mode & _KIND
    if kind == stat.S_IFDIR:
        return f"type=dir {state}".encode()
    if kind == stat.S_IFLNK:
        return f"type=link {state} sha256={digest.hex()}".encode()
    word = "storedsha256" if sparse else "sha256"
    return f"type=file {state} size={size} {word}={digest.hex()}".encode()


def list_of(
    tree: list[Entry],
    segments: Sequence[Segment],
    known: Sequence[bytes],
    rows: Mapping[str, Row],
) -> bytes:
    """Write the list of a checkpoint; ``known`` has for each segment its lines, or nothing."""
    parts = [_FIRST_LINE]
    at = 0
    for segment, lines in zip(segments, known, strict=True):
        end = at + segment.members
        parts.append(lines or _lines_by_rows(tree[at:end], rows))
        at = end
    return b"".join(parts)


def _lines_by_rows(entries: Sequence[Entry], rows: Mapping[str, Row]) -> bytes:
    found = [rows[rows[path].link or path] for path, _ in entries]
    return lines_of(entries, [(row.digest, row.sparse) for row in found])


def lines_of(entries: Sequence[Entry], contents: Sequence[Content]) -> bytes:
    """Write the lines of some entries."""
    # All names are escaped in one go: one by one it would take longer than all the rest.
    names = escape("\0".join([path.rstrip("/") for path, _ in entries]), _ODD_OR_NUL).split(b"\0")
    lines = []
    for name, (_, state), (digest, sparse) in zip(names, entries, contents, strict=True):
        said = attributes(state.st_mode, state.st_mtime_ns, state.st_size, digest, sparse=sparse)
        lines.append(b"./%b %b\n" % (name, said))
    return b"".join(lines)


def lines_by_segment(stream: Stream, segments: Sequence[Segment]) -> list[bytes]:
    """Read the list of an archive, parted by its segments. Raises ``FormatError``."""
    read_about(stream)
    lines = _member(stream, LIST, _MOST_LIST).splitlines(keepends=True)
    ends = list(accumulate([segment.members for segment in segments], initial=1))
    if lines[:1] != [_FIRST_LINE] or len(lines) != ends[-1]:
        raise FormatError(f"{LIST}: {len(lines):,} lines, expected {ends[-1]:,}")
    return [b"".join(lines[start:end]) for start, end in pairwise(ends)]


def preface_of(about: About, listed: bytes, seconds: int) -> bytes:
    """Make both members; ``seconds`` since 1970 is their time."""
    said = msgspec.json.format(msgspec.json.encode(about), indent=2) + b"\n"
    return b"".join(
        [
            tar.plain_head(ABOUT, len(said), seconds) + said + tar.padding(len(said)),
            tar.plain_head(LIST, len(listed), seconds) + listed + tar.padding(len(listed)),
        ]
    )


def read_about(stream: Stream) -> About:
    """Read the first member. Raises ``FormatError`` where this is no checkpoint of ours."""
    try:
        about = msgspec.json.decode(_member(stream, ABOUT, _MOST_ABOUT), type=About)
    except msgspec.MsgspecError as error:
        raise FormatError(f"{ABOUT}: {error}") from None
    if about.format != FORMAT:
        raise FormatError(f"{ABOUT}: a checkpoint of format {about.format}, expected {FORMAT}")
    return about


def read_preface(stream: Stream) -> Preface:
    """Read both members. Raises ``FormatError`` where this is no checkpoint of ours."""
    about = read_about(stream)
    lines = {}
    for line in _member(stream, LIST, _MOST_LIST).split(b"\n"):
        name, space, rest = line.partition(b" ")
        if space:
            lines[name] = rest
    return Preface(about, lines)


def size_of(said: bytes) -> int:
    """Read the size out of a line's attributes; 0 for what has none. Raises ``FormatError``."""
    found = _SIZE.search(said)
    return int(found[1]) if found else 0


def _member(stream: Stream, name: str, most: int) -> bytes:
    found = next_member(stream)
    if found is None or found.path != name or found.kind != tar.REGULAR:
        what = "nothing" if found is None else printable(found.path)
        raise FormatError(f"not a checkpoint: found {what}, expected {name}")
    if found.size > most:
        raise FormatError(f"{name}: {found.size:,} bytes; at most {most:,} are allowed")
    said = stream.read(found.size)
    stream.read(-found.size % tar.BLOCK)
    return said
