"""Agents outside every cell, as the pool last wrote down what it knows of them."""

from __future__ import annotations

import time
from typing import Any

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli import say
from lazarus_pit.core.far import Far, FarPhase
from lazarus_pit.daemon.standing import is_held
from lazarus_pit.errors import LazarusError
from lazarus_pit.pool import memory

HEAD = ("GATEWAY", "STATE", "DEAD FOR", "ATTEMPTS")


def lines(pit: PitPaths) -> list[str]:
    """Return a table of the gateways; nothing where no pool ever watched below this root."""
    try:
        known = memory.recall(pit.pool)
    except LazarusError as error:
        return ["", f"the pool's memory cannot be read: {say.clean(error)}"]
    if not known:
        return []
    watched = is_held(pit.pool_lock)
    note = "" if watched else ": nobody watches them now"
    rows = [_row(one) for one in sorted(known.values(), key=lambda one: one.key)]
    return ["", f"{say.count(len(known), 'gateway')}{note}", *say.table(HEAD, rows, indent="  ")]


def objects(pit: PitPaths) -> list[dict[str, Any]]:
    """Return the same for programs."""
    try:
        known = memory.recall(pit.pool)
    except LazarusError:
        return []
    return [
        {
            "name": one.key,
            "state": _state(one),
            "first_dead_at": one.first_dead_at,
            "attempts": len(one.attempts),
        }
        for one in sorted(known.values(), key=lambda one: one.key)
    ]


def _row(one: Far) -> list[str]:
    since = one.first_dead_at
    gone = "-" if since is None else say.span(max(0.0, time.time() - since))
    return [say.clean(one.key, 60), _state(one), gone, str(len(one.attempts))]


def _state(one: Far) -> str:
    """Return what is being done; a look at it is what ``resurrection-pool --status`` takes."""
    if one.phase is FarPhase.ESCALATED:
        return f"escalated: {one.reason}"
    if one.phase is FarPhase.WATCHED:
        return "watched" if one.first_dead_at is None else "dead"
    return one.phase.value
