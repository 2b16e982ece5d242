"""Read an archive to its last byte and see that every member is what the list says."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lazarus_pit.cells.checkpoint.intake import Ignore, Intake, take_all
from lazarus_pit.cells.checkpoint.manifest import About
from lazarus_pit.cells.checkpoint.source import MOST_BYTES, check_cover, opened


class VerifyRequest(msgspec.Struct, frozen=True, kw_only=True, tag="verify"):
    """Which archive to check."""

    archive: str
    jobs: int = 2
    most_bytes: int = MOST_BYTES


class Verified(msgspec.Struct, frozen=True, kw_only=True, tag="verified"):
    """An archive is sound."""

    archive: str
    size: int
    indexed: bool
    """Whether its index fits it, so that it can be read in parallel and the next one reuses it."""
    about: About


def verify(request: VerifyRequest) -> Verified:
    """Check every byte. Raises ``FormatError`` that names archive and member, ``UsageError``."""
    path = Path(request.archive)
    with opened(path, request.most_bytes) as source:
        check_cover(source)
        preface = source.preface
        parts = preface.about.parts

        def make() -> Intake:
            return Intake(preface.lines, parts, request.most_bytes, Ignore())

        take_all(source, make, request.jobs)
        return Verified(
            archive=str(path),
            size=path.stat().st_size,
            indexed=source.table is not None,
            about=preface.about,
        )
