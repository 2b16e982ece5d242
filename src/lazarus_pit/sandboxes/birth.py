"""What every life needs at its beginning, whatever walls it gets: a leaf, a log, a status file."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lazarus_pit.core.model import Life
from lazarus_pit.errors import SpawnError
from lazarus_pit.linux import cgroup, procfs, spawn
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.linux.spawn import Step
from lazarus_pit.sandboxes import limits, status
from lazarus_pit.sandboxes.base import Launch


class Bed(NamedTuple):
    """Made ready for one life; its descriptors are closed when the birth is over."""

    leaf: str
    standard: tuple[int, int, int]
    status: int
    steps: list[Step]
    """By which the child binds itself, as far as it must do so itself."""


@contextlib.contextmanager
def prepared(launch: Launch, tree: Tree | None) -> Iterator[Bed]:
    """Make everything ready, and take the leaf away again if no life comes of it.

    Raises:
        SpawnError: it could not be made ready, or whatever is done with it failed with an
            ``OSError``.
    """
    leaf = ""
    fds: list[int] = []
    try:
        if tree is not None:
            leaf = cgroup.make_leaf(tree, launch.uuid, launch.agent, launch.generation)
        bound = limits.steps(launch, tree, limits.groups(tree, launch))
        fds.append(status.create(launch.status_file))
        standard = launch.standard
        if standard is None:
            fds += [os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC), _output(launch)]
            standard = (fds[1], fds[2], fds[2])
        yield Bed(leaf, standard, fds[0], bound)
    except BaseException as error:
        if leaf:
            cgroup.remove_leaf(leaf)
            limits.forget(leaf, tree)
        if isinstance(error, OSError):
            raise SpawnError(f"{launch.key}: {error}") from error
        raise
    finally:
        for fd in fds:
            os.close(fd)


def _output(launch: Launch) -> int:
    """Where the agent prints: a pipe that the pump empties, else straight into the log.

    The pipe is opened for reading too, so that whoever prints never meets a broken one: while no
    pump is there it waits.
    """
    if not launch.log_pipe:
        return spawn.open_log(launch.log_file)
    with contextlib.suppress(FileExistsError):
        os.mkfifo(launch.log_pipe, 0o600)
    fd = os.open(launch.log_pipe, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(22, "not a pipe", launch.log_pipe)
    os.set_blocking(fd, True)
    return fd


def direct_child(launch: Launch, tree: Tree | None, start: Callable[[Bed], int]) -> Life:
    """Begin a life without a monitor; the status file says who it is, for a later daemon.

    Raises:
        SpawnError: it could not be begun.
    """
    with prepared(launch, tree) as bed:
        os.write(bed.status, status.identity_line(0, 0))
        born = life(start(bed), bed.leaf, "")
        os.write(bed.status, status.identity_line(born.pid, born.start_time))
        return born


def leaf_name(tree: Tree | None, launch: Launch) -> str:
    """The leaf that a launch will get; empty where there is no tree."""
    return cgroup.leaf_path(tree, launch.uuid, launch.agent, launch.generation) if tree else ""


def life(pid: int, leaf: str, status_file: str) -> Life:
    """The identity of a child that has just been born and was not collected yet."""
    started = procfs.start_time(pid)
    if started is None:
        raise ProcessLookupError(3, f"process {pid} was collected by somebody else")
    return Life(
        boot_id=procfs.boot_id(),
        pid=pid,
        start_time=started,
        cgroup=leaf,
        status_file=status_file,
    )


def in_memory(keeper: contextlib.ExitStack, content: bytes) -> int:
    """A file that exists only in memory, to be read from its beginning, until it is let go."""
    fd = os.memfd_create("lazarus", os.MFD_CLOEXEC)
    keeper.callback(os.close, fd)
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
