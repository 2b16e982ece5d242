"""The pool's JSON configuration (contract 3.3): which gateways, and by which policy each lives.

Keys that we do not know are named in a warning and passed over; a known one with a wrong value is
an error, since a gateway that nobody watches would look like a healthy one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import fields

from lazarus_pit.core.model import NEVER, RevivePolicy, Rules
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import channel_settings, forge_settings, rules, text
from lazarus_pit.formats.channel_settings import Apprise, Channels, Nostr, Telegram
from lazarus_pit.formats.forge_settings import Gitea, Notifications

MAX_BYTES = 8 * 1024 * 1024
NAME_SHOWN = 120
"""Characters of a gateway's name that people are shown."""

NO_SUCH_KEY = "no such key"
"""In every warning about one."""

WithoutChannel = Literal["revive", "hold"]


class Gateway(Struct, frozen=True, kw_only=True):
    """One agent outside every cell, how it is looked at and how it is brought back."""

    name: str
    host: str = "localhost"
    port: int = 8765
    heartbeat_path: str = "~/.nexus/heartbeat.json"
    process_pattern: str = "nexus_think"
    """A regular expression that is looked for in whole command lines."""
    revive_cmd: tuple[str, ...] = ()
    health_url: str = ""
    """Also asked, where it is given: 200 passes."""
    probe_cmd: tuple[str, ...] = ()
    """Also run, where it is given: 0 passes, 75 is unknown, anything else fails."""


class Mission(Struct, frozen=True, kw_only=True):
    """Whose policy is whose."""

    label: str = ""
    agents: tuple[str, ...] = ()
    revive_policy: RevivePolicy = RevivePolicy.ASK


class Pool(Struct, frozen=True, kw_only=True):
    """What is watched and by which rules, without the ways to people; times in seconds."""

    poll_interval: float = 60.0
    dead_threshold: float = 300.0
    """A policy acts on who has been dead for so long; an older heartbeat fails."""
    approval_timeout: float = 300.0
    probe_timeout: float = 3.0
    """How long any one probe may take."""
    start_timeout: float = Rules().start_timeout
    """From a revive to its being healthy again."""
    max_revive_attempts: int = Rules().max_revive_attempts
    ask_without_channel: WithoutChannel = "revive"
    gateways: tuple[Gateway, ...] = ()
    missions: Mapping[str, Mission] = {}


class PoolConfig(Pool, frozen=True, kw_only=True):
    """The whole of it."""

    telegram: Telegram = Telegram()
    nostr: Nostr = Nostr()
    apprise: Apprise = Apprise()
    gitea: Gitea = Gitea()
    notifications: Notifications = Notifications()

    @property
    def channels(self) -> Channels:
        """The ways to people."""
        return Channels(telegram=self.telegram, nostr=self.nostr, apprise=self.apprise)

    @property
    def has_channel(self) -> bool:
        """Whether there is a way to be answered by a person that is not at this machine."""
        return self.gitea.answers or bool(ANSWERED & set(self.channels.configured))


ANSWERED = {"telegram", "nostr"}
"""The channels on which people answer, beside the forge."""
_TABLES: Mapping[str, type[Struct]] = {
    **channel_settings.TABLES,
    "gitea": Gitea,
    "notifications": Notifications,
}
_EXPECTED: Mapping[Any, str] = {
    tuple[str, ...]: "a list of texts",
    WithoutChannel: "revive or hold",
}
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "port": (1, 65_535),
    "poll_interval": (0.01, 86_400),
    "dead_threshold": (0.001, rules.LONGEST),
    "approval_timeout": (1.0, rules.LONGEST),
    "probe_timeout": (0.01, 600),
    "start_timeout": (0.001, rules.LONGEST),
    "max_revive_attempts": (0, 1_000_000),
}
# In a command's environment and arguments a zero byte cannot stand.
_NO_ZERO = ("name", "host", "heartbeat_path", "revive_cmd", "probe_cmd")


def check_seconds(name: str, value: object) -> float:
    """Return one of the times above.

    Raises:
        FormatError: no number, or out of bounds.
    """
    found: float = text.field(value, float, name, "a number")
    rules.check_number(found, *_BOUNDS[name], name)
    return found


def parse(data: bytes) -> tuple[PoolConfig, list[str]]:
    """Return the configuration in these bytes, and what people should be warned of.

    Raises:
        FormatError: no JSON object, or a known key with a wrong value; names it.
    """
    return from_object(text.decode_object(data, "configuration"))


def from_object(found: Mapping[str, Any]) -> tuple[PoolConfig, list[str]]:
    """Return the configuration in an object, and what people should be warned of.

    Raises:
        FormatError: a known key has a wrong value; names it.
    """
    pool, warnings = pool_of({name: one for name, one in found.items() if name not in _TABLES})
    tables = {
        name: kind(**_known(kind, _object(found.get(name, {}), name), f"{name}.", warnings))
        for name, kind in _TABLES.items()
    }
    return with_ways(pool, **tables), warnings


def pool_of(found: Mapping[str, Any]) -> tuple[Pool, list[str]]:
    """Return what is watched, as an object has it, and what people should be warned of.

    Raises:
        FormatError: a known key has a wrong value; names it.
    """
    warnings: list[str] = []
    plain = {name: one for name, one in found.items() if name not in ("gateways", "missions")}
    pool = Pool(
        gateways=_gateways(found.get("gateways", []), warnings),
        missions=_missions(found.get("missions", {}), warnings),
        **_known(Pool, plain, "", warnings),
    )
    known = {one.name for one in pool.gateways}
    for name, mission in pool.missions.items():
        for agent in mission.agents:
            if known and agent not in known:  # A policy that was meant for somebody holds for none.
                at = f"missions.{text.one_line(name, 60)}.agents"
                warnings.append(f"{at}: {text.shown(agent)} is no gateway here; it is passed over")
    return pool, warnings


def with_ways(pool: Pool, **tables: Struct) -> PoolConfig:
    """Return what is watched together with the ways to people."""
    watched = {info.name: getattr(pool, info.name) for info in fields(Pool)}
    return PoolConfig(**watched, **tables)  # type: ignore[arg-type]  # the tables are its own


def _gateways(found: object, warnings: list[str]) -> tuple[Gateway, ...]:
    if not isinstance(found, list):
        raise FormatError(f"gateways: found {text.shown(found)}, expected a list")
    gateways: dict[str, Gateway] = {}
    for number, item in enumerate(found):
        at = f"gateways[{number}]"
        values = _known(Gateway, _object(item, at), f"{at}.", warnings)
        if not values.get("name"):
            raise FormatError(f"{at}.name: missing, expected a text")
        one = Gateway(**values)
        if one.name in gateways:
            warnings.append(f"{at}: {text.shown(one.name)} is listed twice; the first counts")
        else:
            gateways[one.name] = one
        if (wrong := _pattern_fault(one.process_pattern)) is not None:
            warnings.append(f"{at}.process_pattern: {wrong}")
    return tuple(gateways.values())


def _pattern_fault(pattern: str) -> str | None:
    try:
        expression = re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        return f"{text.one_line(str(error))}; it is looked for as it stands"
    if expression.search(""):
        return "matches every process; who has it is never dead"
    return None


def _missions(found: object, warnings: list[str]) -> dict[str, Mission]:
    missions: dict[str, Mission] = {}
    for name, item in _object(found, "missions").items():
        at = f"missions.{text.one_line(name, 60)}"
        values = dict(_object(item, at))
        policy = values.get("revive_policy", RevivePolicy.ASK.value)
        if policy not in list(RevivePolicy):
            known = ", ".join(RevivePolicy)
            said = f"found {text.shown(policy)}, expected one of {known}; it means ask"
            warnings.append(f"{at}.revive_policy: {said}")
            values["revive_policy"] = RevivePolicy.ASK.value
        missions[name] = Mission(**_known(Mission, values, f"{at}.", warnings))
    return missions


def _object(found: object, at: str) -> Mapping[str, Any]:
    if not isinstance(found, dict):
        raise FormatError(f"{at}: found {text.shown(found)}, expected an object")
    return found


def _known(
    kind: type[Struct], found: Mapping[str, Any], at: str, warnings: list[str]
) -> dict[str, Any]:
    """Return the values of the fields that a struct has, each of the right type and size."""
    kinds = {info.name: info.type for info in fields(kind)}
    values: dict[str, Any] = {}
    for name, value in found.items():
        if name not in kinds:
            warnings.append(f"{at}{text.one_line(name, 60)}: {NO_SUCH_KEY}; it is passed over")
            continue
        if (table := at.rstrip(".")) in channel_settings.TABLES or table == "gitea":
            values[name] = _channel_value(table, name, value)
            continue
        into = kinds[name]
        expected = _EXPECTED.get(into) or rules.expectation(into)
        one = text.field(value, into, f"{at}{name}", expected)
        if name in _BOUNDS:
            rules.check_number(one, *_BOUNDS[name], f"{at}{name}")
        if name in _NO_ZERO and any("\0" in part for part in ([one] if into is str else one)):
            raise FormatError(f"{at}{name}: found a zero byte, expected a text without")
        values[name] = one
    return values


def _channel_value(table: str, name: str, value: object) -> Any:
    try:
        if table == "gitea":
            return forge_settings.check(name, value, shape=False)
        return channel_settings.check(table, name, value)
    except FormatError as error:
        raise FormatError(f"{table}.{error}") from None


def policies(config: PoolConfig) -> dict[str, RevivePolicy]:
    """Return the policy of each gateway: that of the first mission that lists it, else ``ask``."""
    first: dict[str, RevivePolicy] = {}
    for mission in config.missions.values():
        for name in mission.agents:
            first.setdefault(name, mission.revive_policy)
    return {one.name: first.get(one.name, RevivePolicy.ASK) for one in config.gateways}


def falls_back(config: PoolConfig, policy: RevivePolicy) -> bool:
    """Whether ``ask`` would ask nobody, and revives instead (contract 3.9)."""
    alone = not config.has_channel and config.ask_without_channel == "revive"
    return policy is RevivePolicy.ASK and alone


def rules_of(config: PoolConfig, policy: RevivePolicy) -> Rules:
    """Return the rules that a gateway of that policy lives by.

    All revives since it was last healthy count, however long ago: the window has no end.
    """
    return Rules(
        revive_policy=RevivePolicy.AUTO if falls_back(config, policy) else policy,
        resurrect_after=config.dead_threshold,
        approval_timeout=config.approval_timeout,
        start_timeout=config.start_timeout,
        max_revive_attempts=config.max_revive_attempts,
        restart_window=NEVER,
    )
