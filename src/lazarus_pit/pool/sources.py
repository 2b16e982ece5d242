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
from lazarus_pit.formats import channel_settings, pool_config, text
from lazarus_pit.formats.pool_config import PoolConfig

SYSTEM = Path("/etc/nexus/resurrection_pool.json")
_OVERRIDES: Mapping[str, tuple[str, str]] = {
    "GITEA_URL": ("gitea", "url"),
    "GITEA_TOKEN": ("gitea", "token"),
    "NEXUS_REPO": ("gitea", "repo"),
}
"""Variables that win over the file, beside those of the channels, and what they set."""


class Found(NamedTuple):
    """The configuration, where it came from, and what people should be warned of."""

    config: PoolConfig
    path: Path | None
    warnings: list[str]


def find(flag: Path | None, environ: Mapping[str, str], system: Path = SYSTEM) -> Found:
    """Return the first configuration that can be read; where there is none, no gateways.

    A file that was named and is not there, or that nobody can read as JSON, is warned of.

    Raises:
        ConfigError: it can be read, and says what it may not.
    """
    warnings: list[str] = []
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
    for variable, (table, name) in _OVERRIDES.items():
        if value := environ.get(variable):
            tables[table] = replace(tables.get(table, getattr(config, table)), **{name: value})
    try:
        for name in channel_settings.TABLES:
            tables[name] = channel_settings.overridden(getattr(config, name), name, environ)
    except FormatError as error:
        raise ConfigError(str(error)) from None
    return replace(config, **tables)
