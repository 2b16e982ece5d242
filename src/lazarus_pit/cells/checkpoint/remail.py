"""The bus at a restore: an agent that goes back in time has not read what it read since.

Mail is never taken back: whoever got a mail keeps it, and what was sent stays sent. But mail that
an agent acknowledged after the checkpoint is unknown to the conversation that comes back. It
returns to the agent's inbox, so that nothing vanishes that nobody remembers.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY

_INBOX, _DONE, _DEAD, _OUTBOX = "bus/inbox", "bus/done", "bus/dead", "bus/outbox"
_ACK = "-ack-"
"""What stands in the name of an acknowledgement in an outbox (``lazarus_pit.mail``)."""


class Reopened(NamedTuple):
    """What came back to the inboxes."""

    mails: int
    missing: int
    """Mails that waited at the checkpoint and are nowhere any more."""


def reopen(cell: Path, then: Iterable[str], agents: Iterable[str], saved: Path | None) -> Reopened:
    """Put what these agents acknowledged since a checkpoint back into their inboxes.

    Args:
        cell: the cell, in which no agent lives; the daemon may deliver meanwhile.
        then: the paths of the bus at the checkpoint, as in ``bus/inbox/<agent>/<mail>``.
        agents: those whose homes went back. People remember what they have read.
        saved: a directory with the bus as it was saved, out of which mail may be moved that lies
            nowhere any more; without one it is counted as missing.

    Harmless to call again. Raises ``OSError``.
    """
    known: dict[str, set[str]] = {}
    for path in then:
        folder, _, name = path.rpartition("/")
        known.setdefault(folder, set()).add(name)
    mails = missing = 0
    for agent in agents:
        back, lost = _of_one(cell, agent, known, saved)
        mails += back
        missing += lost
    return Reopened(mails, missing)


def _of_one(
    cell: Path, agent: str, known: dict[str, set[str]], saved: Path | None
) -> tuple[int, int]:
    inbox = _open(cell / _INBOX / agent)
    if inbox is None:
        return 0, 0
    back = lost = 0
    try:
        _unsay(cell / _OUTBOX / agent, known.get(f"{_OUTBOX}/{agent}", set()))
        since = _names(cell / _DONE / agent) - known.get(f"{_DONE}/{agent}", set())
        for name in sorted(since):
            os.rename(cell / _DONE / agent / name, name, dst_dir_fd=inbox)
            back += 1
        here = set(os.listdir(inbox)) | _names(cell / _DONE / agent) | _names(cell / _DEAD / agent)
        for name in sorted(known.get(f"{_INBOX}/{agent}", set()) - here):
            if not name or name.startswith("."):
                continue
            if saved is None:
                lost += 1
                continue
            os.rename(saved / _INBOX / agent / name, name, dst_dir_fd=inbox)
            back += 1
        os.fsync(inbox)
    finally:
        os.close(inbox)
    return back, lost


def _unsay(outbox: Path, then: set[str]) -> None:
    """Take back acknowledgements that the daemon has not heard yet."""
    fd = _open(outbox)
    if fd is None:
        return
    try:
        for name in set(os.listdir(fd)) - then:
            if _ACK in name and not name.startswith("."):
                os.unlink(name, dir_fd=fd)
    finally:
        os.close(fd)


def _names(folder: Path) -> set[str]:
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()


def _open(folder: Path) -> int | None:
    """Open a directory of the cell; the last name may be none, and no link is followed."""
    try:
        return os.open(folder, OPEN_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return None
