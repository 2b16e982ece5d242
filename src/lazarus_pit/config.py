"""``lazarus-pit.toml``: every setting, its default, and what may be wrong with it (contract 2.2).

config/lazarus-pit.toml documents each of them at its default.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from msgspec import Struct
from msgspec.structs import fields, replace

from lazarus_pit.cells import layout
from lazarus_pit.cells.files import read_hostile
from lazarus_pit.cells.provision import AGENT_ID, Owner, agent_owner
from lazarus_pit.core.model import FleetRules, Rules
from lazarus_pit.errors import ConfigError, FormatError, StoreError
from lazarus_pit.formats import channel_settings, forge_settings, pool_config, rules, text
from lazarus_pit.formats.channel_settings import Apprise, Channels, Nostr, Telegram
from lazarus_pit.formats.forge_settings import Gitea, Notifications
from lazarus_pit.formats.isolation import IN_CONFIGURATION, Openings, check_opening
from lazarus_pit.formats.limits import Limits, check_limit
from lazarus_pit.formats.pool_config import Pool, PoolConfig

DEFAULT_PATH = Path("config/lazarus-pit.toml")
_MAX_BYTES = 1024 * 1024

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


class Daemon(Struct, frozen=True, kw_only=True):
    """``[daemon]``."""

    pid_file: str = ""
    """Empty: the default of this user, ``layout.default_pid_file``."""
    log_file: str = ""
    """``-`` is stdout. Empty: the default of this user, ``layout.default_log_file``."""
    log_level: Level = "INFO"


class Cells(Struct, frozen=True, kw_only=True):
    """``[cells]``; times in seconds."""

    root: str = ""
    """Empty: the default of this user, ``layout.default_root``."""
    heartbeat_stale_threshold: float = Rules().heartbeat_stale_threshold
    resurrect_after: float = Rules().resurrect_after
    max_revive_attempts: int = Rules().max_revive_attempts
    poll_interval: float = 15.0
    """How often everything is looked at anew, whatever was noticed as it happened."""
    graves_kept: int = 20
    """Destroyed cells of which the last checkpoint stays in the graveyard."""


class Gateway(Struct, frozen=True, kw_only=True):
    """``[gateway]``: where the Nexus gateway is, and where it says how it is."""

    enabled: bool = True
    """Whether ``lazarus up`` runs one there."""
    host: str = "localhost"
    port: int = 8765
    health_host: str = "localhost"
    health_port: int = 8766
    events: bool = True
    """Whether the page's process says there what happens in the pit."""


class Web(Struct, frozen=True, kw_only=True):
    """``[web]``: the HTTP API and the page."""

    enabled: bool = True
    """Whether ``lazarus up`` serves them."""
    host: str = "127.0.0.1"
    """A loopback address: there is no TLS."""
    port: int = 8767


class Isolation(Struct, frozen=True, kw_only=True):
    """``[isolation]``: whom agents run as under a root daemon, and what all of them get."""

    uid: int = AGENT_ID
    gid: int = AGENT_ID
    users: int = 1
    """How many users from ``uid`` on, and groups from ``gid`` on, the cells have among them."""
    ro: tuple[str, ...] = ()
    home_ro: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    """These three as in ``formats.isolation``, for every agent of every cell."""

    @property
    def openings(self) -> Openings:
        """What is open to everybody."""
        return Openings(ro=self.ro, home_ro=self.home_ro, env=self.env)


class Config(Struct, frozen=True, kw_only=True):
    """The whole configuration, checked."""

    path: Path
    found: bool
    """Whether there was a file; without one all is at its default."""
    daemon: Daemon
    cells: Cells
    gateway: Gateway
    web: Web
    gitea: Gitea
    notifications: Notifications
    telegram: Telegram
    nostr: Nostr
    apprise: Apprise
    pool: Pool
    """Gateways outside the cells; one daemon watches both."""
    warnings: tuple[str, ...]
    """What people should be told of it."""
    isolation: Isolation
    rules: Rules
    """What every agent lives by, unless its cell or its own entry says otherwise."""
    fleet: FleetRules
    limits: Limits
    """How much every agent may take, and every cell of its disk."""

    @property
    def root(self) -> Path:
        """Where the cells are."""
        given = self.cells.root
        return Path(given).expanduser().absolute() if given else layout.default_root()

    @property
    def owner(self) -> Owner:
        """Whom agents run as: the configured user under root, else the present one."""
        return agent_owner(self.isolation.uid, self.isolation.gid, self.isolation.users)

    @property
    def channels(self) -> Channels:
        """The ways to people."""
        return Channels(telegram=self.telegram, nostr=self.nostr, apprise=self.apprise)

    @property
    def far(self) -> PoolConfig:
        """What ``resurrection-pool`` lives by where it is configured here."""
        ways = {name: getattr(self, name) for name in channel_settings.TABLES}
        told = {"gitea": self.gitea, "notifications": self.notifications}
        return pool_config.with_ways(self.pool, **ways, **told)

    @property
    def reaches_people(self) -> bool:
        """Whether there is anywhere to ask or to tell people."""
        return bool(self.channels.configured) or not self.gitea.missing

    @property
    def poll_interval(self) -> float:
        """Seconds between two looks at everything."""
        return self.cells.poll_interval

    @property
    def pid_file(self) -> Path:
        """Where the daemon writes its process id."""
        given = self.daemon.pid_file
        return Path(given).expanduser() if given else layout.default_pid_file()

    @property
    def log_file(self) -> Path | None:
        """Where the daemon logs; ``None`` is stdout."""
        if self.daemon.log_file == "-":
            return None
        given = self.daemon.log_file
        return Path(given).expanduser() if given else layout.default_log_file()


SECTIONS: Mapping[str, type[Struct]] = {
    "daemon": Daemon,
    "cells": Cells,
    "gateway": Gateway,
    "web": Web,
    "gitea": Gitea,
    "notifications": Notifications,
    **channel_settings.TABLES,
    "pool": Pool,
    "rules": Rules,
    "fleet": FleetRules,
    "isolation": Isolation,
    "limits": Limits,
}
IN_CELLS = ("heartbeat_stale_threshold", "resurrect_after", "max_revive_attempts")
"""Rules whose place in the file is ``[cells]``, where the contract has them."""

_BOUNDS: Mapping[tuple[str, str], tuple[float, float]] = {
    ("cells", "poll_interval"): (0.01, 86_400),
    ("gateway", "port"): (0, 65_535),
    ("gateway", "health_port"): (0, 65_535),
    ("web", "port"): (0, 65_535),
    ("isolation", "uid"): (1, 2**32 - 2),
    ("isolation", "gid"): (1, 2**32 - 2),
    ("isolation", "users"): (1, 10_000),
    ("fleet", "start_slot"): (0.001, rules.LONGEST),
    ("fleet", "storm_window"): (0.001, rules.LONGEST),
}


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the configuration; a file that does not exist means defaults.

    Args:
        path: the file; ``None`` is ``config/lazarus-pit.toml`` below the working directory.
        environ: where ``GITEA_TOKEN`` and the secrets of channels may stand.

    Raises:
        ConfigError: names the file, the line or key, what was found and what was expected.
    """
    path = DEFAULT_PATH if path is None else path
    try:  # A configuration may well be a link, to a real file.
        data = read_hostile(Path(os.path.realpath(path)), _MAX_BYTES)
    except (FormatError, StoreError, ValueError) as error:
        raise ConfigError(text.one_line(str(error))) from None
    config = parse(data or b"", path)
    token = environ.get("GITEA_TOKEN")
    gitea = replace(config.gitea, token=token) if token else config.gitea
    try:
        tables = {
            name: channel_settings.overridden(getattr(config, name), name, environ)
            for name in channel_settings.TABLES
        }
    except FormatError as error:
        raise ConfigError(str(error)) from None
    return replace(config, gitea=gitea, found=data is not None, **tables)


def parse(data: bytes, path: Path) -> Config:
    """Return the configuration in these bytes.

    Raises:
        ConfigError: names the file, the line or key, what was found and what was expected.
    """
    try:
        source = data.decode()
        found = tomllib.loads(source)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {text.one_line(str(error))}") from None
    known = {name: [info.name for info in fields(struct)] for name, struct in SECTIONS.items()}
    known["rules"] = [name for name in known["rules"] if name not in IN_CELLS]
    for name, table in found.items():
        _check_section(name, table, known, Place(path, source, name))
    pool, warnings = _pool(found.get("pool", {}), Place(path, source, "pool"))
    values = {
        name: _section(name, found.get(name, {}), Place(path, source, name))
        for name in SECTIONS
        if name != "pool"
    }
    values["rules"] |= {name: values["cells"][name] for name in IN_CELLS if name in values["cells"]}
    # Starts in flight cost processor time; a machine knows best how many it can bear.
    if not values["fleet"].get("starts_in_flight"):
        values["fleet"]["starts_in_flight"] = 2 * (os.cpu_count() or 1)
    structs: dict[str, Any] = {name: SECTIONS[name](**table) for name, table in values.items()}
    if structs["gitea"].webhook_port and not structs["gitea"].webhook_secret:
        at = Place(path, source, "gitea", "webhook_secret")
        raise ConfigError(f"{at}: missing, expected what the forge signs its calls with")
    return Config(path=path, found=True, pool=pool, warnings=tuple(warnings), **structs)


class Place(NamedTuple):
    """Where in a file we are; as text it is the beginning of an error."""

    path: Path
    source: str
    section: str
    key: str = ""

    def __str__(self) -> str:
        """Say file, line and key."""
        line = self._line()
        at = f"{self.path}: line {line}: " if line else f"{self.path}: "
        return f"{at}[{self.section}]" + (f" {self.key}" if self.key else "")

    def _line(self) -> int:
        """Return the line of the key, or of the section's head; 0 where neither is to be found."""
        head = re.compile(rf"\s*\[\s*[\"']?{re.escape(self.section)}[\"']?\s*\]")
        key = re.compile(rf"\s*[\"']?{re.escape(self.key)}[\"']?\s*=")
        inside, at = False, 0
        for number, line in enumerate(self.source.splitlines(), 1):
            if line.lstrip().startswith("["):
                inside = head.match(line) is not None
                at = number if inside and not at else at
            elif self.key and inside and key.match(line):
                return number
        return at


def _check_section(name: str, table: object, known: Mapping[str, list[str]], at: Place) -> None:
    """Pass a section that exists and has only keys that exist."""
    if not isinstance(table, dict):
        homes = [section for section, keys in known.items() if name in keys]
        where = f"expected in [{homes[0]}]" if homes else "expected only sections"
        raise ConfigError(f"{at.path}: {text.one_line(name)} stands outside a section, {where}")
    if name not in known:
        raise ConfigError(f"{at}: no such section{_hint(name, list(known))}")
    for key in table:
        place = at._replace(key=text.one_line(key, 60))
        if name == "rules" and key in IN_CELLS:
            raise ConfigError(f"{place}: has its place in [cells]")
        if key not in known[name]:
            raise ConfigError(f"{place}: no such key{_hint(key, known[name])}")


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    if close:
        return f", did you mean {close[0]}?"
    return f", expected one of {', '.join(known)}"


def _section(name: str, table: Mapping[str, Any], at: Place) -> dict[str, Any]:
    """Return the values of a section, each of the right type and within its bounds."""
    kinds = {info.name: info.type for info in fields(SECTIONS[name])}
    values = {}
    for key, value in table.items():
        try:
            if name == "rules" or key in IN_CELLS:
                values[key] = rules.check_rule(key, value)
            elif name == "limits":
                values[key] = check_limit(key, value)
            elif name == "isolation" and key in IN_CONFIGURATION:
                values[key] = check_opening(key, value)
            elif name in channel_settings.TABLES:
                values[key] = channel_settings.check(name, key, value)
            elif name == "gitea":
                values[key] = forge_settings.check(key, value)
            else:
                values[key] = _value(name, key, value, kinds[key])
        except FormatError as error:
            said = str(error).removeprefix(f"{key}: ")
            raise ConfigError(f"{at._replace(key=key)}: {said}") from None
    return values


def _pool(table: Mapping[str, Any], at: Place) -> tuple[Pool, list[str]]:
    """Return ``[pool]``; unlike in the pool's own file, a key that does not exist is an error."""
    try:
        pool, warnings = pool_config.pool_of(table)
    except FormatError as error:
        raise ConfigError(_at_key(at, str(error))) from None
    for warning in warnings:
        if pool_config.NO_SUCH_KEY in warning:
            raise ConfigError(_at_key(at, warning.partition(";")[0]))
    return pool, [_at_key(at, warning) for warning in warnings]


def _at_key(at: Place, said: str) -> str:
    """Return what is said, which begins with a key, with where that stands."""
    key = re.split(r"[.\[:]", said, maxsplit=1)[0]
    return str(at._replace(key=key)).removesuffix(key) + said


def _value(section: str, key: str, value: object, kind: Any) -> Any:
    """Return one value, converted; FormatError says what is wrong with it."""
    literal = get_args(kind)
    expected = f"one of {', '.join(literal)}" if literal else rules.expectation(kind)
    found = text.field(value, kind, key, expected)
    if isinstance(found, str) and "\0" in found:
        raise FormatError("found a zero byte, expected a text without")
    if isinstance(found, int | float) and not isinstance(found, bool):
        most = rules.LONGEST if isinstance(found, float) else rules.MOST
        rules.check_number(found, *_BOUNDS.get((section, key), (0, most)), key)
    return found
