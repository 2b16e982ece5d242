"""Look for an agent's program where it will be looked for, before a sandbox is built for it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from lazarus_pit.sandboxes.base import Launch

_LINKS = 8
"""Links that are followed; whoever needs more is left to be tried."""
_FIRST_LINE = 256
"""Bytes of a script that the kernel looks at for its interpreter."""


class View(NamedTuple):
    """What of the host an agent sees, and from where it looks."""

    path: Sequence[str]
    """The directories of its ``PATH``."""
    cwd: str
    """The directory in which it begins."""
    inside: Mapping[str, str] | None = None
    """All directories that it sees and where they are on the host; ``None``: the host's own."""

    def on_host(self, name: str) -> str | None:
        """Return where a file of this absolute name is on the host; ``None``: nowhere."""
        if self.inside is None:
            return name
        seen = [top for top in self.inside if name == top or name.startswith(f"{top}/")]
        if not seen:
            return None
        top = max(seen, key=len)
        return self.inside[top] + name[len(top) :]


def why_not(launch: Launch, view: View) -> str:
    """Say why a life's program, or the one that it starts in turn, cannot be executed.

    Nothing if both can, or if only trying can tell.
    """
    if not launch.argv:
        return "the command is empty"
    words = (launch.argv[0], *([launch.starts] if launch.starts else []))
    return next(filter(None, (_missing(word, view) for word in words)), "")


def find(name: str, view: View) -> str:
    """The file that a name means on the host, as a shell would look for it."""
    return next((file for file in _places(name, view) if os.access(file, os.X_OK)), name)


def _places(name: str, view: View) -> Iterator[str]:
    for directory in view.path if "/" not in name else (view.cwd,):
        yield os.path.join(directory or view.cwd, name)


def _missing(name: str, view: View, *, runs: str = "") -> str:
    """Say why a program cannot be found; ``runs`` is the script that it is to run, if one is."""
    if not name:
        return "the command is empty"
    faults = [_fault(place, name, view, runs) for place in _places(name, view)]
    if "" in faults:
        return ""
    told = [fault for fault in faults if not fault.endswith("not found")]
    if told or "/" in name:
        return (told or faults)[0]
    return f"{name}: not found on its PATH, {':'.join(view.path)}{_elsewhere(name, view)}"


def _elsewhere(name: str, view: View) -> str:
    """Say where people have a program that agents do not see."""
    there = shutil.which(name) if view.inside is not None else None
    return f"; {there} of this host is not inside the walls" if there else ""


def _fault(place: str, name: str, view: View, runs: str) -> str:
    """Say what is wrong with the file of this name inside; links are followed as they are there."""
    at = os.path.normpath(place)
    for _ in range(_LINKS):
        path = view.on_host(at)
        if path is None:
            said = f"leads to {at}, which" if at != os.path.normpath(place) else at
            return f"{name}: {said} is not inside the walls"
        try:
            found = os.lstat(path)
        except OSError as error:
            absent = error.errno in (errno.ENOENT, errno.ENOTDIR)
            return f"{name}: not found" if absent else ""
        if not stat.S_ISLNK(found.st_mode):
            return _judge(found, name) or ("" if runs else _unrunnable(path, name, view))
        try:
            at = os.path.normpath(os.path.join(os.path.dirname(at), os.readlink(path)))
        except OSError:
            return ""
    return ""


def _judge(found: os.stat_result, name: str) -> str:
    if not stat.S_ISREG(found.st_mode):
        return f"{name}: not a program"
    return "" if found.st_mode & 0o111 else f"{name}: not executable"


def _unrunnable(script: str, name: str, view: View) -> str:
    """Say why nothing can run a script; what runs its interpreter in turn is not looked at."""
    interpreter = _interpreter(script)
    fault = _missing(interpreter, view, runs=name) if interpreter else ""
    return f"{name}: a script of {fault}" if fault else ""


def _interpreter(path: str) -> str:
    """Return the program that a script is run by; empty where it is none or cannot be read.

    What an agent can write is read here: it may be replaced by anything in the meantime.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        line = os.read(fd, _FIRST_LINE).split(b"\n")[0]
    except OSError:
        return ""
    finally:
        os.close(fd)
    words = line.removeprefix(b"#!").decode(errors="replace").split()
    if not line.startswith(b"#!") or not words:
        return ""
    if os.path.basename(words[0]) != "env":
        return words[0]
    named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return named[0] if named else words[0]
