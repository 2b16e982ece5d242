"""Look for an agent's program where it will be looked for, before a sandbox is built for it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence


def why_not(argv: Sequence[str], path: Sequence[str], inside: Mapping[str, str], cwd: str) -> str:
    """Say why a program cannot be executed; nothing if it can, or if only trying can tell.

    Args:
        argv: the program and its arguments.
        path: the directories of ``PATH``.
        inside: directories of the sandbox and where they are on the host; others are as there.
        cwd: the directory in which the agent begins.
    """
    if not argv or not argv[0]:
        return "the command is empty"
    name = argv[0]
    if "/" in name:
        return _fault(_outside(os.path.join(cwd, name), inside), name)
    faults = [_fault(_outside(f"{directory}/{name}", inside), name) for directory in path]
    if "" in faults:
        return ""
    denied = [fault for fault in faults if not fault.endswith("not found")]
    return denied[0] if denied else f"{name}: not found in {':'.join(path)}"


def find(name: str, path: Sequence[str], cwd: str) -> str:
    """The file that a name means on the host, as a shell would look for it."""
    if "/" in name:
        return os.path.join(cwd, name)
    found = (f"{directory}/{name}" for directory in path)
    return next((file for file in found if os.access(file, os.X_OK)), name)


def _outside(name: str, inside: Mapping[str, str]) -> str:
    for directory, host in inside.items():
        if name == directory or name.startswith(f"{directory}/"):
            return host + name[len(directory) :]
    return name


def _fault(path: str, name: str) -> str:
    """A link is not followed here: it means something else inside."""
    try:
        found = os.lstat(path)
    except OSError as error:
        absent = error.errno in (errno.ENOENT, errno.ENOTDIR)
        return f"{name}: not found" if absent else ""
    if stat.S_ISLNK(found.st_mode):
        return ""
    if not stat.S_ISREG(found.st_mode):
        return f"{name}: not a program"
    return "" if found.st_mode & 0o111 else f"{name}: not executable"
