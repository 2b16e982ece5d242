"""Choose the sandbox for a daemon: the best that really works here, never silently none."""

from __future__ import annotations

import os
from typing import NamedTuple

import platformdirs

from lazarus_pit.errors import SpawnError
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes import landlock
from lazarus_pit.sandboxes.bare import Bare
from lazarus_pit.sandboxes.base import Sandbox
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap


class Chosen(NamedTuple):
    """The sandbox, and what people must be told about it."""

    sandbox: Sandbox
    unconfined: bool
    notes: tuple[str, ...]
    """Why a better one was passed over."""


def scratch_directory() -> str:
    """Where furniture is kept: gone with the boot for root, in the cache for ordinary users."""
    if os.geteuid() == 0:
        return "/run/lazarus-pit/furniture"
    try:
        cache = platformdirs.user_cache_dir("lazarus-pit")
    except RuntimeError:
        said = "HOME: not set, and this user has no home directory; expected one, or XDG_CACHE_HOME"
        raise SpawnError(said, fatal=True) from None
    return os.path.join(cache, "furniture")


def choose(tree: Tree | None, *, unsafe_no_sandbox: bool, scratch: str = "") -> Chosen:
    """Try the sandboxes from the best down, each by really running something in it.

    Raises:
        SpawnError: none works here and running without was not asked for.
    """
    scratch = scratch or scratch_directory()
    if unsafe_no_sandbox:
        return Chosen(Bare(scratch, tree), unconfined=True, notes=("--unsafe-no-sandbox",))
    bwrap, notes = find_bwrap()
    if bwrap is not None:
        return Chosen(Bubblewrap(bwrap, scratch, tree), unconfined=False, notes=notes)
    fault = landlock.why_not()
    if fault:
        tried = "; ".join((*notes, fault))
        raise SpawnError(f"no sandbox works here, so no agent is started: {tried}", fatal=True)
    gaps = f"Landlock alone: {landlock.GAPS}"
    return Chosen(landlock.Landlock(scratch, tree), unconfined=False, notes=(*notes, gaps))
