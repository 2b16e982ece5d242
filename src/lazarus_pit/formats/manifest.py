"""``cell.json``: what people want of a cell and of its members (contract 1.3).

What is not ours is kept, at every level and in its place, when the file is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.core.model import CellStatus, Desired, Role, Rules
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import allowlist, text
from lazarus_pit.formats.instant import from_rfc3339
from lazarus_pit.formats.isolation import Openings, check_isolation, merged
from lazarus_pit.formats.limits import check_limits
from lazarus_pit.formats.names import check_agent_name, check_cell_uuid
from lazarus_pit.formats.recipe import check_recipe
from lazarus_pit.formats.rules import LONGEST, check_number, check_rules, expectation, merge_rules

MAX_BYTES = 1024 * 1024


class Kind(StrEnum):
    """Who a member is (contract 1.5)."""

    AGENT = "agent"
    HUMAN = "human"


class Network(StrEnum):
    """Which network a member's program sees."""

    NONE = "none"
    HOST = "host"
    ALLOW = "allow"
    """A network of its own; what is on the member's list is reached through a proxy."""


class Member(Struct, frozen=True, kw_only=True):
    """One member of a cell, and what people want of it."""

    name: str
    role: Role
    joined_at: str = ""
    home: str | None = None
    """The member's own home outside the cell; nothing ever writes there."""
    kind: Kind = Kind.AGENT
    command: tuple[str, ...] = ()
    """The agent's entry point; empty for one that the daemon watches but cannot start."""
    preset: dict[str, Any] = {}
    """Which kind of program it is, and what it is to do; see ``formats.recipe``."""
    env: dict[str, str] = {}
    network: Network = Network.NONE
    allow: tuple[str, ...] = ()
    """Under network ``allow``, where it may go: see ``formats.allowlist``."""
    forward: tuple[int, ...] = ()
    """Under network ``allow``, ports of the host's loopback that it sees on its own."""
    desired: Desired = Desired.RUN
    request: int = 0
    """How often people have asked for a revive by hand."""
    invitation: str = ""
    """The id of the invitation that was accepted, if it came by one."""
    asked_in: str = ""
    """The mail of a coordinator that asked for the last revive, so that it is heard once."""
    rules: dict[str, Any] = {}
    """Rules of its own; they win over those of the cell."""
    limits: dict[str, Any] = {}
    """How much it may take; see ``formats.limits``."""
    isolation: dict[str, Any] = {}
    """What it gets beyond its walls; see ``formats.isolation``."""
    found: dict[str, Any] = {}
    """The entry as it was found in the file, with what is not ours."""


class Manifest(Struct, frozen=True, kw_only=True):
    """What people want of one cell."""

    uuid: str
    status: CellStatus
    mission: str = ""
    name: str | None = None
    created_at: str = ""
    created_by: str = ""
    agents: tuple[Member, ...] = ()
    gitea_issue: int | None = None
    repo: str | None = None
    rules: dict[str, Any] = {}
    """Rules for every member; they win over the configuration's."""
    limits: dict[str, Any] = {}
    """How much the cell as a whole may take, and each of its members."""
    isolation: dict[str, Any] = {}
    """What every member gets beyond its walls; see ``formats.isolation``."""
    checkpoint_interval: float | None = None
    """Seconds between two checkpoints that the daemon takes by itself; without it, none."""
    idle_freeze_after: float | None = None
    """Seconds without progress or mail after which the cell freezes by itself; none: never."""
    woken: int = 0
    """How often people have asked for an end of such a sleep."""
    pauses: int = 0
    """Counts up whenever a restore takes or gives back the cell, so that the daemon looks."""
    checkpoints_kept: dict[str, int] = {}
    """How many checkpoints stay: ``last``, ``hourly``, ``daily``; see ``checkpoint.retention``."""
    found: dict[str, Any] = {}
    """The object as it was found in the file, with what is not ours."""

    def member(self, name: str) -> Member | None:
        """Return the member of this name, or ``None``."""
        return next((member for member in self.agents if member.name == name), None)


# What is always written, in this order; the rest only where it says something.
_CELL_ALWAYS = ("uuid", "mission", "created_at", "created_by", "status", "agents")
_MEMBER_ALWAYS = ("name", "role", "joined_at", "home")
_COUNT = "a whole number, 0 or more"
_TEXT = "a text"
_OPTIONAL_TEXT = "a text or null"

_CELL_FIELDS: Mapping[str, tuple[Any, str]] = {
    "uuid": (str, _TEXT),
    "name": (str | None, _OPTIONAL_TEXT),
    "mission": (str, _TEXT),
    "created_at": (str, _TEXT),
    "created_by": (str, _TEXT),
    "status": (CellStatus, expectation(CellStatus)),
    "gitea_issue": (int | None, "a number or null"),
    "repo": (str | None, "owner/name or null"),
    "rules": (dict[str, Any], "an object"),
    "limits": (dict[str, Any], "an object of whole numbers"),
    "isolation": (dict[str, Any], "an object"),
    "checkpoint_interval": (float | None, "a number of seconds or null"),
    "idle_freeze_after": (float | None, "a number of seconds or null"),
    "woken": (int, _COUNT),
    "pauses": (int, _COUNT),
    "checkpoints_kept": (dict[str, int], "an object of whole numbers: last, hourly, daily"),
}
_MEMBER_FIELDS: Mapping[str, tuple[Any, str]] = {
    "name": (str, _TEXT),
    "role": (Role, expectation(Role)),
    "joined_at": (str, _TEXT),
    "home": (str | None, _OPTIONAL_TEXT),
    "kind": (Kind, expectation(Kind)),
    "command": (tuple[str, ...], "a list of texts"),
    "preset": (dict[str, Any], "an object"),
    "env": (dict[str, str], "an object of texts"),
    "network": (Network, expectation(Network)),
    "allow": (tuple[str, ...], "a list of texts"),
    "forward": (tuple[int, ...], "a list of ports"),
    "desired": (Desired, "run or stop"),
    "request": (int, _COUNT),
    "invitation": (str, _TEXT),
    "asked_in": (str, _TEXT),
    "rules": (dict[str, Any], "an object"),
    "limits": (dict[str, Any], "an object of whole numbers"),
    "isolation": (dict[str, Any], "an object"),
}


def parse(data: bytes) -> Manifest:
    """Return the manifest in these bytes.

    Only ``uuid`` and ``status`` must be there, and ``name`` and ``role`` of each member: what is
    needed to watch over a cell. Everything that is there must be right.

    Raises:
        FormatError: names the field, what was found and what was expected.
    """
    if len(data) > MAX_BYTES:
        raise FormatError(f"manifest: more than {MAX_BYTES} bytes")
    found = text.decode_object(data, "manifest")
    known = _known(found, _CELL_FIELDS, ("uuid", "status"), "")
    check_cell_uuid(known["uuid"])
    _check_time(known, "created_at", "")
    _check_rules(known, "")
    _check_intervals(known)
    repo = known.get("repo")
    if repo is not None and repo.count("/") != 1:
        raise FormatError(f"repo: found {text.shown(repo)}, expected owner/name or null")
    entries = found.get("agents", [])
    if not isinstance(entries, list):
        raise FormatError(f"agents: found {text.shown(entries)}, expected a list of objects")
    agents = tuple(_member(entry, f"agents[{place}]") for place, entry in enumerate(entries))
    names = [member.name for member in agents]
    for name in names:
        if names.count(name) > 1:
            raise FormatError(f"agents: {name} is named twice")
    return Manifest(**known, agents=agents, found=found)


def _known(
    found: Mapping[str, Any], table: Mapping[str, tuple[Any, str]], needed: tuple[str, ...], at: str
) -> dict[str, Any]:
    """Return the fields that are ours, converted; ``at`` says where the object stands."""
    for name in needed:
        if name not in found:
            raise FormatError(f"{at}{name}: missing, expected {table[name][1]}")
    return {
        name: text.field(found[name], into, f"{at}{name}", expected)
        for name, (into, expected) in table.items()
        if name in found
    }


def _check_time(known: Mapping[str, Any], name: str, at: str) -> None:
    if known.get(name):
        from_rfc3339(known[name], f"{at}{name}")


_CHECKS: Mapping[str, Callable[[Mapping[str, Any]], object]] = {
    "rules": check_rules,
    "limits": check_limits,
    "isolation": check_isolation,
    "preset": check_recipe,
}


def _check_rules(known: Mapping[str, Any], at: str) -> None:
    """Pass the objects that have tables of their own."""
    for name, check in _CHECKS.items():
        try:
            check(known.get(name, {}))
        except FormatError as error:
            raise FormatError(f"{at}{name}.{error}") from None


SHORTEST = 0.1
"""Seconds of the shortest interval between two things that a cell does by itself."""


def _check_intervals(known: Mapping[str, Any]) -> None:
    """Refuse what nobody can mean: 0 is none, as null is."""
    for name in ("checkpoint_interval", "idle_freeze_after"):
        if seconds := known.get(name):
            check_number(seconds, SHORTEST, LONGEST, name)


def _member(entry: object, where: str) -> Member:
    if not isinstance(entry, dict):
        raise FormatError(f"{where}: found {text.shown(entry)}, expected an object")
    at = f"{where}."
    known = _known(entry, _MEMBER_FIELDS, ("name", "role"), at)
    try:
        check_agent_name(known["name"])
    except FormatError as error:
        raise FormatError(f"{at}{error}") from None
    _check_time(known, "joined_at", at)
    _check_rules(known, at)
    _check_launch(known, at)
    _check_network(known, at)
    return Member(**known, found=entry)


def _check_launch(known: Mapping[str, Any], at: str) -> None:
    """Refuse what the operating system could not start."""
    if known.get("request", 0) < 0:
        raise FormatError(f"{at}request: found {known['request']}, expected {_COUNT}")
    if known.get("desired") is Desired.FREEZE:
        raise FormatError(f"{at}desired: found freeze, expected run or stop; freeze the cell")
    command, env = known.get("command", ()), known.get("env", {})
    if any("\0" in word for word in command):
        raise FormatError(f"{at}command: holds a zero byte")
    if command and not command[0]:
        raise FormatError(f"{at}command: the program's name is empty")
    for name, value in env.items():
        if not name or "=" in name or "\0" in name + value:
            raise FormatError(f"{at}env: {text.shown(name)} cannot be an environment variable")


def _check_network(known: Mapping[str, Any], at: str) -> None:
    """Refuse lists that cannot be kept to, and lists that nothing would ask for."""
    name = "allow"
    try:
        allowlist.parse_rules(known.get("allow", ()))
        name = "forward"
        allowlist.check_forwards(known.get("forward", ()))
    except FormatError as error:
        raise FormatError(f"{at}{name}: {error}") from None
    for name in ("allow", "forward"):
        if known.get(name) and known.get("network") is not Network.ALLOW:
            raise FormatError(f"{at}{name}: without effect, expected network allow with it")


def encode(manifest: Manifest) -> bytes:
    """Return the file for this manifest: indented JSON, with everything found still in its place.

    Raises:
        FormatError: it holds what JSON cannot say.
    """
    whole = _merged(manifest, _CELL_FIELDS, _CELL_ALWAYS)
    whole["agents"] = [
        _merged(member, _MEMBER_FIELDS, _MEMBER_ALWAYS) for member in manifest.agents
    ]
    return msgspec.json.format(text.encode(whole, "manifest"), indent=2) + b"\n"


def _merged(
    struct: Struct, table: Mapping[str, tuple[Any, str]], always: tuple[str, ...]
) -> dict[str, Any]:
    """Return the object as found, with our fields as they are now."""
    merged: dict[str, Any] = dict(struct.found)  # type: ignore[attr-defined]
    for name in (*always, *table):
        if name == "agents":
            merged.setdefault(name, [])
            continue
        value = getattr(struct, name)
        default = _DEFAULTS[type(struct)].get(name)
        if name in merged or name in always or value != default:
            merged[name] = value
    return merged


def _defaults(struct: type[Struct]) -> dict[str, Any]:
    infos = msgspec.structs.fields(struct)
    return {
        info.name: info.default if info.default is not msgspec.NODEFAULT else info.default_factory()
        for info in infos
        if not info.required
    }


_DEFAULTS: Mapping[type[Struct], dict[str, Any]] = {
    Manifest: _defaults(Manifest),
    Member: _defaults(Member),
}


def with_member(manifest: Manifest, member: Member) -> Manifest:
    """Return the manifest with this member in the place of its namesake, else at the end."""
    if manifest.member(member.name) is None:
        return replace(manifest, agents=(*manifest.agents, member))
    agents = (member if old.name == member.name else old for old in manifest.agents)
    return replace(manifest, agents=tuple(agents))


def without_member(manifest: Manifest, name: str) -> Manifest:
    """Return the manifest without the member of this name."""
    agents = tuple(member for member in manifest.agents if member.name != name)
    return replace(manifest, agents=agents)


def without_env(manifest: Manifest) -> Manifest:
    """Return the manifest as every member may see it: no environment, no word of the host."""
    secret = ("env", "isolation")
    agents = (
        replace(
            member,
            env={},
            isolation={},
            found={key: v for key, v in member.found.items() if key not in secret},
        )
        for member in manifest.agents
    )
    found = {key: v for key, v in manifest.found.items() if key != "isolation"}
    return replace(manifest, agents=tuple(agents), isolation={}, found=found)


def rules_of(manifest: Manifest, member: Member, base: Rules) -> Rules:
    """Return the rules this member lives by: its own over the cell's over the configuration's."""
    return merge_rules(base, manifest.rules, member.rules)


def openings_of(manifest: Manifest, member: Member, base: Openings) -> Openings:
    """Return what this member gets beyond its walls: all that the three layers name."""
    return merged(base, check_isolation(manifest.isolation), check_isolation(member.isolation))
