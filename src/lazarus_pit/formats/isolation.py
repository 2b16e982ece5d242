"""``isolation``: what a cell or a member gets beyond its walls, each thing by its name.

Secrets are named, never held: ``env`` says which variables of the daemon's own environment an
agent gets, ``credentials`` which files it can read. Neither value is ever in ``cell.json``.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text


class Openings(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is let through. Nothing named is the strictest."""

    ro: tuple[str, ...] = ()
    """Paths of the host to read, at the same place inside."""
    rw: tuple[str, ...] = ()
    """Paths of the host to write: outside the cell, so people are warned of each."""
    home_ro: tuple[str, ...] = ()
    """Paths of the operator's home (``~/.gitconfig``) to read in the agent's own."""
    env: tuple[str, ...] = ()
    """Variables of the daemon's environment."""
    credentials: dict[str, str] = {}
    """A name, and the file whose content is found under it in ``/mission/.credentials``."""


OPENINGS = tuple(info.name for info in fields(Openings))
IN_CONFIGURATION = ("ro", "home_ro", "env")
"""What the configuration may open for every agent; the rest is a cell's or a member's alone."""

_OURS = ("/proc", "/sys", "/dev", "/etc", "/mission", "/lazarus")
"""What an agent has of its own, and nothing of the host's can be put over."""
_OWN_VARIABLES = ("HOME", "NOTIFY_SOCKET")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")
_CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}\Z")
_LONGEST = 4000
_MOST = 100


def check_path(path: str) -> str:
    """Return an absolute path of the host that can appear inside.

    Raises:
        FormatError: it is none, in its shortest form, or would cover what is the agent's own.
    """
    _check_plain(path)
    expected = "an absolute path in its shortest form, below /"
    if path == "/" or not _is_shortest(path):
        raise FormatError(f"found {text.shown(path)}, expected {expected}")
    own = next((top for top in _OURS if path == top or path.startswith(f"{top}/")), "")
    if own:
        raise FormatError(f"found {text.shown(path)}, but an agent has {own} of its own")
    return path


def check_home_path(path: str) -> str:
    """Return a path below the operator's home, as in ``~/.gitconfig``.

    Raises:
        FormatError: it is none.
    """
    _check_plain(path)
    if path == "~/" or not path.startswith("~/") or not _is_shortest(path[1:]):
        raise FormatError(f"found {text.shown(path)}, expected ~/NAME in its shortest form")
    return path


def check_variable(name: str) -> str:
    """Return the name of a variable that the daemon may pass on.

    Raises:
        FormatError: it is no name, or one that the pit itself sets.
    """
    if not _VARIABLE.match(name):
        raise FormatError(f"found {text.shown(name)}, expected the name of a variable, no value")
    if name in _OWN_VARIABLES or name.startswith("LAZARUS_"):
        raise FormatError(f"found {name}, which the pit itself sets for each agent")
    return name


def check_credential(name: str, path: str) -> None:
    """Pass a credential: a plain name, and an absolute path of a file.

    Raises:
        FormatError: the name could not be a file's, or the path is not absolute.
    """
    if not _CREDENTIAL.match(name):
        raise FormatError(
            f"found the name {text.shown(name)}, expected 1 to 64 letters, digits, . _ -"
        )
    _check_plain(path)
    if not _is_shortest(path):
        raise FormatError(
            f"{name}: found {text.shown(path)}, expected the absolute path of a file, "
            "in its shortest form; never the secret itself"
        )


def _is_shortest(path: str) -> bool:
    """Whether a path is absolute and says nothing twice; POSIX keeps two slashes in front."""
    plain = posixpath.normpath(path) == path
    return path.startswith("/") and not path.startswith("//") and plain


def _check_plain(path: str) -> None:
    if "\0" in path or len(path) > _LONGEST:
        raise FormatError("holds a zero byte, or is too long for a path")


_EACH: Mapping[str, Callable[[str], str]] = {
    "ro": check_path,
    "rw": check_path,
    "home_ro": check_home_path,
    "env": check_variable,
}


def check_opening(name: str, value: object) -> Any:
    """Return one entry of ``isolation``, converted.

    Raises:
        FormatError: no such entry, or not what it must be; names what was expected.
    """
    if name not in OPENINGS:
        known = ", ".join(OPENINGS)
        raise FormatError(f"{text.one_line(name, 60)}: no such entry, expected one of {known}")
    kind = dict[str, str] if name == "credentials" else tuple[str, ...]
    expected = "an object of names and paths" if name == "credentials" else "a list of texts"
    found: Any = text.field(value, kind, name, expected)
    if len(found) > _MOST:
        raise FormatError(f"{name}: found {len(found)} entries, expected {_MOST} at most")
    try:
        if name == "credentials":
            for credential, path in found.items():
                check_credential(credential, path)
        else:
            for one in found:
                _EACH[name](one)
    except FormatError as error:
        raise FormatError(f"{name}: {error}") from None
    return found


def check_isolation(layer: Mapping[str, Any]) -> Openings:
    """Return a layer of openings, every one right.

    Raises:
        FormatError: one is not; names it.
    """
    return Openings(**{name: check_opening(name, value) for name, value in layer.items()})


def merged(*layers: Openings) -> Openings:
    """Return what all layers open together; of two credentials of one name the last is meant."""
    lists = {
        name: tuple(dict.fromkeys(one for layer in layers for one in getattr(layer, name)))
        for name in OPENINGS
        if name != "credentials"
    }
    together: dict[str, str] = {}
    for layer in layers:
        together |= layer.credentials
    return Openings(**lists, credentials=together)


def words(openings: Openings) -> dict[str, list[str]]:
    """Return what is open, by entry, in words fit for people; nothing of what is closed."""
    shown = {name: list(getattr(openings, name)) for name in OPENINGS if name != "credentials"}
    shown["credentials"] = [f"{name}={path}" for name, path in openings.credentials.items()]
    return {name: found for name, found in shown.items() if found}
