"""Mailboxes as directories: outboxes to look into, inboxes that mail enters whole or not at all.

A mail is written, synced and renamed into the inbox before it leaves the outbox, so that a router
killed between the two finds it in both. It is told apart from a new one by sender and id, which
stand in the file's name: no mail has to be read to know what has been delivered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeVar

from lazarus_pit.cells.files import durably, sync_directory, write_all
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.errors import FormatError
from lazarus_pit.formats.envelope import MailName, parse_name

INBOX_MAX = 1000
"""Mails that may wait in one inbox; further ones are refused back to their senders."""
BOUNCES_MAX = 100
"""How many more may wait if they are bounces: a full inbox still hears what went wrong."""
DONE_KEPT = 512
"""Acknowledged mails of a member that are kept, and known when they are sent again."""
DEAD_KEPT = 200
"""Dead letters of a member that are kept."""
LISTED_MAX = 200_000
"""Names of one outbox that are looked at; with more in it, order is no longer promised."""
CREW = 8
"""Threads that write mail; each has one file open."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
T = TypeVar("T")
R = TypeVar("R")
Identity = tuple[str, str]
"""Sender and id: what makes two mails the same."""


class Letter(NamedTuple):
    """One file to be: which directory, under which name, with what in it."""

    folder: Path
    name: MailName
    data: bytes


class Box:
    """What lies in one member's inbox and what it has acknowledged, by sender and id."""

    def __init__(self, paths: CellPaths, agent: str) -> None:
        """Read the names that are there, and remove what an interrupted delivery left.

        Raises:
            StoreError: the directories cannot be read.
        """
        self.inbox, self.done, self.dead = paths.inbox(agent), paths.done(agent), paths.dead(agent)
        with durably("cannot be read", self.inbox):
            self.inode = self.inbox.stat().st_ino
            for name in os.listdir(self.inbox):
                if name.startswith("."):
                    os.unlink(self.inbox / name)
            self.waiting = dict(_names(self.inbox))
            self.finished = dict(_names(self.done)) if self.done.is_dir() else {}
        known = (*self.waiting.values(), *self.finished.values())
        self.last = max((name.sequence for name in known), default=0)

    def knows(self, identity: Identity) -> bool:
        """Whether this mail has been delivered already."""
        return identity in self.waiting or identity in self.finished

    def is_full(self, *, bounce: bool = False) -> bool:
        """Whether no more fits."""
        return len(self.waiting) >= INBOX_MAX + BOUNCES_MAX * bounce

    def next_name(self, generation: int, expires: int, sender: str, mail_id: str) -> MailName:
        """Take the next place in the order of this inbox; the mail counts as waiting from now."""
        self.last = max(self.last + 1, time.time_ns())
        name = MailName(self.last, generation, expires, sender, mail_id)
        self.waiting[sender, mail_id] = name
        return name

    def acknowledge(self, names: Sequence[str]) -> int:
        """Move mails to ``done``; one that is not there has been moved before. Returns how many.

        Raises:
            StoreError: the disk refused; what was moved stays moved.
        """
        count = 0
        with durably("cannot be moved", self.done):
            _make(self.done)
            for file in names:
                name = parse_name(file)
                with suppress(FileNotFoundError):
                    os.rename(self.inbox / file, self.done / file)
                    count += 1
                self.waiting.pop((name.sender, name.id), None)
                self.finished[name.sender, name.id] = name
            if names:
                sync_directory(self.done)
            for identity in list(islice(self.finished, max(0, len(self.finished) - DONE_KEPT))):
                with suppress(FileNotFoundError):
                    os.unlink(self.done / self.finished.pop(identity).file())
        return count

    def grave(self) -> Path:
        """Return where dead letters go; it is made with the first of them.

        Raises:
            StoreError: it cannot be made.
        """
        with durably("cannot be made", self.dead):
            _make(self.dead)
        return self.dead

    def forget(self, name: MailName) -> None:
        """Take a mail out of the inbox that lies among the dead letters by now.

        Raises:
            StoreError: the disk refused.
        """
        with durably("cannot be removed", self.inbox), suppress(FileNotFoundError):
            os.unlink(self.inbox / name.file())
        self.waiting.pop((name.sender, name.id), None)

    def prune_dead(self) -> None:
        """Let go of the oldest dead letters.

        Raises:
            StoreError: the disk refused.
        """
        with durably("cannot be removed", self.dead):
            for file in sorted(os.listdir(self.dead))[:-DEAD_KEPT]:
                os.unlink(self.dead / file)


class Filed(NamedTuple):
    """A mail as it lies in a cell."""

    receiver: str
    state: str
    """``waiting``, ``done`` or ``dead``."""
    name: MailName
    file: Path


def filed(paths: CellPaths, members: Iterable[str]) -> list[Filed]:
    """Return all mail of these members that is still there, in the order of its delivery.

    Raises:
        StoreError: a directory cannot be read.
    """
    found = []
    for member in members:
        places = {
            "waiting": paths.inbox(member),
            "done": paths.done(member),
            "dead": paths.dead(member),
        }
        for state, place in places.items():
            with durably("cannot be read", place), suppress(FileNotFoundError):
                for _, name in _names(place):
                    found.append(Filed(member, state, name, place / name.file()))
    return sorted(found, key=lambda one: one.name.sequence)


def unread(paths: CellPaths, member: str) -> int:
    """Return how many mails a member has not acknowledged; 0 where that cannot be seen."""
    try:
        with os.scandir(paths.inbox(member)) as entries:
            return sum(not entry.name.startswith(".") for entry in entries)
    except OSError:
        return 0


def _make(folder: Path) -> None:
    """Make a directory two levels below ``bus``; without ``bus`` the cell is gone: OSError."""
    for place in (folder.parent, folder):
        place.mkdir(mode=0o700, exist_ok=True)


def _names(folder: Path) -> Iterator[tuple[Identity, MailName]]:
    """Yield the mails of a directory in their order; other files are nobody's."""
    for file in sorted(os.listdir(folder)):
        with suppress(FormatError):
            name = parse_name(file)
            yield (name.sender, name.id), name


class Crew:
    """Threads that wait for the disk together, so that one commit of it serves many files.

    A file system makes everybody wait while it writes its journal: who asks for one thing after the
    other waits as often.
    """

    def __init__(self) -> None:
        """Begin nobody before there is work for two."""
        self._pool = ThreadPoolExecutor(CREW, "bus-disk")

    def each(self, do: Callable[[T], R], things: Sequence[T]) -> list[R]:
        """Do the same to each of many; when this returns or raises, nothing is under way.

        Raises:
            OSError: what one of them raised; some others were not begun.
        """
        if len(things) < 2:
            return [do(thing) for thing in things]
        shares = [things[first::CREW] for first in range(min(CREW, len(things)))]
        futures = [self._pool.submit(_share, do, share) for share in shares]
        wait(futures)
        results = [future.result() for future in futures]
        return [results[place % CREW][place // CREW] for place in range(len(things))]

    def close(self) -> None:
        """Let everybody go."""
        self._pool.shutdown()


def _share(do: Callable[[T], R], things: Sequence[T]) -> list[R]:
    return [do(thing) for thing in things]


def put(letters: Sequence[Letter], crew: Crew) -> None:
    """Make letters appear in their order, each durable before it is seen.

    Raises:
        StoreError: the disk refused; those that appeared stay, and nothing half is left.
    """
    if not letters:
        return
    parts = [f"{letter.folder}/.{letter.name.file()}" for letter in letters]
    with durably("cannot be written", letters[0].folder):
        try:
            crew.each(_write, list(zip(parts, (one.data for one in letters), strict=True)))
            for letter, part in zip(letters, parts, strict=True):
                os.rename(part, f"{letter.folder}/{letter.name.file()}")
            crew.each(sync_directory, list({letter.folder for letter in letters}))
        except BaseException:
            for part in parts:
                with suppress(OSError):
                    os.unlink(part)
            raise


def _write(given: tuple[str, bytes]) -> None:
    part, data = given
    fd = os.open(part, _NEW, 0o644)
    try:
        os.fchmod(fd, 0o644)  # Whatever the umask is: the receiver is another user.
        write_all(fd, data)
        os.fsync(fd)
    finally:
        os.close(fd)


def pending(outbox: Path) -> list[str]:
    """Return the names in an outbox in their order; names that begin with a dot are unfinished.

    One listing may miss a name and yet show one that was made later. A second listing, begun when
    the first was over, has every name that was there before any of the first's.

    Raises:
        StoreError: it cannot be listed.
    """
    with durably("cannot be listed", outbox):
        if not (first := _listed(outbox)):
            return []
        newest = max(first)
        return sorted(name for name in _listed(outbox) if name <= newest)


def _listed(outbox: Path) -> list[str]:
    with os.scandir(outbox) as entries:
        return [
            entry.name for entry in islice(entries, LISTED_MAX) if not entry.name.startswith(".")
        ]


def discard(outbox: Path, name: str) -> bool:
    """Remove something from an outbox; ``False``: it is a directory that holds something."""
    path = outbox / name
    try:
        os.unlink(path)
    except FileNotFoundError:
        return True
    except OSError:
        try:
            os.rmdir(path)
        except OSError:
            return False
    return True
