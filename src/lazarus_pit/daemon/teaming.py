"""How somebody comes into a cell and goes: invitations in the records, members in ``cell.json``.

The manifest decides who is a member; the records follow it. Each step can be cut short: what was
begun is finished by whoever asks again, and nobody joins twice.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from msgspec.structs import replace

from lazarus_pit.cells import membership, provision
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.provision import Owner
from lazarus_pit.cells.store import read_manifest
from lazarus_pit.core.model import Role, Seconds
from lazarus_pit.errors import RefusedError, UsageError
from lazarus_pit.formats.manifest import Kind, Manifest, Member
from lazarus_pit.records import invitations as records
from lazarus_pit.records.database import opened_records
from lazarus_pit.records.invitations import Given, Invitation

TTL: Seconds = 86400.0
"""How long an invitation is open unless somebody says otherwise."""
TTL_MAX: Seconds = 30 * 86400.0


class Guest(NamedTuple):
    """Who is to be invited, and by whom."""

    name: str
    role: Role
    human: bool = False
    by: str = ""


class Joined(NamedTuple):
    """What became of a token."""

    paths: CellPaths
    manifest: Manifest
    invitation: Invitation
    new: bool
    """``False``: a forerunner that was cut short had let it in already."""


def invite(
    pit: PitPaths, paths: CellPaths, guest: Guest, ttl: Seconds = TTL, asked_in: str | None = None
) -> Given:
    """Invite somebody into a cell; the token is for whoever is to join.

    ``asked_in`` names the request that this answers: it may be answered again after a crash.

    Raises:
        RefusedError: the cell has ended, the name is taken, or an invitation of it is open.
        FormatError: the manifest cannot be read.
        StoreError: the records refuse; nobody is invited.
    """
    manifest = read_manifest(paths)
    provision.refuse_ended(manifest)
    provision.refuse_reserved(guest.name)
    there = manifest.member(guest.name)
    if there is not None and membership.has_joined(there):
        raise RefusedError(f"cell {paths.uuid}: {guest.name} is a member already")
    now = time.time()
    with opened_records(pit.records) as db:
        given = records.invite(
            db,
            paths.uuid,
            guest.name,
            guest.role,
            human=guest.human,
            by=guest.by,
            expires=now + ttl,
            now=now,
            asked_in=asked_in,
        )
    membership.note_invitation(paths, given.invitation.id, guest.name, guest.role, guest.by)
    return given


def join(pit: PitPaths, token: str, launch: Member | None, owner: Owner, by: str = "") -> Joined:
    """Let in whoever holds this token; ``by`` is who does.

    ``launch`` says how an agent starts; its name and role are the invitation's.

    Raises:
        UsageError: there is no such invitation, or ``launch`` does not fit it.
        RefusedError: it was used, revoked or is too old; the cell has ended; the name is taken.
        FormatError: the manifest cannot be read.
        StoreError: the machine refused; the token can be used again.
    """
    found = invited(pit, token)
    with opened_records(pit.records) as db:
        paths = pit.cell(found.cell)
        guest = _member(found, launch)
        new = membership.accept(paths, guest, owner, lambda: invited(pit, token), by)
        records.close(db, found.id, "accepted", time.time())
    manifest = read_manifest(paths)
    member = manifest.member(found.name)
    if not new and launch is not None and (member is None or member.command != launch.command):
        raise RefusedError(f"the invitation of {found.name} {_ENDS['accepted']}")
    return Joined(paths, manifest, found, new)


def invited(pit: PitPaths, token: str) -> Invitation:
    """Return the open invitation that a token belongs to.

    Raises:
        UsageError: there is no such invitation.
        RefusedError: it was used, revoked or is too old.
        StoreError: the records refuse.
    """
    if not pit.records.exists():
        raise UsageError(f"TOKEN: nobody was ever invited below {pit.root}")
    with opened_records(pit.records) as db:
        found = records.of_token(db, token, time.time())
    if found is None:
        raise UsageError("TOKEN: no invitation has this token; see `lazarus invitations`")
    if found.state != "open":
        raise RefusedError(f"the invitation of {found.name} {_ENDS[found.state]}")
    return found


_ENDS = {
    "accepted": "was accepted before: it lets one in, once",
    "revoked": "was revoked",
    "expired": "is too old: `lazarus invite` makes another",
}


def _member(found: Invitation, launch: Member | None) -> Member:
    """Return the member to be.

    Raises:
        UsageError: an agent without a program, or a person with one.
    """
    if found.human and launch is not None:
        raise UsageError(f"{found.name} is invited as a person, expected no program")
    if not found.human and launch is None:
        raise UsageError(
            f"{found.name} is invited as an agent, expected `lazarus join TOKEN -- PROGRAM …`"
        )
    kind = Kind.HUMAN if found.human else Kind.AGENT
    known = launch or Member(name=found.name, role=found.role)
    return replace(known, name=found.name, role=found.role, kind=kind, invitation=found.id)


def close(pit: PitPaths, uuid: str, name: str, state: records.State) -> bool:
    """Close the open invitation of a name, if there is one: it has come by another way, or is out.

    Raises:
        StoreError: the records refuse.
    """
    if not pit.records.exists():
        return False
    with opened_records(pit.records) as db:
        return records.close_for(db, uuid, name, state, time.time())


def remove(pit: PitPaths, paths: CellPaths, name: str, by: str = "") -> Manifest:
    """Take a member out; an invitation of its name that is open lets nobody in again.

    Raises:
        RefusedError: there is no such member, or the cell has ended.
        FormatError: the manifest cannot be read.
        StoreError: the machine refused.
    """
    close(pit, paths.uuid, name, "revoked")
    return provision.remove_member(paths, name, by)
