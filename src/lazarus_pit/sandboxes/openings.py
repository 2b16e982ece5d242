"""What a launch lets through on purpose: credentials, and pieces of the operator's home.

A credential is read anew for each life and handed over in memory: inside it is a file that the
agent alone can read and nobody can change, and in the cell there is never a copy of it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence

from lazarus_pit.errors import SpawnError
from lazarus_pit.sandboxes.base import Launch

LIMIT = 64 * 1024
"""Bytes of one credential at most; a key or a token is far less."""
_TOO_OPEN = stat.S_IWGRP | stat.S_IWOTH | stat.S_IROTH


def arguments(launch: Launch, directory: str, first: int) -> list[str]:
    """Bubblewrap's words for the credentials, whose contents wait at descriptors from ``first``."""
    words = ["--perms", "0700", "--dir", directory] if launch.credentials else []
    for number, (name, _) in enumerate(launch.credentials, first):
        words += ["--perms", "0400", "--file", str(number), f"{directory}/{name}"]
    return words


def read_credentials(launch: Launch) -> list[bytes]:
    """Return what the launch's credentials say at this moment.

    Raises:
        SpawnError: one is missing, no plain file, too large, or open to others.
    """
    return [_read(launch, name, path) for name, path in launch.credentials]


def _read(launch: Launch, name: str, path: str) -> bytes:
    at = f"{launch.key}: credential {name}: {path}"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SpawnError(f"{at}: {error.strerror}") from None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise SpawnError(f"{at}: expected a plain file", fatal=True)
        if found.st_mode & _TOO_OPEN:
            mode = f"{stat.S_IMODE(found.st_mode):04o}"
            raise SpawnError(
                f"{at}: found mode {mode}, expected a file that others can neither read nor "
                "write, as after chmod 600",
                fatal=True,
            )
        content = os.read(fd, LIMIT + 1)
    except OSError as error:
        raise SpawnError(f"{at}: {error.strerror}") from None
    finally:
        os.close(fd)
    if len(content) > LIMIT:
        raise SpawnError(f"{at}: larger than {LIMIT} bytes", fatal=True)
    return content


def check_home(launch: Launch) -> None:
    """Pass a home in which nothing leads astray where a piece of the operator's is to appear.

    An agent's earlier life may have left a link there, and bubblewrap would make what is missing
    at its end.

    Raises:
        SpawnError: fatal; names the place.
    """
    for name, _ in launch.home_read_only:
        parts = name.split("/")
        for length in range(1, len(parts) + 1):
            way = "/".join(parts[:length])
            if _is_astray(f"{launch.home}/{way}", last=length == len(parts)):
                raise SpawnError(
                    f"{launch.key}: home_ro ~/{name}: in the agent's home {way} is a link or no "
                    "directory; remove it",
                    fatal=True,
                )


def _is_astray(path: str, *, last: bool) -> bool:
    """The agent does not run yet, and nobody else sees its home: nothing changes meanwhile."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    return not (stat.S_ISDIR(mode) or (last and stat.S_ISREG(mode)))


def refuse_without_mounts(launch: Launch, sandbox: str) -> None:
    """Refuse what only a file system of the agent's own can show it.

    Raises:
        SpawnError: fatal.
    """
    wanted: Sequence[str] = [
        *(["home_ro"] if launch.home_read_only else []),
        *(["credentials"] if launch.credentials else []),
    ]
    if wanted:
        raise SpawnError(
            f"{launch.key}: isolation: {' and '.join(wanted)} need a file system of the agent's "
            f"own, and sandbox {sandbox} has none: install bubblewrap",
            fatal=True,
        )
