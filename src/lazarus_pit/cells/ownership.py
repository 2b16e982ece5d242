"""Whom the agents of a cell run as under a root daemon: one user for all, or each cell its own.

A cell's user is the owner of its workspace: nothing else records it. No agent can change it, and
it goes when the cell goes.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from lazarus_pit.cells.files import opened
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.usage import walk
from lazarus_pit.formats.names import is_cell_uuid

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AGENT_ID = 61042
"""The user and group of all agents under a root daemon, unless ``[isolation]`` says otherwise.

Not 65534 (nobody): the kernel shows every user that a namespace does not know as that one, so that
strangers' files would seem the agents' own. 61042 lies where neither distributions nor systemd
(dynamic users from 61184 on) give out numbers of their own accord.
"""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Owner(NamedTuple):
    """The user and group that the agents of a cell run as; or the first of several."""

    uid: int
    gid: int
    users: int = 1
    """How many users, from this one on, the cells share out among them."""

    @property
    def uids(self) -> range:
        """Everybody that an agent may run as."""
        return range(self.uid, self.uid + self.users)

    def the(self, uid: int) -> Owner:
        """Return one of them."""
        return Owner(uid, self.gid + uid - self.uid)


def agent_owner(uid: int = AGENT_ID, gid: int = AGENT_ID, users: int = 1) -> Owner:
    """Return whom agents run as: the given ones under root, else the user who runs us."""
    return Owner(uid, gid, users) if os.geteuid() == 0 else Owner(os.getuid(), os.getgid())


def owner_in(paths: CellPaths, owner: Owner) -> Owner:
    """Return the one whom the agents of a cell run as, of those who may be."""
    uid = _uid(paths.workspace) if owner.users > 1 else None
    return owner.the(owner.uid if uid is None or uid not in owner.uids else uid)


@contextmanager
def allotted(root: Path, owner: Owner) -> Iterator[Owner]:
    """Hold a user for a cell that is being made until its workspace is there.

    It is one that no cell has; where all are taken, the one that the fewest have.

    Raises:
        OSError: the operating system refused.
    """
    if owner.users == 1:
        yield owner
        return
    with opened(PitPaths(root).nursery, _DIRECTORY) as nursery:
        fcntl.flock(nursery, fcntl.LOCK_EX)
        taken = Counter(map(_uid, _workspaces(root)))
        yield owner.the(min(owner.uids, key=lambda uid: (taken[uid], uid)))


def _workspaces(root: Path) -> Iterator[Path]:
    """Those of all cells, and of those that are being made."""
    nursery = PitPaths(root).nursery
    for place in (root, *nursery.iterdir()):
        if place.is_dir():
            for name in filter(is_cell_uuid, os.listdir(place)):
                yield CellPaths(place, name).workspace


def _uid(workspace: Path) -> int | None:
    try:
        return os.lstat(workspace).st_uid
    except OSError:
        return None


def give(paths: CellPaths, owner: Owner) -> None:
    """Give a cell's owner all that is the agents' in it, wherever it came from.

    For a cell that nobody has seen yet: nothing in it changes meanwhile, and no link is followed.

    Raises:
        OSError: the operating system refused.
    """
    runs = [paths.runs / name / "hb" for name in os.listdir(paths.runs)]
    below = [top / name for top in (paths.homes, paths.outboxes) for name in os.listdir(top)]
    for top in (paths.workspace, *below, *runs):
        for entry in walk(top):
            os.chown(entry.name, owner.uid, owner.gid, dir_fd=entry.fd, follow_symlinks=False)
