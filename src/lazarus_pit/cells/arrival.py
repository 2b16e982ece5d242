"""A cell that comes from elsewhere: what of an unpacked tree goes where in a cell of our making.

Nothing about the tree is trusted. Every directory that the daemon relies on is one of our own
making; only what lies in those of the tree is moved into them, and never through a link. Mail in
inboxes is written anew, since the daemon alone writes there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from lazarus_pit.cells.files import read_hostile
from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.provision import refuse_reserved
from lazarus_pit.core.model import Desired
from lazarus_pit.errors import FormatError, RefusedError, StoreError
from lazarus_pit.formats import manifest
from lazarus_pit.formats.envelope import parse_name
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Kind, Manifest, Network

MAIL_MAX = 1 << 20
"""Bytes of one mail that are read."""
MAILS = 2000
"""Mails of one box that come along."""
SEQ_MAX = 1 << 53
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Closed(NamedTuple):
    """A manifest from elsewhere, and what of this host it no longer opens."""

    manifest: Manifest
    notes: tuple[str, ...]


def read_manifest(tree: Path) -> Manifest:
    """Return the manifest in an unpacked tree.

    Raises:
        FormatError: there is none, or it is not right.
    """
    data = read_hostile(tree / "cell.json", manifest.MAX_BYTES)
    if data is None:
        raise FormatError("cell.json: not in the archive, which so is not that of a cell")
    try:
        found = manifest.parse(data)
        for member in found.agents:
            refuse_reserved(member.name)
    except (FormatError, RefusedError) as error:
        raise FormatError(f"cell.json in the archive: {error}") from None
    return found


def closed(found: Manifest) -> Closed:
    """Take away what a manifest opens of the host: paths, variables, credentials, networks."""
    notes = ["the cell's own openings (isolation) are closed"] * bool(found.isolation)
    agents = []
    for member in found.agents:
        opened = [*member.isolation]
        if member.network is not Network.NONE:
            opened.append(f"network {' '.join([member.network.value, *member.allow])}")
        opened += [f"forward {port}" for port in member.forward]
        if opened:
            notes.append(f"{member.name}: closed: {', '.join(opened)}")
        shut = replace(member, isolation={}, network=Network.NONE, allow=(), forward=())
        agents.append(shut)
    return Closed(replace(found, isolation={}, agents=tuple(agents)), tuple(notes))


def own_terms(found: Manifest) -> list[str]:
    """Say which rules and limits of a manifest win over those of this host."""
    terms = [("the cell", [*found.rules, *found.limits])]
    terms += [(member.name, [*member.rules, *member.limits]) for member in found.agents]
    said = [f"{whose}: {', '.join(names)}" for whose, names in terms if names]
    return ["its own rules and limits hold, not this host's: " + "; ".join(said)] * bool(said)


def at_rest(found: Manifest) -> Manifest:
    """Return the manifest with nobody wanted running."""
    agents = (replace(member, desired=Desired.STOP, request=0) for member in found.agents)
    return replace(found, agents=tuple(agents))


def furnish(made: CellPaths, tree: Path, members: Manifest) -> list[str]:
    """Move work, homes and mail of a tree into a cell that nobody has seen yet.

    Returns notes for people on what stayed out.

    Raises:
        OSError: something could not be moved.
        FormatError: the tree has a link or a file where a directory must be.
        StoreError: mail could not be read.
    """
    notes: list[str] = []
    for part in (".lazarus", "bus"):  # What lies below is reached through them.
        _check_directory(tree / part)
    _move(tree / "workspace", made.workspace)
    names = {member.name for member in members.agents}
    homes = {member.name for member in members.agents if member.kind is Kind.AGENT}
    for folder, target, wanted in (
        (tree / ".lazarus" / "home", made.home, homes),
        (tree / "bus" / "outbox", made.outbox, names),
    ):
        for name in _names(folder):
            if name in wanted:
                _move(folder / name, target(name))
            else:
                notes.append(f"{folder.name} of {name!a}, who is no member, stays out")
    for box, place in (("inbox", made.inbox), ("done", made.done), ("dead", made.dead)):
        for name in _names(tree / "bus" / box):
            if name in names:
                notes += _post(tree / "bus" / box / name, place(name))
    return notes


def journal_of(tree: Path) -> Iterator[Event]:
    """Yield the events of a tree's journal, without any count that is no count."""
    journal = tree / "logs" / "events.jsonl"
    try:
        if not stat.S_ISREG(journal.lstat().st_mode):
            return
        for line in read_events(journal):
            event = line.event
            if event is not None:
                counted = event.seq is None or 0 <= event.seq < SEQ_MAX
                yield event if counted else replace(event, seq=None)
    except (FileNotFoundError, StoreError):
        return


def _post(source: Path, folder: Path) -> list[str]:
    """Write the mails of a box anew; what is none stays out."""
    out = 0
    for place in (folder.parent, folder):
        place.mkdir(mode=0o700, exist_ok=True)
    for file in islice(_names(source), MAILS):
        try:
            name = parse_name(file).file()
            data = read_hostile(source / file, MAIL_MAX, sole=True)
        except FormatError:
            out += 1
            continue
        if data is not None:
            (folder / name).write_bytes(data)
            (folder / name).chmod(0o644)  # Whatever the umask is: the receiver is another user.
    where = f"bus/{source.parent.name}/{source.name}"
    return [f"{where}: {out} files that are no mail stay out"] * bool(out)


def _check_directory(path: Path) -> None:
    if os.path.lexists(path) and not stat.S_ISDIR(path.lstat().st_mode):
        raise FormatError(f"{path.name}: found a file or a link, expected a directory")


def _move(source: Path, target: Path) -> None:
    """Move what lies in a directory of the tree into one of ours."""
    if not os.path.lexists(source):
        return
    try:
        there = os.open(source, _DIRECTORY)
    except NotADirectoryError:
        raise FormatError(f"{source.name}: found a file or a link, expected a directory") from None
    try:
        here = os.open(target, _DIRECTORY)
        try:
            for name in os.listdir(there):
                os.rename(name, name, src_dir_fd=there, dst_dir_fd=here)
        finally:
            os.close(here)
    finally:
        os.close(there)


def _names(folder: Path) -> list[str]:
    """List a directory of the tree in order; what is no directory has nothing in it."""
    try:
        fd = os.open(folder, _DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return []
    try:
        return sorted(os.listdir(fd))
    finally:
        os.close(fd)
