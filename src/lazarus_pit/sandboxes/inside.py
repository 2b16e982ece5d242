"""How the world looks from inside: one fixed place for every cell, and bubblewrap's words for it.

Agents key their sessions and their trust by path, so a cell is always at the same one, wherever
it was provisioned, restored or forked. Only whole directories are mounted: a file that is mounted
alone cannot be replaced by a rename.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from lazarus_pit.formats.limits import MEGABYTE
from lazarus_pit.linux import mounts
from lazarus_pit.sandboxes.base import WRITERS, Launch
from lazarus_pit.sandboxes.environment import Places
from lazarus_pit.sandboxes.furniture import INNER_PACKAGES, SYSTEM, Furniture

CELL = "/mission"
WORKSPACE = f"{CELL}/workspace"
HOME = f"{CELL}/home"
HEARTBEATS = f"{CELL}/.lazarus/heartbeats"
PUBLISHED = f"{CELL}/.lazarus/pub"
CREDENTIALS = f"{CELL}/.credentials"
OURS = "/lazarus"
PYTHON = f"{OURS}/python"

_RUN_BYTES = 16 << 20


class Bind(NamedTuple):
    """A directory of the host and where it appears."""

    name: str
    source: str
    target: str
    writable: bool = False
    in_sight: bool = False
    """Any user can walk to it even when others are staged, and no agent can change the way."""


class Binds(NamedTuple):
    """All of them, and whether they are staged.

    That is so for another user than ours, and where a directory is closed but for one in it: what
    an agent can put a link in place of is bound by its descriptor, and only there.
    """

    all: tuple[Bind, ...]
    staged: bool
    closed: dict[str, str]
    """Names of directories that only one directory in each can be written in, and that one's."""

    def to_stage(self) -> dict[str, str]:
        """Names in the stage and what is bound there."""
        return {bind.name: bind.source for bind in self.all if not bind.in_sight}

    def by_target(self) -> dict[str, str]:
        """Places inside and what they are on the host."""
        return {bind.target: bind.source for bind in self.all}


def places(launch: Launch, standing: Furniture) -> Places:
    """Where an agent finds things."""
    return Places(
        cell=CELL,
        home=HOME,
        heartbeats=HEARTBEATS,
        published=PUBLISHED,
        inbox=f"{CELL}/bus/inbox/{launch.agent}",
        outbox=f"{CELL}/bus/outbox",
        temporary="/tmp",  # noqa: S108 - a file system of the sandbox's own
        path=(
            f"{OURS}/bin",
            *([f"{PYTHON}/bin"] if standing.python else []),
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
            f"{HOME}/.local/bin",
        ),
        library=f"{OURS}/lib",
    )


def seen(mounted: Binds, standing: Furniture) -> dict[str, str]:
    """Every directory with programs that is seen inside, and what it is on the host."""
    own = {standing.python: standing.python} if standing.python else {}
    return {path: path for path in SYSTEM} | own | mounted.by_target()


def words_about_the_workspace(launch: Launch) -> str:
    """Say what of the workspace an agent can write."""
    if launch.role in WRITERS:
        return "all of it"
    return f"{launch.reviews}/ alone" if launch.reviews else "nothing"


def binds(launch: Launch, standing: Furniture, *, staged: bool) -> Binds:
    """Every directory that is mounted from outside the system's own."""
    pieces = [
        Bind("etc", standing.etc, "/etc"),
        Bind("bin", standing.bin, f"{OURS}/bin"),
        Bind("package", standing.package, f"{OURS}/lib/lazarus_pit"),
        *([Bind("packages", standing.packages, INNER_PACKAGES)] if standing.packages else []),
        *([Bind("python", standing.python, PYTHON)] if standing.python else []),
    ]
    extra = [
        *(Bind(f"ro{n}", path, path) for n, path in enumerate(launch.read_only)),
        *(Bind(f"rw{n}", path, path, writable=True) for n, path in enumerate(launch.read_write)),
        *(
            Bind(f"own{n}", source, f"{HOME}/{name}")
            for n, (name, source) in enumerate(launch.home_read_only)
        ),
    ]
    closed = {"workspace": launch.reviews} if launch.reviews else {}
    writable = launch.role in WRITERS or bool(closed)
    return Binds(
        (
            *(piece._replace(in_sight=piece.source in standing.in_sight) for piece in pieces),
            Bind("home", launch.home, HOME, writable=True),
            Bind("workspace", launch.workspace, WORKSPACE, writable=writable),
            Bind("heartbeats", launch.heartbeat_dir, HEARTBEATS, writable=True),
            Bind("published", launch.pub_dir, PUBLISHED),
            Bind("inbox", launch.inbox, f"{CELL}/bus/inbox/{launch.agent}"),
            Bind("outbox", launch.outbox, f"{CELL}/bus/outbox", writable=True),
            *extra,
        ),
        staged or bool(closed),
        closed,
    )


def namespaces(launch: Launch, *, nested: bool) -> list[str]:
    """The arguments that part the sandbox from the rest of the machine."""
    uid, gid = launch.seen_as or ("", "")
    return [
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"),
        *(["--uid", str(uid), "--gid", str(gid)] if launch.seen_as else []),
        "--unshare-cgroup-try",
        *(["--unshare-net"] if launch.network == "none" else []),
        *([] if nested else ["--disable-userns"]),
        *("--new-session", "--hostname", "cell", "--cap-drop", "ALL"),
    ]


def file_system(
    launch: Launch, mounted: Binds, standing: Furniture, credentials: Sequence[str] = ()
) -> list[str]:
    """The arguments that build the file system, in the order in which it is built."""
    return [
        *_system(),
        *_kernel(launch.limits.tmp_mb),
        *_python_by_its_own_name(standing),
        *(word for bind in mounted.all for word in _bind(bind, staged=mounted.staged)),
        *(["--ro-bind-try", _resolver(), "/etc/resolv.conf"] if launch.network == "host" else []),
        *credentials,
        *("--symlink", ".lazarus/pub/cell.json", f"{CELL}/cell.json"),
        *("--remount-ro", "/", "--chdir", WORKSPACE),
    ]


def _bind(bind: Bind, *, staged: bool) -> tuple[str, str, str]:
    hidden = staged and not bind.in_sight
    source = f"{mounts.STAGE}/{bind.name}" if hidden else bind.source
    return ("--bind" if bind.writable else "--ro-bind", source, bind.target)


def _system() -> list[str]:
    """The host's programs, read-only; what is a link there is a link here."""
    words: list[str] = []
    for path in SYSTEM:
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            words += ["--ro-bind", path, path]
    return words


def _kernel(scratch_mb: int) -> list[str]:
    """Fresh kernel file systems, and scratch space that is bounded and gone with the life."""
    size = ("--size", str(scratch_mb * MEGABYTE)) if scratch_mb else ()
    scratch = (*size, "--perms", "1777", "--tmpfs")
    return [
        *("--proc", "/proc", "--dev", "/dev", *scratch, "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
        *(*scratch, "/tmp", "--dir", "/var", "--symlink", "../tmp", "/var/tmp"),  # noqa: S108
        *("--size", str(_RUN_BYTES), "--tmpfs", "/run"),
    ]


def _python_by_its_own_name(standing: Furniture) -> list[str]:
    """An interpreter finds its shared library by the path that it was built for."""
    return ["--symlink", PYTHON, standing.python] if standing.python else []


def _resolver() -> str:
    return os.path.realpath("/etc/resolv.conf")
