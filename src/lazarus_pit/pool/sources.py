"""Where the configuration comes from: the first file of four that can be read (contract 3.2)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.cells.files import read_hostile
from lazarus_pit.errors import ConfigError, FormatError, StoreError
from lazarus_pit.formats import channel_settings, forge_settings, pool_config, text
from lazarus_pit.formats.pool_config import PoolConfig

SYSTEM = Path("/etc/nexus/resurrection_pool.json")
_OVERRIDES: Mapping[str, str] = {
    "GITEA_URL": "url",
    "GITEA_TOKEN": "token",
    "NEXUS_REPO": "repo",
}
"""Variables that win over the file, beside those of the channels, and their keys of ``gitea``."""
_SECRETS = frozenset({"GITEA_TOKEN", "TELEGRAM_BOT_TOKEN", "NOSTR_SECRET_KEY"})
"""Variables with which a program could answer in our name, or people's."""


class Found(NamedTuple):
    """The configuration, where it came from, and what people should be warned of."""

    config: PoolConfig
    path: Path | None
    warnings: list[str]
    root: Path | None = None
    """The root that it names: the daemon's TOML does."""


def find(flag: Path | None, environ: Mapping[str, str], system: Path = SYSTEM) -> Found:
    """Return the first configuration that can be read; where there is none, no gateways.

    A flag that names a ``.toml`` means the daemon's configuration, and ``[pool]`` in it. A file
    that was named and is not there, or that nobody can read as JSON, is warned of.

    Raises:
        ConfigError: it can be read, and says what it may not.
    """
    warnings: list[str] = []
    if flag is not None and flag.suffix == ".toml":
        return _of_daemon(flag, environ)
    named = environ.get("RESURRECTION_CONFIG")
    home = Path(os.path.expanduser("~")) / ".nexus" / "resurrection_pool.json"
    candidates = [(flag, True), (Path(named) if named else None, True), (home, False)]
    for path, wanted in [*candidates, (system, False)]:
        if path is None:
            continue
        found = _object(path, warnings, wanted=wanted)
        if found is not None:
            return Found(_overridden(_parsed(path, found, warnings), environ), path, warnings)
    warnings.append("no configuration was found: there are no gateways")
    return Found(_overridden(PoolConfig(), environ), None, warnings)


def handed_on(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the programs find that a pool runs: its own environment without its secrets."""
    return {name: value for name, value in environ.items() if name not in _SECRETS}


def _of_daemon(path: Path, environ: Mapping[str, str]) -> Found:
    from lazarus_pit import config  # noqa: PLC0415 - a pool with a file of its own needs none of it

    found = config.load(path, environ)
    warnings = list(found.warnings)
    if not found.found:
        warnings.append(f"{path}: there is no such file: there are no gateways")
    return Found(_overridden(found.far, environ), path, warnings, found.root)


def _object(path: Path, warnings: list[str], *, wanted: bool) -> dict[str, Any] | None:
    try:  # A configuration may well be a link, to a real file.
        data = read_hostile(Path(os.path.realpath(path)), pool_config.MAX_BYTES)
        if data is not None:
            return text.decode_object(data, str(path))
        if wanted:
            warnings.append(f"{path}: there is no such file; the next place is tried")
    except (FormatError, StoreError, ValueError) as error:
        warnings.append(f"{text.one_line(str(error))}; the next place is tried")
    return None


def _parsed(path: Path, found: Mapping[str, Any], warnings: list[str]) -> PoolConfig:
    try:
        config, said = pool_config.from_object(found)
    except FormatError as error:
        raise ConfigError(f"{path}: {error}") from None
    warnings.extend(f"{path}: {one}" for one in said)
    return config


def _overridden(config: PoolConfig, environ: Mapping[str, str]) -> PoolConfig:
    tables: dict[str, Struct] = {}
    try:
        for variable, name in _OVERRIDES.items():
            if value := environ.get(variable):
                found = {name: _checked(variable, name, value)}
                tables["gitea"] = replace(tables.get("gitea", config.gitea), **found)
        for name in channel_settings.TABLES:
            tables[name] = channel_settings.overridden(getattr(config, name), name, environ)
    except FormatError as error:
        raise ConfigError(str(error)) from None
    return replace(config, **tables)


def _checked(variable: str, name: str, value: str) -> str:
    try:
        return str(forge_settings.check(name, value, shape=False))
    except FormatError as error:
        raise FormatError(f"{variable}: {error}") from None
