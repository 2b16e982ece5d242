"""What ``isolation`` names, found on this host: each path looked at before anything is mounted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from lazarus_pit.config import Config
from lazarus_pit.errors import SpawnError
from lazarus_pit.formats.isolation import Openings
from lazarus_pit.sandboxes.base import Launch
from lazarus_pit.sandboxes.choose import scratch_directory


def open_up(
    launch: Launch,
    openings: Openings,
    config: Config,
    environ: Mapping[str, str] = os.environ,
) -> Launch:
    """Return the launch with everything that is opened to it.

    Args:
        launch: one life, closed as yet.
        openings: what configuration, cell and member name together.
        config: says where the cells and the daemon's own files are.
        environ: the daemon's environment, of which ``env`` names variables.

    Raises:
        SpawnError: something named is not there, is a link, or is the pit's own.
    """
    fence = Fence(launch.key, config, openings.rw)
    home = Path.home()
    own = [(name.removeprefix("~/"), home / name.removeprefix("~/")) for name in openings.home_ro]
    return replace(
        launch,
        env={**_variables(launch.key, openings, environ), **launch.env},
        read_only=tuple(fence.pass_path("ro", path) for path in openings.ro),
        read_write=tuple(fence.pass_path("rw", path) for path in openings.rw),
        home_read_only=tuple(
            (name, fence.pass_path("home_ro", os.path.realpath(path))) for name, path in own
        ),
        credentials=tuple(
            (name, fence.pass_path("credentials", path))
            for name, path in openings.credentials.items()
        ),
    )


def _variables(key: str, openings: Openings, environ: Mapping[str, str]) -> dict[str, str]:
    missing = [name for name in openings.env if name not in environ]
    if missing:
        raise SpawnError(
            f"{key}: isolation.env: the daemon's environment has no {', '.join(missing)}; "
            "set it and start the daemon again",
            fatal=True,
        )
    return {name: environ[name] for name in openings.env}


class Fence:
    """What of the host can never be opened: the cells, and the daemon's own files."""

    def __init__(self, key: str, config: Config, writable: tuple[str, ...]) -> None:
        """Guard the pit of this configuration; ``writable`` is what the agent may write."""
        self._key = key
        self._writable = writable
        own_files = (config.pid_file, config.log_file, config.path)
        self._places = [os.path.realpath(path) for path in (config.root, scratch_directory())]
        self._files = [os.path.realpath(path) for path in own_files if path is not None]

    def pass_path(self, what: str, path: str) -> str:
        """Return the path if it may be opened.

        Raises:
            SpawnError: says why it may not.
        """
        reason = next(self._reasons(what, path), "")
        if reason:
            at = f"{self._key}: isolation.{what}: {path}"
            raise SpawnError(f"{at} {reason}", fatal=not reason.startswith("is not there"))
        return path

    def _reasons(self, what: str, path: str) -> Iterator[str]:
        real = os.path.realpath(path)
        if real != path:
            yield f"is reached through a link: name {real} itself"
        if not os.path.lexists(path):
            yield "is not there"
        for place in self._places:
            if _is_below(path, place) or (what != "credentials" and _is_below(place, path)):
                yield f"meets the pit's own {place}: no agent sees that"
        for file in self._files:
            if path == file or (what == "rw" and _is_below(file, path)):
                yield f"meets the pit's own {file}: no agent gets that"
        for top in self._writable:
            if path != top and _is_below(path, top):
                yield f"lies below {top}, where the agent can put anything in its place"


def _is_below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top.rstrip('/')}/")
