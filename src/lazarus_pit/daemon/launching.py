"""The walls of one member, worked out from its manifest: before any life, and for people to see."""

from __future__ import annotations

import os

from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.ownership import owner_in
from lazarus_pit.config import Config
from lazarus_pit.core.model import Role
from lazarus_pit.formats.limits import limits_of_agent, limits_of_cell
from lazarus_pit.formats.manifest import Manifest, Member
from lazarus_pit.sandboxes.base import Launch


def launch_of(
    config: Config,
    paths: CellPaths,
    manifest: Manifest,
    member: Member,
    cell: CellPaths | None = None,
) -> Launch:
    """Return what all lives of a member have in common, with nothing opened beyond its walls.

    ``cell`` is whose walls they are, where what the member has to itself lies elsewhere.
    """
    name, owner = member.name, owner_in(cell or paths, config.owner)
    first = (config.owner.uid, config.owner.gid)
    return Launch(
        key=f"{paths.uuid}/{name}",
        uuid=paths.uuid,
        agent=name,
        role=member.role,
        generation=0,
        argv=member.command,
        env=member.env,
        network=member.network.value,
        allow=member.allow,
        forward=member.forward,
        workspace=str(paths.workspace),
        reviews=paths.reviews.name if member.role is Role.REVIEWER else "",
        home=str(paths.home(name)),
        heartbeat_dir=str(paths.beats(name)),
        inbox=str(paths.inbox(name)),
        outbox=str(paths.outbox(name)),
        pub_dir=str(paths.published(name)),
        log_file=str(paths.log(name)),
        status_file="",
        uid=owner.uid if os.geteuid() == 0 else None,
        gid=owner.gid if os.geteuid() == 0 else None,
        seen_as=first if owner[:2] != first else None,
        limits=limits_of_agent(config.limits, manifest.limits, member.limits),
        cell_limits=limits_of_cell(config.limits, manifest.limits),
    )
