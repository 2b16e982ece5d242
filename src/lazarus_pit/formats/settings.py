"""Settings of a cell and of its members as people change them later: ``NAME=VALUE``, one by one.

What is set here are wishes that the daemon reads while it runs. Walls, programs and environments
are none of it: they are said when an agent joins.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import manifest as manifests
from lazarus_pit.formats import text
from lazarus_pit.formats.limits import LIMITS, check_limit
from lazarus_pit.formats.manifest import Manifest, with_member
from lazarus_pit.formats.rules import RULES, check_rule

OWN = ("mission", "checkpoint_interval", "idle_freeze_after")
"""Fields of the cell itself."""
KEPT = tuple(f"checkpoints_kept.{name}" for name in ("last", "hourly", "daily"))
OF_AGENTS = (*RULES, *LIMITS)
OF_CELLS = (*OWN, *KEPT, *OF_AGENTS)
_KEPT_MOST = 1_000_000


class Change(NamedTuple):
    """One setting that is now another; ``None``: what holds is said elsewhere, or by default."""

    name: str
    before: Any
    after: Any


def read(words: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """Return what is wished for; numbers and lists are JSON, anything else is a text.

    ``NAME=`` is ``None``: the setting is taken away.

    Raises:
        FormatError: a word is no setting, or no such one; names it and what was expected.
    """
    wishes: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        shown = text.one_line(name, 60)
        if not equals:
            raise FormatError(f"{shown}: expected NAME=VALUE, or NAME= to take it away")
        if name not in known:
            raise FormatError(f"{shown}: no such setting, expected one of {', '.join(known)}")
        if name in wishes:
            raise FormatError(f"{shown}: expected once")
        wishes[name] = _value(name, value)
    return wishes


def _value(name: str, value: str) -> Any:
    if not value:
        return None
    if name == "mission":
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def changed(old: Manifest, member: str, wishes: Mapping[str, Any]) -> tuple[Manifest, list[Change]]:
    """Return the manifest as it is wished for, and what of it is new.

    Args:
        old: the manifest as it stands.
        member: whose settings they are; empty for the cell's.
        wishes: by name, as ``read`` gives them.

    Raises:
        FormatError: a value is wrong; names the setting, what was found and expected.
        KeyError: there is no such member.
    """
    found = old.member(member) if member else old
    if found is None:
        raise KeyError(member)
    layers: dict[str, dict[str, Any]] = {}
    fields: dict[str, Any] = {}
    changes = []
    for name, value in wishes.items():
        layer, key = _place(name)
        if layer:
            there = layers.setdefault(layer, dict(getattr(found, layer)))
            before = there.pop(key, None)
            if value is not None:
                there[key] = _checked(name, value)
        else:
            before = getattr(found, name) or None
            fields[name] = "" if value is None and name == "mission" else value
        if before != value:
            changes.append(Change(name, before, value))
    new = replace(found, **layers, **fields)
    whole = new if isinstance(new, Manifest) else with_member(old, new)
    return manifests.parse(manifests.encode(whole)), changes


def _place(name: str) -> tuple[str, str]:
    """Return the object in which a setting stands, and its name there."""
    if name in RULES:
        return "rules", name
    if name in LIMITS:
        return "limits", name
    layer, dot, key = name.partition(".")
    return (layer, key) if dot else ("", name)


def _checked(name: str, value: Any) -> Any:
    """Return a value as JSON has it, once it is known to be right."""
    if name in RULES:
        check_rule(name, value)
    elif name in LIMITS:
        check_limit(name, value)
    else:
        text.field(value, int, name, f"a whole number from 0 to {_KEPT_MOST}")
        if not 0 <= value <= _KEPT_MOST:
            raise FormatError(f"{name}: found {value}, expected 0 to {_KEPT_MOST}")
    return value


def waits_for_a_life(name: str) -> bool:
    """Whether a setting holds only from an agent's next life; the others hold at once."""
    return name in LIMITS and name != "disk_mb"
