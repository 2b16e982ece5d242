"""``lazarus spawn``: an agent joins a cell, or an invited one is told how to start."""

from __future__ import annotations

import json as jsons
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from msgspec.structs import replace

from lazarus_pit.cells import membership, provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cli import say
from lazarus_pit.cli.follow import journal_end
from lazarus_pit.cli.kit import PLAIN, Kit
from lazarus_pit.cli.names import find_cell
from lazarus_pit.cli.place import HERE, CellName, Place, owner_of, who
from lazarus_pit.cli.waiting import UP, WAIT, NoWait, Wait, await_daemon
from lazarus_pit.cli.widening import (
    Credential,
    EnvFrom,
    HomePiece,
    ReadOnly,
    Writable,
    isolation_of,
    warn,
)
from lazarus_pit.core.model import CellStatus, Desired, Role
from lazarus_pit.daemon import teaming
from lazarus_pit.errors import FormatError, RefusedError, UsageError
from lazarus_pit.formats import allowlist
from lazarus_pit.formats.limits import check_limit
from lazarus_pit.formats.manifest import Kind, Manifest, Member, Network, with_member
from lazarus_pit.formats.names import is_agent_name
from lazarus_pit.formats.rules import RULES, check_rule

Several = Parameter(negative="")
PolicyWord = Annotated[
    Literal["auto", "ask", "never"] | None, Parameter(help="Who decides that it is revived.")
]
OnReviveWord = Annotated[
    Literal["resume", "restore", "fresh"] | None,
    Parameter(help="With what a life after a death begins."),
]
RoleWord = Literal["developer", "reviewer", "observer", "coordinator"]


def spawn(
    cell: CellName,
    name: Annotated[
        str, Parameter(help="What to call it; an invited member is told how to start.")
    ],
    /,
    *argv: Annotated[str, Parameter(help="The program and its arguments, after --.")],
    role: Annotated[RoleWord | None, Parameter(help="What it may do; developer by itself.")] = None,
    policy: PolicyWord = None,
    network: Annotated[
        Literal["none", "host", "allow"] | None,
        Parameter(help="Which network it sees; none by itself."),
    ] = None,
    allow: Annotated[
        tuple[str, ...], Several, Parameter(help="HOST[:PORT] that --network allow lets it reach.")
    ] = (),
    forward: Annotated[
        tuple[int, ...], Several, Parameter(help="PORT of this host's loopback to show it.")
    ] = (),
    on_revive: OnReviveWord = None,
    liveness: Annotated[
        Literal["heartbeat", "process"] | None, Parameter(help="What shows that it lives.")
    ] = None,
    env: Annotated[
        tuple[str, ...], Several, Parameter(help="NAME=VALUE for its environment.")
    ] = (),
    rule: Annotated[
        tuple[str, ...], Several, Parameter(help="NAME=VALUE, a rule of its own.")
    ] = (),
    limit: Annotated[
        tuple[str, ...], Several, Parameter(help="NAME=NUMBER, as in memory_mb=512; 0 is none.")
    ] = (),
    ro: ReadOnly = (),
    rw: Writable = (),
    home_ro: HomePiece = (),
    env_from: EnvFrom = (),
    credential: Credential = (),
    kit: Kit = PLAIN,
    wait: Wait = WAIT,
    no_wait: NoWait = False,
    place: Place = HERE,
) -> int:
    """Start an agent in a cell: its program and arguments follow ``--``."""
    check_name(name)
    config = place.settings()
    shortcuts = {"revive_policy": policy, "liveness": liveness, "on_revive": on_revive}
    rules = {key: value for key, value in shortcuts.items() if value} | _rules(rule)
    opened = isolation_of(ro, rw, home_ro, env_from, credential)
    given: dict[str, Any] = {
        **kit.member(argv, f"lazarus spawn {cell} {name}"),
        "env": environment_of(env),
        "rules": rules,
        **({"limits": _limits(limit)} if limit else {}),
        **({"isolation": opened} if opened else {}),
        **({"role": Role(role)} if role else {}),
        **network_of(network, allow, forward),
    }
    paths, manifest = find_cell(place.pit(), cell)
    if manifest.status is CellStatus.FROZEN:
        raise RefusedError(f"cell {cell} is frozen: `lazarus thaw {cell}` first")
    warn(name, opened.get("rw", ()))
    offset = journal_end(paths.events)
    if manifest.member(name) is None:
        member = Member(name=name, **{"role": Role.DEVELOPER, **given})
        provision.add_member(paths, member, owner_of(config), who())
    else:
        _instruct(paths, name, given)
    teaming.close(place.pit(), paths.uuid, name, "accepted")
    return 0 if no_wait else await_daemon(paths, offset, [name], UP, wait)


def check_name(name: str) -> None:
    """Pass the name of a member to be.

    Raises:
        UsageError: it is none.
    """
    if not is_agent_name(name):
        raise UsageError(f"NAME: found {say.clean(name, 80)!r}, expected 1 to 64 of a-z 0-9 . _ -")


def _instruct(paths: CellPaths, name: str, given: dict[str, Any]) -> None:
    """Tell a member that was invited how it starts."""

    def change(old: Manifest) -> Manifest:
        provision.refuse_ended(old)
        member = old.member(name)
        if member is None or member.kind is Kind.HUMAN:
            raise RefusedError(f"{name} is a person, not a program")
        if member.command:
            called = f"{old.name or old.uuid[:8]}/{name}"
            raise RefusedError(
                f"{name} is there already, as {' '.join(member.command)!r}: "
                f"`lazarus start {called}` or `lazarus revive {called}`"
            )
        rules = {**member.rules, **given["rules"]}
        return with_member(old, replace(member, **{**given, "rules": rules}, desired=Desired.RUN))

    membership.instruct_member(paths, name, change, who())


def _pairs(flag: str, words: tuple[str, ...]) -> list[tuple[str, str]]:
    pairs = []
    for word in words:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise UsageError(f"{flag}: found {say.clean(word, 80)!r}, expected NAME=VALUE")
        pairs.append((name, value))
    return pairs


def network_of(
    mode: str | None, allow: tuple[str, ...], forward: tuple[int, ...]
) -> dict[str, Any]:
    """Read the network's flags, which must fit each other."""
    if mode != "allow":
        for flag, given in (("--allow", allow), ("--forward", forward)):
            if given:
                raise UsageError(f"{flag}: expected --network allow with it")
        return {"network": Network(mode)} if mode else {}
    try:
        flag = "--allow"
        allowlist.parse_rules(allow)
        flag = "--forward"
        allowlist.check_forwards(forward)
    except FormatError as error:
        raise UsageError(f"{flag}: {error}") from None
    return {"network": Network.ALLOW, "allow": allow, "forward": forward}


def _limits(words: tuple[str, ...]) -> dict[str, int]:
    """Read limits; a name given twice has the last word."""
    limits: dict[str, int] = {}
    for name, value in _pairs("--limit", words):
        try:
            limits[name] = check_limit(name, int(value) if value.isdecimal() else value)
        except FormatError as error:
            raise UsageError(f"--limit: {error}") from None
    return limits


def environment_of(words: tuple[str, ...]) -> dict[str, str]:
    """Read ``--env``."""
    return dict(_pairs("--env", words))


def _rules(words: tuple[str, ...]) -> dict[str, Any]:
    """Read rules as the manifest has them: numbers and lists are JSON, anything else is a text."""
    rules: dict[str, Any] = {}
    for name, value in _pairs("--rule", words):
        if name not in RULES:
            known = ", ".join(RULES)
            raise UsageError(f"--rule: found {say.clean(name, 80)!r}, expected one of {known}")
        try:
            found = jsons.loads(value)
        except ValueError:
            found = value
        try:
            check_rule(name, found)
        except FormatError as error:
            raise UsageError(f"--rule: {error}") from None
        rules[name] = found
    return rules
