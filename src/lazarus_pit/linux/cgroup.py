"""Control groups, version 2 (cgroups(7), the kernel's cgroup-v2.rst): who belongs to a life.

A leaf needs no controller: membership, kill, freeze and processor time come with every cgroup v2.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections.abc import Iterator
from typing import NamedTuple

TOP = "lazarus-pit"
"""The directory that holds everything of ours."""


class Tree(NamedTuple):
    """A writable place for leaves: ``<path>/<cell>/<agent>.<generation>``."""

    path: str
    home: str
    """The cgroup that this process lives in, and goes back to."""


class Leaf(NamedTuple):
    """A life's own cgroup and what its name says."""

    path: str
    cell: str
    agent: str
    generation: int


def mount_point(mountinfo: str = "/proc/self/mountinfo") -> str | None:
    """Where cgroup v2 is mounted, whether alone or beside version 1; ``None`` if nowhere."""
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields = line.split()
            if fields[fields.index("-") + 1] == "cgroup2":
                return fields[4].replace("\\040", " ")
    return None


def own_path(cgroup: str = "/proc/self/cgroup") -> str:
    """The cgroup v2 of this process, as a path below the mount; ``/`` if it has none."""
    with open(cgroup, encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            number, _, path = line.rstrip("\n").split(":", 2)
            if number == "0":
                return path
    return "/"


def find_tree(name: str) -> tuple[Tree | None, str]:
    """Find or make a place for the leaves of one root, and say why where there is none.

    A subtree that a service manager has delegated to us comes first; else the highest directory on
    the way to our own cgroup that we may write, so that a daemon started elsewhere finds it again.
    """
    mount = mount_point()
    if mount is None:
        return None, "cgroup v2 is not mounted"
    own = own_path()
    home = os.path.join(mount, own.lstrip("/"))
    if not os.path.isfile(f"{home}/cgroup.procs"):
        return None, f"our own cgroup {own} is not below {mount}"
    why = f"no cgroup from {mount} to {home} is writable for uid {os.geteuid()}"
    for directory in _places(mount, own):
        if not os.access(f"{directory}/cgroup.procs", os.W_OK):
            continue
        path = os.path.join(directory, TOP, name)
        try:
            os.makedirs(path, exist_ok=True)
        except OSError as error:
            why = f"{path}: {error.strerror}"
            continue
        if not os.path.isfile(f"{path}/cgroup.kill"):
            return None, "this kernel has no cgroup.kill (Linux 5.14)"
        return Tree(path=path, home=home), path
    return None, why


def _places(mount: str, own: str) -> list[str]:
    parts = [part for part in own.split("/") if part]
    down = [os.path.join(mount, *parts[:count]) for count in range(len(parts) + 1)]
    return [place for place in reversed(down) if _is_delegated(place)] + down


def _is_delegated(place: str) -> bool:
    """Whether systemd has marked the directory as given away (systemd.resource-control(5))."""
    for name in ("trusted.delegate", "user.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(place, name) == b"1":
                return True
    return False


# ---------------------------------------------------------------- leaves


def leaf_path(tree: Tree, cell: str, agent: str, generation: int) -> str:
    """The name of a life's leaf."""
    return os.path.join(tree.path, cell, f"{agent}.{generation}")


def make_leaf(tree: Tree, cell: str, agent: str, generation: int) -> str:
    """Make the leaf of a life and return its path; one that is there already is used.

    Raises:
        OSError: the kernel refused.
    """
    path = leaf_path(tree, cell, agent, generation)
    os.makedirs(path, exist_ok=True)
    return path


def remove_leaf(path: str) -> bool:
    """Remove an empty leaf, and its cell's directory with the last one; ``False``: not empty."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    with contextlib.suppress(OSError):
        os.rmdir(os.path.dirname(path))
    return True


def remove_tree(tree: Tree) -> None:
    """Remove what is empty of a tree."""
    for leaf in list(leaves(tree)):
        remove_leaf(leaf.path)
    for path in (tree.path, os.path.dirname(tree.path)):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def leaves(tree: Tree) -> Iterator[Leaf]:
    """Every leaf of a tree, populated or not; what does not bear a leaf's name is passed over."""
    for cell in _directories(tree.path):
        for entry in _directories(cell.path):
            agent, _, number = entry.name.rpartition(".")
            if agent and number.isdecimal():
                yield Leaf(entry.path, cell.name, agent, int(number))


def _directories(path: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def enter(path: str) -> None:
    """Move this whole process into a cgroup; what it starts from now on is born there.

    Raises:
        OSError: the kernel refused.
    """
    _write(f"{path}/cgroup.procs", b"0")


@contextlib.contextmanager
def visiting(tree: Tree | None, path: str) -> Iterator[None]:
    """Be in a leaf for a moment: a child that is started now is born there, without a race.

    Whatever else this process starts meanwhile is born there too.

    Raises:
        OSError: the kernel refused.
    """
    if tree is None or not path:
        yield
        return
    enter(path)
    try:
        yield
    finally:
        enter(tree.home)


def pids(path: str) -> list[int]:
    """The living processes of a leaf, those of nested groups too; empty if the leaf is gone."""
    found: list[int] = []
    for directory in _with_descendants(path):
        with contextlib.suppress(OSError), open(f"{directory}/cgroup.procs", "rb") as file:
            found += [int(line) for line in file]
    return found


def _with_descendants(path: str) -> Iterator[str]:
    yield path
    for entry in _directories(path):
        yield from _with_descendants(entry.path)


def is_populated(path: str) -> bool:
    """Whether any process lives in the leaf or below it; a leaf that is gone is empty."""
    return _events(path).get("populated") == "1"


def is_frozen(path: str) -> bool:
    """Whether every process of the leaf stands still."""
    return _events(path).get("frozen") == "1"


def kill(path: str) -> None:
    """End every process in the leaf at once, even frozen or newly forked ones (Linux 5.14).

    Raises:
        OSError: the kernel refused; a leaf that is gone is no error.
    """
    with contextlib.suppress(FileNotFoundError):
        _write(f"{path}/cgroup.kill", b"1")


def freeze(path: str, timeout: float = 2.0) -> bool:
    """Make the leaf stand still; ``False`` if it does not within ``timeout`` seconds.

    Raises:
        OSError: the kernel refused.
    """
    return _set_frozen(path, wanted=True, timeout=timeout)


def thaw(path: str, timeout: float = 2.0) -> bool:
    """Let the leaf move again; ``False`` if it does not within ``timeout`` seconds.

    Raises:
        OSError: the kernel refused.
    """
    return _set_frozen(path, wanted=False, timeout=timeout)


def cpu_usec(path: str) -> int | None:
    """Processor time of everything that ever ran in the leaf, in microseconds."""
    return int(value) if (value := _table(f"{path}/cpu.stat").get("usage_usec")) else None


def wait_until_empty(path: str, timeout: float) -> bool:
    """Wait for the last process to end; ``False`` if one is left after ``timeout`` seconds."""
    return _await_event(path, "populated", "0", timeout)


def _set_frozen(path: str, *, wanted: bool, timeout: float) -> bool:
    value = "1" if wanted else "0"
    _write(f"{path}/cgroup.freeze", value.encode())
    return _await_event(path, "frozen", value, timeout)


def _await_event(path: str, key: str, value: str, timeout: float) -> bool:
    """The kernel signals each change of ``cgroup.events`` as POLLPRI."""
    try:
        fd = os.open(f"{path}/cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return key == "populated" and value == "0"
    deadline = time.monotonic() + timeout
    poll = select.poll()
    poll.register(fd, select.POLLPRI)
    try:
        while _parse(os.pread(fd, 4096, 0)).get(key) != value:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            poll.poll(left * 1000)
    finally:
        os.close(fd)
    return True


def _events(path: str) -> dict[str, str]:
    return _table(f"{path}/cgroup.events")


def _table(path: str) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            return _parse(file.read())
    except OSError:
        return {}


def _parse(text: bytes) -> dict[str, str]:
    pairs = (line.split() for line in text.decode("ascii").splitlines())
    return {pair[0]: pair[1] for pair in pairs if len(pair) == 2}


def _write(path: str, value: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value)
    finally:
        os.close(fd)
