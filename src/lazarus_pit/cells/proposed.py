"""What a mission proposal makes of a cell's manifest."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

import msgspec

from lazarus_pit.cells.listing import list_cells
from lazarus_pit.formats.manifest import Kind, Manifest, Member, Network
from lazarus_pit.formats.proposal import Proposal

NAME_LENGTH = 40
"""Letters of a cell's name that is made from its title."""


def names_of(root: Path) -> set[str | None]:
    """Return the names that cells below a root have."""
    return {listed.manifest.name for listed in list_cells(root) if listed.manifest}


def name_from(title: str, taken: Collection[str | None]) -> str | None:
    """Return a short name made of a title; ``None`` where nothing is left of it, or it is taken."""
    made = re.sub(r"[^a-z0-9]+", "-", title.lower())[:NAME_LENGTH].strip("-")
    return made if made and made not in taken else None


def fill_in(wanted: Manifest, proposal: Proposal) -> Manifest:
    """Return the manifest with what the proposal says; the whole of it is kept beside."""
    network = Network.HOST if proposal.isolation.external_network else Network.NONE
    members = tuple(
        Member(
            name=invited.name,
            role=invited.role,
            kind=Kind.HUMAN if invited.human else Kind.AGENT,
            network=network,
        )
        for invited in proposal.agents
    )
    attempts = proposal.configuration.max_revive_attempts
    return msgspec.structs.replace(
        wanted,
        agents=members,
        rules={} if attempts is None else {"max_revive_attempts": attempts},
        checkpoint_interval=proposal.configuration.checkpoint_interval,
        found={"proposal": msgspec.to_builtins(proposal)},
    )


def unheeded(proposal: Proposal) -> list[str]:
    """Return which wishes of a proposal are only written down."""
    wishes = {
        "max duration": proposal.configuration.max_duration,
        "auto-archive on close": proposal.configuration.auto_archive,
    }
    return [name for name, wish in wishes.items() if wish]
