"""Stand inside a cell's walls for a while, with a place and cgroups that are gone afterwards."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from msgspec.structs import replace

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.ownership import owner_in
from lazarus_pit.cells.remove import remove_tree
from lazarus_pit.cells.store import publish_manifest
from lazarus_pit.cli.names import Found
from lazarus_pit.config import Config
from lazarus_pit.core.model import Life, Role
from lazarus_pit.daemon.launching import launch_of
from lazarus_pit.formats.manifest import Member, Network
from lazarus_pit.linux import cgroup
from lazarus_pit.sandboxes import limits, lives
from lazarus_pit.sandboxes.base import Launch

VISITOR = "visitor"
"""What a visitor's own home is called."""
_END_PATIENCE = 10.0
"""Seconds until what a visit left running must be gone."""


def visit(config: Config, found: Found, own: CellPaths, role: Role) -> Launch:
    """Walls like a member's, with a home and a bus of the visitor's own that go with it."""
    member = Member(name=VISITOR, role=role, network=Network.NONE)
    own.private.mkdir(parents=True)
    provision.make_member(own, member, owner_in(found.paths, config.owner))
    publish_manifest(own, found.manifest, to=member.name)
    return replace(
        launch_of(config, own, found.manifest, member, found.paths),
        workspace=str(found.paths.workspace),
    )


@contextlib.contextmanager
def own_place(nursery: Path, paths: CellPaths) -> Iterator[CellPaths]:
    """A place of a visit's own, out of every agent's reach, that is gone with it."""
    own = CellPaths(nursery / f"shell-{secrets.token_hex(8)}", paths.uuid)
    own.root.mkdir(parents=True)
    try:
        yield own
    finally:
        remove_tree(own.root)


@contextlib.contextmanager
def own_tree() -> Iterator[cgroup.Tree | None]:
    """Cgroups of this visit's own: those of the daemon are agents' lives."""
    tree, _ = cgroup.find_tree(f"shell-{os.getpid()}")
    try:
        yield tree
    finally:
        if tree is not None:
            cgroup.remove_tree(tree)


def end(life: Life, tree: cgroup.Tree | None) -> None:
    """End a visit with all that it left running, and take away its traces."""
    lives.destroy(life)
    if life.cgroup:
        cgroup.wait_until_empty(life.cgroup, _END_PATIENCE)
    lives.clean(life)
    limits.forget(life.cgroup, tree)
