"""The daemon's write-ahead ledger: what was decided is on the disk before anything is done.

One line per turn of the loop, one write and one fdatasync per line, however many agents it is
about. Opening it replays to the last record of each key. A torn last line never happened; a
damaged line in the middle is skipped and reported, and the damaged file is set aside.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from lazarus_pit.cells import replay
from lazarus_pit.cells.files import durably, read_hostile, sync_directory, write_all
from lazarus_pit.cells.journal import unwritten
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import ledger, text
from lazarus_pit.formats.ledger import Turn
from lazarus_pit.linux.reserve import reserve

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from lazarus_pit.cells.replay import Entry
    from lazarus_pit.formats.journal import Event

log = logging.getLogger(__name__)

COMPACT_AT = 8 * 1024 * 1024
"""Bytes from which on the file is written anew with the latest records alone."""

_RESERVE = 1024 * 1024
_MAX_BYTES = 1024 * 1024 * 1024
_OPEN = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = _OPEN | os.O_CREAT | os.O_EXCL


class Opened(NamedTuple):
    """A ledger, and what opening it has brought to light."""

    ledger: Ledger
    owed: list[Event]
    """Events that were decided but that their journals do not have: append them."""
    reports: list[str]
    """What was wrong with the file, for a person; empty where nothing was. If something was, the
    latest record of some key may be lost, so that generations must leap ahead of those known."""


def open_ledger(root: Path, boot: str, compact_at: int = COMPACT_AT) -> Opened:
    """Open the ledger of a root, or begin one, and replay it. The pit's lock must be held.

    Args:
        root: where the cells are.
        boot: the present boot's id; instants of records with another id are of another clock.
        compact_at: size in bytes from which on the file is condensed.

    Raises:
        StoreError: it can neither be read nor begun anew.
    """
    path = PitPaths(root).ledger
    with durably("cannot be opened", path):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        damage = ""
        try:
            data = read_hostile(path, _MAX_BYTES)
        except FormatError as error:
            data, damage = b"", str(error)
        reading = replay.read(data or b"")
        damage = damage or (reading.damage and f"{path}: {reading.damage}")
        owed = unwritten(root, reading.told)
        opened = Ledger(root, boot, reading, compact_at)
        if damage:
            damage += f"; the damaged file is now {_set_aside(path).name}"
        if damage or data is None:
            opened.rewrite(owed)
        else:
            opened.resume(torn=reading.end < len(data))
    return Opened(opened, owed, [damage] if damage else [])


def _set_aside(path: Path) -> Path:
    """Give the file a second name that stays when the first is given to its successor."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.stem}.corrupt-{number}")):
        number += 1
    try:
        os.link(path, aside, follow_symlinks=False)
    except OSError:  # A directory, or a file system without second names.
        path.rename(aside)
    return aside


class Ledger:
    """An open ledger; ``open_ledger`` makes it. One process at a time, under the pit's lock.

    Attributes:
        entries: the latest record of each key, as on the disk.
        turn: the number of the last turn on the disk.
    """

    def __init__(self, root: Path, boot: str, reading: replay.Reading, compact_at: int) -> None:
        self.root = root
        self.path = PitPaths(root).ledger
        self.boot = boot
        self.turn = reading.turn
        self.entries: dict[str, Entry] = reading.entries
        self._fd = -1
        self._end = reading.end
        self._reserved = 0
        self._suspect = False
        self._compact_step = self._compact_at = compact_at
        self._records: dict[str, bytes | None] = {}
        self._told: list[Event] = []

    def resume(self, *, torn: bool) -> None:
        """Go on in the file as it is, without its torn tail."""
        self._fd = os.open(self.path, _OPEN)
        if torn:
            os.ftruncate(self._fd, self._end)
            os.fdatasync(self._fd)

    def close(self) -> None:
        """Close the file; what was committed is safe already."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def commit(self, records: Mapping[str, object | None], told: Sequence[Event] = ()) -> None:
        """Make one turn durable: all of it or nothing.

        Args:
            records: what changed, by key: anything msgspec can encode; ``None`` removes the key.
            told: what the journals are owed; each event names its cell and has its ``seq``.
                What earlier turns told must be in the journals by now, or be written later.

        Raises:
            FormatError: a record or an event cannot be encoded; nothing was taken over.
            StoreError: nothing is on the disk. It is kept, and the next commit, even an empty one,
                writes it together with its own.
        """
        encoded = {
            key: None if record is None else text.encode(record, key)
            for key, record in records.items()
        }
        merged = {**self._records, **encoded}
        owed = [*self._told, *told]
        if not merged and not owed:
            return
        line = ledger.encode(Turn(turn=self.turn + 1, boot=self.boot, records=merged, told=owed))
        self._records, self._told = merged, owed
        with durably("the decision is not on the disk", self.path):
            self._make_room(len(line))
            self._append(line)
        self.turn += 1
        replay.apply(self.entries, merged, self.boot)
        self._records, self._told = {}, []

    def _append(self, line: bytes) -> None:
        try:
            write_all(self._fd, line)
            os.fdatasync(self._fd)
        except BaseException:
            self._take_back()
            raise
        self._end += len(line)

    def _take_back(self) -> None:
        """Leave no half line; where even that fails the file is not to be trusted any more."""
        self._reserved = 0  # Truncation gives the reserved space back.
        self._suspect = True
        with suppress(OSError):
            os.ftruncate(self._fd, self._end)
            os.fdatasync(self._fd)
            self._suspect = False

    def _make_room(self, length: int) -> None:
        """Write the file anew where it must be or has grown; have space for this line and more."""
        if self._suspect or not self._is_in_place():
            self.rewrite(self._still_owed())
        elif self._end > self._compact_at:
            try:
                self.rewrite(self._still_owed())
            except (OSError, StoreError):  # A full disk, say: the old file still does.
                self._compact_at = self._end + self._compact_step
        if self._end + length + _RESERVE // 4 > self._reserved:
            with suppress(OSError):
                reserve(self._fd, self._end, length + _RESERVE)
                self._reserved = self._end + length + _RESERVE

    def _is_in_place(self) -> bool:
        """Whether the file that is open is the one that the next daemon will find."""
        try:
            there = os.lstat(self.path)
        except FileNotFoundError:
            there = None
        if there is not None and os.path.samestat(there, os.fstat(self._fd)):
            return True
        log.warning("%s was removed or replaced by somebody; it is written anew", self.path)
        return False

    def _still_owed(self) -> list[Event]:
        """Return what the journals still lack of all that this file has told."""
        data = os.pread(self._fd, self._end, 0)
        return unwritten(self.root, replay.read(data).told, durable=True)

    def rewrite(self, told: Sequence[Event]) -> None:
        """Replace the file by one that has the latest records and these events alone."""
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        fd = os.open(fresh, _CREATE, 0o600)
        end = 0
        try:
            for turn in replay.condense(self.entries, told, self.turn, self.boot):
                line = ledger.encode(turn)
                write_all(fd, line)
                end += len(line)
            os.fsync(fd)
            fresh.rename(self.path)
        except BaseException:
            os.close(fd)
            with suppress(OSError):
                fresh.unlink()
            raise
        self.close()
        self._fd, self._end, self._reserved, self._suspect = fd, end, 0, False
        self._compact_at = max(self._compact_step, 2 * end)
        sync_directory(self.path.parent)
