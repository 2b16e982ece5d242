"""``lazarus cells``, ``lazarus cell create``, ``lazarus cell show``."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.proposed import fill_in, name_from, names_of, unheeded
from lazarus_pit.cells.view import CellView, see_cells
from lazarus_pit.cli import inviting, proposing, say, widening
from lazarus_pit.cli.names import find_cell, see_found
from lazarus_pit.cli.place import HERE, CellName, Json, Place, owner_of, who
from lazarus_pit.cli.status import HEAD, cell_object, row
from lazarus_pit.core.model import CellStatus
from lazarus_pit.daemon import teaming
from lazarus_pit.daemon.teaming import Guest
from lazarus_pit.errors import UsageError
from lazarus_pit.formats.manifest import SHORTEST, Kind, Manifest, Member
from lazarus_pit.formats.names import is_agent_name
from lazarus_pit.formats.proposal import Proposal
from lazarus_pit.formats.rules import LONGEST
from lazarus_pit.records.invitations import Given

PROPOSED_TTL = 7 * 86400.0
"""Seconds for which those whom a proposal names may join."""


Interval = Annotated[
    float | None, Parameter(help="Seconds between two checkpoints that the daemon takes by itself.")
]
Idle = Annotated[
    float | None,
    Parameter(help="Seconds without progress or mail after which the cell freezes by itself."),
]


def cells(*, json: Json = False, place: Place = HERE) -> int:
    """List every cell, archived and unreadable ones too."""
    pit = place.pit()
    found = see_cells(pit)
    if json:
        say.as_json({"root": str(pit.root), "cells": [cell_object(cell) for cell in found]})
        return 0
    if not found:
        say.line(f"no cell below {pit.root}")
    for cell in found:
        say.line(listing_line(cell))
    return 0


def listing_line(cell: CellView) -> str:
    """Return ``<uuid>: <status> … <mission>`` (contract 2.7)."""
    if cell.manifest is None:
        return say.clean(f"{cell.uuid}: unreadable … {cell.problem}", 300)
    members = say.count(len(cell.manifest.agents), "member")
    name = f"{cell.manifest.name}, " if cell.manifest.name else ""
    return say.clean(f"{cell.uuid}: {cell.status} ({name}{members}) … {cell.manifest.mission}", 300)


def show(cell: CellName, /, *, json: Json = False, place: Place = HERE) -> int:
    """Show one cell."""
    view = see_found(find_cell(place.pit(), cell))
    if json:
        say.as_json(cell_object(view))
        return 0
    manifest = view.manifest
    facts = {"cell": view.uuid, "status": view.standing, "path": view.path, "problem": view.problem}
    if manifest is not None:
        facts |= {
            "name": manifest.name or "",
            "mission": manifest.mission,
            "created": f"{manifest.created_at} by {manifest.created_by}",
            "repository": manifest.repo or "",
            "issue": f"#{manifest.gitea_issue}" if manifest.gitea_issue else "",
            "rules": _words(manifest.rules),
            "limits": _words(manifest.limits),
        }
    for name, value in facts.items():
        if value:
            say.line(f"{name + ':':12}{say.clean(value)}")
    if view.agents:
        for text in say.table(HEAD, [row(agent) for agent in view.agents]):
            say.line(text)
    for agent in view.agents:
        for text in widening.lines(agent.openings):
            say.line(f"{agent.name} {text}")
        for limit, means in (agent.health.limits if agent.health else {}).items():
            say.line(f"{agent.name} limit {limit}: {say.clean(means, 200)}")
    return 0


def path(cell: CellName, /, *, place: Place = HERE) -> int:
    """Print a cell's directory and nothing else; its ``workspace`` is what agents share."""
    say.line(str(find_cell(place.pit(), cell).paths.cell))
    return 0


def _words(rules: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in rules.items())


def create(
    *,
    name: Annotated[str | None, Parameter(help="A short name to call it by.")] = None,
    mission: Annotated[str, Parameter(help="What it is for, in a sentence.")] = "",
    from_proposal: Annotated[
        str | None,
        Parameter(help="FILE or ISSUE number: a filled-in mission proposal to make it from."),
    ] = None,
    repo: Annotated[str | None, Parameter(help="The repository, owner/name.")] = None,
    issue: Annotated[int | None, Parameter(help="The number of the mission's issue.")] = None,
    by: Annotated[str | None, Parameter(help="Who creates it; the user where left out.")] = None,
    checkpoint_interval: Interval = None,
    idle_freeze_after: Idle = None,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Create a mission cell and print its UUID."""
    config = place.settings()
    source = proposing.read_from(from_proposal, config.gitea, repo) if from_proposal else None
    proposal = source.proposal if source else None
    if proposal is None and not mission:
        raise UsageError("cell create: expected --mission TEXT or --from-proposal FILE|NUMBER")
    wanted = Manifest(
        uuid=provision.new_uuid(),
        status=CellStatus.ACTIVE,
        mission=mission or (proposal.title if proposal else ""),
        name=_cell_name(name, proposal, names_of(config.root)),
        created_by=by or who(),
        repo=repo or (source.repo if source else None),
        gitea_issue=issue or (source.issue if source else None),
    )
    if proposal is not None:
        wanted = fill_in(wanted, proposal)
    invited = proposal.isolation.read_only_homes if proposal else ()
    homes, missing = widening.homes_of(invited, config.root)
    if homes:
        wanted = msgspec.structs.replace(wanted, isolation={"ro": homes})
    wanted = msgspec.structs.replace(
        wanted,
        **_rhythm(checkpoint_interval=checkpoint_interval, idle_freeze_after=idle_freeze_after),
    )
    paths = provision.create_cell(config.root, wanted, owner_of(config), invited=True)
    given = [_invite(place.pit(), paths, member, wanted.created_by) for member in wanted.agents]
    if json:
        tokens = {one.invitation.name: one.token for one in given}
        named = {"uuid": wanted.uuid, "name": wanted.name, "path": str(paths.cell)}
        say.as_json(named | {"invited": tokens})
        return 0
    say.line(wanted.uuid)
    say.complain(f"cell {wanted.name or wanted.uuid[:8]} created at {paths.cell}")
    for one in given:
        say.complain(inviting.how_to_join(one, wanted.name or wanted.uuid[:8]))
    for home in homes:
        say.complain(f"every member may read {home}, as far as its files' modes allow")
    for note in missing:
        say.complain(note)
    if proposal and (wishes := unheeded(proposal)):
        say.complain(f"kept in cell.json, not acted on: {', '.join(wishes)}")
    return 0


def _invite(pit: PitPaths, paths: CellPaths, member: Member, by: str) -> Given:
    """Give a member that a proposal names its token; ``lazarus spawn`` needs none."""
    guest = Guest(member.name, member.role, human=member.kind is Kind.HUMAN, by=by)
    return teaming.invite(pit, paths, guest, PROPOSED_TTL)


def _rhythm(**given: float | None) -> dict[str, float]:
    """Return the durations that were given; each must be one."""
    for name, seconds in given.items():
        if seconds is not None and not SHORTEST <= seconds <= LONGEST:
            flag, bounds = name.replace("_", "-"), f"{SHORTEST:g} to {LONGEST:g} seconds"
            raise UsageError(f"--{flag}: found {seconds:g}, expected {bounds}")
    return {name: seconds for name, seconds in given.items() if seconds is not None}


def _cell_name(wanted: str | None, proposal: Proposal | None, taken: set[str | None]) -> str | None:
    """Check the name that was asked for, or make one of the title if that is free."""
    if wanted is None:
        return name_from(proposal.title, taken) if proposal else None
    check_free_name(wanted, taken)
    return wanted


def check_free_name(wanted: str, taken: set[str | None]) -> None:
    """Pass a name that a new cell may have.

    Raises:
        UsageError: it is no name, or another cell has it.
    """
    if not is_agent_name(wanted):
        raise UsageError(
            f"--name: found {say.clean(wanted, 80)!r}, expected 1 to 64 of a-z 0-9 . _ -"
        )
    if wanted in taken:
        raise UsageError(f"--name: there is a cell {wanted!r} already, expected a new name")
