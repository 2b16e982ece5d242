"""What people open to an agent beyond its walls: read from flags, and shown wherever it counts."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from lazarus_pit.cli import say
from lazarus_pit.errors import FormatError, UsageError
from lazarus_pit.formats.isolation import Openings, check_credential, check_opening

Several = Parameter(negative="")
ReadOnly = Annotated[
    tuple[Path, ...], Several, Parameter(help="PATH of this host that it may read.")
]
Writable = Annotated[
    tuple[Path, ...], Several, Parameter(help="PATH outside the cell that it may write.")
]
HomePiece = Annotated[
    tuple[str, ...], Several, Parameter(help="~/NAME of your home, to read in its own.")
]
EnvFrom = Annotated[
    tuple[str, ...], Several, Parameter(help="NAME of a variable of the daemon's environment.")
]
Credential = Annotated[
    tuple[str, ...], Several, Parameter(help="NAME=FILE, to read in /mission/.credentials.")
]


def isolation_of(
    ro: Sequence[Path],
    rw: Sequence[Path],
    home_ro: Sequence[str],
    env_from: Sequence[str],
    credential: Sequence[str],
) -> dict[str, Any]:
    """Return the flags as ``cell.json`` has them: paths found, and without links on the way.

    Raises:
        UsageError: names the flag, what was found and what was expected.
    """
    given: dict[str, tuple[str, Any]] = {
        "ro": ("--ro", tuple(_found("--ro", path) for path in ro)),
        "rw": ("--rw", tuple(_found("--rw", path) for path in rw)),
        "home_ro": ("--home-ro", tuple(_of_home(path) for path in home_ro)),
        "env": ("--env-from", tuple(env_from)),
        "credentials": ("--credential", dict(_credential(words) for words in credential)),
    }
    for name, (flag, value) in given.items():
        try:
            check_opening(name, value)
        except FormatError as error:
            raise UsageError(f"{flag}: {str(error).removeprefix(f'{name}: ')}") from None
    return {name: value for name, (_, value) in given.items() if value}


def warn(agent: str, paths: Iterable[str]) -> None:
    """Say of each path outside the cell that no walls hold there."""
    for path in paths:
        say.complain(f"WARNING: {agent} can write outside its cell: {say.clean(path)}")


def homes_of(names: Iterable[str], root: Path) -> tuple[list[str], list[str]]:
    """Return the homes of this machine's users among these names, and why not the others'.

    A home that holds the cells themselves cannot be opened.
    """
    homes, missing = [], []
    for name in names:
        home = ""
        with suppress(KeyError):
            home = os.path.realpath(pwd.getpwnam(name).pw_dir)
        try:
            check_opening("ro", (home,))
        except FormatError:
            missing.append(f"@{name}: no user of this machine with a home")
            continue
        if not os.path.isdir(home):
            missing.append(f"@{name}: {home} is not there")
        elif Path(os.path.realpath(root)).is_relative_to(home):
            missing.append(f"@{name}: {home} holds the cells themselves")
        else:
            homes.append(home)
    return homes, missing


def lines(openings: Openings) -> list[str]:
    """Say what is open, one kind a line; nothing of what is closed."""
    said = {
        "reads": openings.ro,
        "WRITES OUTSIDE": openings.rw,
        "reads of home": openings.home_ro,
        "variables": openings.env,
        "credentials": [f"{name} ({path})" for name, path in openings.credentials.items()],
    }
    return [f"{what}: {say.clean(', '.join(found))}" for what, found in said.items() if found]


def _found(flag: str, path: Path) -> str:
    real = os.path.realpath(path)
    if not os.path.lexists(real):
        raise UsageError(f"{flag}: {say.clean(path)}: there is no such file or directory")
    return real


def _of_home(path: str) -> str:
    """Read ``~/NAME`` also where a shell has put the home in the place of ``~``."""
    home = f"{Path.home()}/"
    return f"~/{path.removeprefix(home)}" if path.startswith(home) else path


def _credential(words: str) -> tuple[str, str]:
    name, equals, path = words.partition("=")
    if not equals or not path:
        raise UsageError(f"--credential: found {say.clean(name, 80)!r}, expected NAME=FILE")
    file = _found("--credential", Path(path).expanduser())
    if not os.path.isfile(file):
        raise UsageError(f"--credential: {say.clean(path)}: expected a file")
    try:
        check_credential(name, file)
    except FormatError as error:
        raise UsageError(f"--credential: {error}") from None
    return name, file
