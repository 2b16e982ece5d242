"""Tell what changed between two checkpoints, from the lists they carry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from lazarus_pit.cells.checkpoint.source import opened

_TIME = re.compile(rb" time=\S+")
_MODE = re.compile(rb" mode=\S+")


class Change(StrEnum):
    """What happened to an entry."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    MODE = "mode"
    TOUCHED = "touched"


class DiffRequest(msgspec.Struct, frozen=True, kw_only=True, tag="diff"):
    """Which two archives to compare."""

    old: str
    new: str


class Difference(msgspec.Struct, frozen=True):
    r"""One entry that differs. ``path`` is as the list writes it: odd bytes as ``\ooo``."""

    change: Change
    path: str


class Diff(msgspec.Struct, frozen=True, kw_only=True, tag="diff"):
    """All that differs, by path."""

    differences: tuple[Difference, ...]


def diff(request: DiffRequest) -> Diff:
    """Compare two archives. Raises ``UsageError`` and ``FormatError``."""
    with opened(Path(request.old)) as old, opened(Path(request.new)) as new:
        found = differences(old.preface.lines, new.preface.lines)
        return Diff(differences=tuple(found))


def differences(old: dict[bytes, bytes], new: dict[bytes, bytes]) -> Iterator[Difference]:
    """Compare two lists, sorted by name."""
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before != after:
            yield Difference(_change(before, after), name.decode().removeprefix("./"))


def _change(before: bytes | None, after: bytes | None) -> Change:
    if before is None:
        return Change.ADDED
    if after is None:
        return Change.REMOVED
    if only_touched(before, after):
        return Change.TOUCHED
    before, after = _TIME.sub(b"", before), _TIME.sub(b"", after)
    same = _MODE.sub(b"", before) == _MODE.sub(b"", after)
    return Change.MODE if same else Change.CHANGED


def only_touched(before: bytes, after: bytes) -> bool:
    """Whether two lines of one entry differ in its time at most."""
    return _TIME.sub(b"", before) == _TIME.sub(b"", after)
