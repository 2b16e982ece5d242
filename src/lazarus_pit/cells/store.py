"""The records of one cell: the manifest, the daemon's state, what is published to the agents."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lazarus_pit.cells.files import durably, read_hostile, replace_file
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import heartbeat, manifest, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lazarus_pit.cells.layout import CellPaths
    from lazarus_pit.formats.heartbeat import Heartbeat
    from lazarus_pit.formats.manifest import Manifest
    from lazarus_pit.formats.state import State

LOCK_TIMEOUT = 5.0
_LOCK_POLL = 0.01
_LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def read_manifest(paths: CellPaths) -> Manifest:
    """Return what people want of this cell.

    Raises:
        FormatError: names the file, the field, what was found and what was expected.
        StoreError: there is no such file, or it may not be read.
    """
    data = read_hostile(paths.manifest, manifest.MAX_BYTES)
    if data is None:
        raise StoreError(f"{paths.manifest}: there is no such file")
    try:
        found = manifest.parse(data)
    except FormatError as error:
        raise FormatError(f"{paths.manifest}: {error}") from None
    if found.uuid != paths.uuid:
        raise FormatError(
            f"{paths.manifest}: uuid: found {found.uuid}, expected {paths.uuid} as in its path"
        )
    return found


def update_manifest(
    paths: CellPaths,
    change: Callable[[Manifest], Manifest],
    timeout: float = LOCK_TIMEOUT,
) -> Manifest:
    """Change what people want of this cell, one writer at a time, and return it as written.

    Args:
        paths: the cell.
        change: from the manifest as it stands to the one to be; what it raises leaves all as it is.
        timeout: seconds to wait for another writer.

    Raises:
        FormatError: the manifest cannot be read.
        StoreError: it cannot be written, or another writer did not finish in time.
    """
    with locked(paths, timeout):
        old = read_manifest(paths)
        new = change(old)
        data = manifest.encode(new)
        if data != manifest.encode(old):
            write_manifest(paths, new)
        written = manifest.parse(data)
        publish_manifest(paths, written)
    return written


def write_manifest(paths: CellPaths, wanted: Manifest) -> None:
    """Write the manifest; an environment in it may hold secrets and is for its owner alone.

    Raises:
        StoreError: it could not be written; the old one still stands.
    """
    private = any(member.env for member in wanted.agents)
    replace_file(paths.manifest, manifest.encode(wanted), mode=0o600 if private else 0o644)


@contextmanager
def locked(paths: CellPaths, timeout: float = LOCK_TIMEOUT) -> Iterator[None]:
    """Hold the cell's manifest lock; the kernel gives it back even when this process is killed.

    Raises:
        StoreError: another process held it for ``timeout`` seconds.
    """
    with durably("cannot be opened", paths.lock):
        fd = os.open(paths.lock, _LOCK, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(fd):
            if time.monotonic() >= deadline:
                raise StoreError(f"{paths.lock}: held by another program for {timeout:g} s")
            time.sleep(_LOCK_POLL)
        yield
    finally:
        os.close(fd)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def publish_manifest(paths: CellPaths, current: Manifest, to: str | None = None) -> None:
    """Show the manifest to each agent that has a place for it, or to one: a copy it cannot lock.

    Environments are left out: what one agent was given is not for the others.

    Raises:
        StoreError: a copy could not be written.
    """
    data = manifest.encode(manifest.without_env(current))
    for name in [member.name for member in current.agents] if to is None else [to]:
        copy = paths.published_manifest(name)
        if copy.parent.is_dir() and not _holds(copy, data):
            replace_file(copy, data, durable=False)


def _holds(path: Path, data: bytes) -> bool:
    """Whether a file holds just these bytes already: to read is far cheaper than to replace."""
    try:
        return read_hostile(path, len(data)) == data
    except (FormatError, StoreError):
        return False


def read_heartbeat(paths: CellPaths, agent: str) -> Heartbeat | None:
    """Return the beat that a sandboxed agent has written, ``None`` if there is none.

    Raises:
        FormatError: hostile or broken; it counts as no beat.
        StoreError: it could not be read; that says nothing about the agent.
    """
    data = read_hostile(paths.beat(agent), heartbeat.MAX_BYTES, sole=True)
    return None if data is None else heartbeat.parse(data)


def publish_heartbeat(paths: CellPaths, agent: str, beat: Heartbeat) -> None:
    """Show a sandboxed agent's beat where everyone looks for it (contract 1.2, 1.7).

    Raises:
        StoreError: it could not be written.
    """
    replace_file(paths.heartbeat(agent), heartbeat.encode(beat), durable=False)


def read_state(paths: CellPaths) -> State | None:
    """Return what the daemon believed last about this cell, ``None`` if it never said.

    Raises:
        FormatError: the file is broken; names it.
        StoreError: it may not be read.
    """
    data = read_hostile(paths.state, state.MAX_BYTES)
    if data is None:
        return None
    try:
        return state.parse(data)
    except FormatError as error:
        raise FormatError(f"{paths.state}: {error}") from None


def write_state(paths: CellPaths, believed: State, *, durable: bool = True) -> None:
    """Write what the daemon believes about this cell; the daemon alone may.

    Raises:
        StoreError: it could not be written; the old one still stands.
    """
    replace_file(paths.state, state.encode(believed), durable=durable)
