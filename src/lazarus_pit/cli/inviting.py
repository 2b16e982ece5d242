"""``lazarus invite``, ``join``, ``leave`` and ``invitations``: who comes into a cell, and goes."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from lazarus_pit.cells import membership
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli import say
from lazarus_pit.cli.follow import journal_end
from lazarus_pit.cli.kit import PLAIN, Kit
from lazarus_pit.cli.names import find_cell, label_of
from lazarus_pit.cli.place import HERE, CellName, Json, Place, owner_of, who
from lazarus_pit.cli.spawn import RoleWord, Several, check_name, environment_of, network_of
from lazarus_pit.cli.waiting import UP, WAIT, NoWait, Wait, await_daemon
from lazarus_pit.cli.widening import Credential, EnvFrom, ReadOnly, isolation_of
from lazarus_pit.core.model import Role
from lazarus_pit.daemon import teaming
from lazarus_pit.daemon.teaming import Guest, Joined
from lazarus_pit.errors import RefusedError, UsageError
from lazarus_pit.formats.instant import parse_duration, to_rfc3339
from lazarus_pit.formats.manifest import Kind, Member
from lazarus_pit.records import invitations as records
from lazarus_pit.records.database import opened_records
from lazarus_pit.records.invitations import Given, Invitation

SHORTEST = 4
"""Characters of an id that may stand for the whole of it."""


def invite(
    cell: CellName,
    name: Annotated[str, Parameter(help="What the newcomer is to be called.")],
    /,
    *,
    role: Annotated[RoleWord, Parameter(help="What it may do.")] = "developer",
    human: Annotated[bool, Parameter(negative="", help="A person, not an agent.")] = False,
    ttl: Annotated[str, Parameter(help="How long it is open: 30min, 8h, 7d.")] = "24h",
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Invite somebody into a cell, and print the token that lets it in, once."""
    check_name(name)
    seconds = parse_duration(ttl)
    if seconds is None or seconds > teaming.TTL_MAX:
        raise UsageError(
            f"--ttl: found {say.clean(ttl, 40)!r}, expected a duration like 30min, 8h or 7d, "
            f"at most {teaming.TTL_MAX / 86400:.0f} days"
        )
    pit = place.pit()
    paths, manifest = find_cell(pit, cell)
    guest = Guest(name, Role(role), human=human, by=who())
    given = teaming.invite(pit, paths, guest, seconds)
    if json:
        say.as_json(as_object(given.invitation) | {"token": given.token})
        return 0
    say.line(given.token)
    say.complain(how_to_join(given, manifest.name or paths.uuid[:8]))
    return 0


def how_to_join(given: Given, label: str) -> str:
    """Say what to type with a token, and for how long."""
    one = given.invitation
    program = "" if one.human else " -- PROGRAM"
    return (
        f"{label}: {one.name} is invited as {one.role} until {to_rfc3339(one.expires)}: "
        f"`lazarus join {given.token}{program}`"
    )


def join(
    token: Annotated[str, Parameter(help="What `lazarus invite` printed.")],
    /,
    *argv: Annotated[str, Parameter(help="An agent's program and its arguments, after --.")],
    policy: Annotated[
        Literal["auto", "ask", "never"] | None, Parameter(help="Who decides that it is revived.")
    ] = None,
    network: Annotated[
        Literal["none", "host", "allow"] | None,
        Parameter(help="Which network it sees; none by itself."),
    ] = None,
    allow: Annotated[
        tuple[str, ...], Several, Parameter(help="HOST[:PORT] that --network allow lets it reach.")
    ] = (),
    env: Annotated[
        tuple[str, ...], Several, Parameter(help="NAME=VALUE for its environment.")
    ] = (),
    env_from: EnvFrom = (),
    ro: ReadOnly = (),
    credential: Credential = (),
    kit: Kit = PLAIN,
    wait: Wait = WAIT,
    no_wait: NoWait = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Accept an invitation: an agent is started as ``--`` says, a person gets a seat."""
    config = place.settings()
    opened = isolation_of(ro, (), (), env_from, credential)
    given: dict[str, Any] = {
        "env": environment_of(env),
        **({"rules": {"revive_policy": policy}} if policy else {}),
        **({"isolation": opened} if opened else {}),
        **network_of(network, allow, ()),
    }
    if not argv and (kit != PLAIN or any(given.values())):
        raise UsageError("join: these flags are for an agent, expected -- PROGRAM after them")
    if argv:
        given |= kit.member(argv, "lazarus join TOKEN")
    launch = Member(name="guest", role=Role.OBSERVER, **given) if argv else None
    pit = place.pit()
    offset = journal_end(pit.cell(teaming.invited(pit, token).cell).events)
    joined = teaming.join(pit, token, launch, owner_of(config), who())
    one, label = joined.invitation, joined.manifest.name or joined.paths.uuid[:8]
    if json:
        say.as_json(as_object(one) | {"new": joined.new})
    else:
        say.line(f"{label}/{one.name} has joined as {one.role}")
        if one.human:
            say.complain(_seat(joined, label))
    if one.human or no_wait or not joined.new:
        return 0
    return await_daemon(joined.paths, offset, [one.name], UP, wait)


def _seat(joined: Joined, label: str) -> str:
    name = joined.invitation.name
    return (
        f"`lazarus mail inbox --cell {label} --as {name}`, `lazarus mail send --cell {label} "
        f"--as {name} --to WHO TEXT`, `lazarus events {label} -f`, `lazarus approvals`; "
        f"`lazarus leave {label} --as {name}` gives the seat up"
    )


def leave(
    cell: CellName,
    /,
    *,
    as_: Annotated[
        str | None, Parameter(name="--as", help="Who leaves; by itself your user name.")
    ] = None,
    place: Place = HERE,
) -> int:
    """Give up a person's seat in a cell; what it sent and got stays there."""
    pit = place.pit()
    paths, manifest = find_cell(pit, cell)
    name = as_ or who()
    member = manifest.member(name)
    if member is None:
        people = ", ".join(one.name for one in manifest.agents if one.kind is Kind.HUMAN)
        raise UsageError(f"--as: found {name!r}, expected a person of this cell ({people or '-'})")
    if member.kind is not Kind.HUMAN:
        raise RefusedError(f"{name} is an agent: `lazarus kick {cell}/{name}` takes it out")
    typist = who()
    teaming.remove(pit, paths, name, by="" if typist == name else typist)
    say.line(f"{name} has left the cell")
    return 0


def invitations(
    cell: CellName = "",
    /,
    *,
    revoke: Annotated[
        str | None, Parameter(help="Close this one: its id, or the beginning of it.")
    ] = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative="", help="Those that are closed too.")
    ] = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """List the invitations that can still be accepted, of a cell or of all."""
    pit = place.pit()
    uuid = find_cell(pit, cell).paths.uuid if cell else ""
    now = time.time()
    found = _stored(pit, now, all_=all_ or revoke is not None)
    found = [one for one in found if uuid in ("", one.cell)]
    if revoke is not None:
        return _revoke(pit, found, revoke, now)
    if json:
        say.as_json([as_object(one) for one in found])
        return 0
    for one in found:
        say.line(_words(pit, one, now))
    if not found:
        say.line("nobody was ever invited" if all_ else "no invitation is open")
    return 0


def _stored(pit: PitPaths, now: float, *, all_: bool) -> list[Invitation]:
    if not pit.records.exists():
        return []
    with opened_records(pit.records) as db:
        records.expire(db, now)
        if all_:
            return records.everything(db)
        return [one for one in records.pending(db, now) if pit.cell(one.cell).cell.exists()]


def _revoke(pit: PitPaths, among: list[Invitation], text: str, now: float) -> int:
    """Close the one that is meant.

    Raises:
        UsageError: none or several are meant.
        RefusedError: it is closed.
    """
    meant = [one for one in among if len(text) >= SHORTEST and one.id.startswith(text)]
    if len(meant) != 1:
        raise UsageError(
            f"--revoke: {say.clean(text, 40)!r} means {len(meant)} invitations, expected the "
            "beginning of one id; see `lazarus invitations`"
        )
    with opened_records(pit.records) as db:
        if not records.close(db, meant[0].id, "revoked", now):
            raise RefusedError(f"the invitation of {meant[0].name} is {meant[0].state} already")
    paths = pit.cell(meant[0].cell)
    if paths.events.exists():  # Else its cell is gone.
        membership.note_revoked(paths, meant[0].id, meant[0].name, who())
    say.line(f"the invitation of {meant[0].name} is revoked")
    return 0


def as_object(one: Invitation) -> dict[str, Any]:
    """Return an invitation in the documented shape; times are RFC 3339."""
    return {
        "id": one.id,
        "cell": one.cell,
        "name": one.name,
        "role": one.role.value,
        "kind": "human" if one.human else "agent",
        "by": one.by,
        "invited": to_rfc3339(one.invited),
        "expires": to_rfc3339(one.expires),
        "state": one.state,
    }


def _words(pit: PitPaths, one: Invitation, now: float) -> str:
    state = f"open for {say.span(one.expires - now)}" if one.state == "open" else one.state
    kind = "a person" if one.human else "an agent"
    return (
        f"{one.id}  {label_of(pit, f'{one.cell}/{one.name}')}  {one.role}, {kind}, "
        f"by {say.clean(one.by, 80)}  {state}"
    )
