"""How somebody who was invited becomes a member: what the manifest says decides, the journal tells.

Everything here can be repeated after a crash: nobody joins twice, and nothing is told twice.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from lazarus_pit.cells import provision
from lazarus_pit.cells.files import durably
from lazarus_pit.cells.journal import append_events, read_events
from lazarus_pit.cells.store import update_manifest
from lazarus_pit.errors import RefusedError
from lazarus_pit.formats import manifest
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import Manifest, Member, Network

if TYPE_CHECKING:
    from collections.abc import Callable

    from lazarus_pit.cells.layout import CellPaths
    from lazarus_pit.cells.provision import Owner
    from lazarus_pit.core.model import Role


def accept(
    paths: CellPaths,
    member: Member,
    owner: Owner,
    check: Callable[[], object] = lambda: None,
    by: str = "",
) -> bool:
    """Let somebody join who was invited; ``False``: this invitation has brought it in before.

    ``member`` names the invitation and says how an agent starts. What the manifest says already of
    one who was only named in it stays. Repeated after a crash, what is missing is made good.
    ``check`` raises where the invitation was closed meanwhile: who is kicked is let in no more.
    ``by`` says who has accepted it.

    Raises:
        RefusedError: the name is taken, the cell has ended, or ``check`` refuses.
        FormatError: the manifest cannot be read, or would not be right.
        StoreError: the operating system refused.
    """
    joined = replace(member, joined_at=to_rfc3339(time.time()))
    before = False

    def join(old: Manifest) -> Manifest:
        nonlocal before
        provision.refuse_ended(old)
        there = old.member(member.name)
        before = there is not None and there.invitation == member.invitation
        if before:
            return old
        if there is not None and has_joined(there):
            raise RefusedError(f"cell {old.uuid}: {member.name} is a member already")
        check()
        make = provision.make_newcomer if there is None else provision.make_member
        with durably("cannot be made", paths.run(member.name)):
            make(paths, member, owner)
        return manifest.with_member(old, _instructed(there, joined) if there else joined)

    update_manifest(paths, join)
    if not (before and _is_told(paths, "agent_joined", member.invitation)):
        data = {"invitation": member.invitation, **({"by": by} if by else {})}
        line = provision.joined(member, **data)
        append_events(paths.events, [line], durable=True)
    return not before


def instruct_member(
    paths: CellPaths, name: str, change: Callable[[Manifest], Manifest], by: str
) -> None:
    """Change the manifest so that a member that was only named in it can start; it joins so.

    ``by`` says who told it how.

    Raises:
        RefusedError: ``change`` refuses.
        FormatError: the manifest cannot be read.
        StoreError: the operating system refused.
    """
    joins: list[Member] = []

    def instruct(old: Manifest) -> Manifest:
        new = change(old)
        before, after = old.member(name), new.member(name)
        if before is None or after is None or before.joined_at:
            return new
        joins.append(replace(after, joined_at=to_rfc3339(time.time())))
        return manifest.with_member(new, joins[-1])

    update_manifest(paths, instruct)
    told = [provision.joined(member, by=by) for member in joins]
    append_events(paths.events, told, durable=True)


def has_joined(member: Member) -> bool:
    """Whether a member has come, or is only named as one who is invited."""
    return bool(member.joined_at or member.command)


def _instructed(there: Member, joined: Member) -> Member:
    return replace(
        there,
        role=joined.role,
        kind=joined.kind,
        joined_at=joined.joined_at,
        invitation=joined.invitation,
        command=joined.command,
        preset=joined.preset,
        env=joined.env or there.env,
        network=joined.network if joined.network is not Network.NONE else there.network,
        allow=joined.allow or there.allow,
        forward=joined.forward or there.forward,
        rules=there.rules | joined.rules,
        limits=there.limits | joined.limits,
        isolation=there.isolation | joined.isolation,
    )


def _is_told(paths: CellPaths, event: str, invitation: str) -> bool:
    return any(
        line.event is not None
        and line.event.event == event
        and line.event.data.get("invitation") == invitation
        for line in read_events(paths.events, holding=invitation.encode())
    )


def note_revoked(paths: CellPaths, invitation: str, name: str, by: str) -> None:
    """Write down who has closed an invitation.

    Raises:
        StoreError: the journal refuses.
    """
    now = to_rfc3339(time.time(), 3)
    data = {"by": by, "invitation": invitation}
    line = Event(ts=now, event="invitation_revoked", agent=name, data=data)
    append_events(paths.events, [line], durable=True)


def note_invitation(paths: CellPaths, invitation: str, name: str, role: Role, by: str) -> None:
    """Write down, once, that somebody was invited.

    Raises:
        StoreError: the journal refuses.
    """
    if not _is_told(paths, "agent_invited", invitation):
        data = {"role": role.value, "by": by, "invitation": invitation}
        now = to_rfc3339(time.time(), 3)
        line = Event(ts=now, event="agent_invited", agent=name, data=data)
        append_events(paths.events, [line], durable=True)
