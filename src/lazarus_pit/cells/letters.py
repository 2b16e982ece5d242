"""The mail of a cell as it lies on the disk, for eyes: nothing is moved, nothing acknowledged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from lazarus_pit.cells.files import opened, read_hostile
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import envelope
from lazarus_pit.formats.envelope import Envelope, MailName
from lazarus_pit.formats.names import is_agent_name

Box = Literal["inbox", "done", "dead"]
"""Waits to be acknowledged; was acknowledged; was of no use."""
_BYTES = 1024 * 1024
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Filed(NamedTuple):
    """One mail in the box of one member, by its name alone."""

    name: MailName
    receiver: str
    box: Box


def filed(paths: CellPaths) -> list[Filed]:
    """Return all the mail of a cell, the newest first; mail to several is there for each."""
    found: list[Filed] = []
    for receiver in _listed(paths.inboxes):
        if is_agent_name(receiver):
            for box, folder in _boxes(paths, receiver):
                found += [Filed(name, receiver, box) for name in _names(folder)]
    found.sort(reverse=True)
    return found


def read(paths: CellPaths, one: Filed) -> Envelope | None:
    """Return a mail; ``None`` where it has been moved meanwhile, or cannot be read."""
    folder = dict(_boxes(paths, one.receiver))[one.box]
    try:
        data = read_hostile(folder / one.name.file(), _BYTES)
        return None if data is None else envelope.parse_delivered(data)
    except (FormatError, StoreError):
        return None


def _boxes(paths: CellPaths, receiver: str) -> tuple[tuple[Box, Path], ...]:
    return (
        ("inbox", paths.inbox(receiver)),
        ("done", paths.done(receiver)),
        ("dead", paths.dead(receiver)),
    )


def _names(folder: Path) -> Iterator[MailName]:
    for file in _listed(folder):
        try:
            yield envelope.parse_name(file)
        except FormatError:
            continue


def _listed(folder: Path) -> list[str]:
    try:
        with opened(folder, _DIRECTORY) as fd:
            return os.listdir(fd)
    except OSError:
        return []
