"""Rules as people write them: any of the fields of ``core.model.Rules``, layer upon layer."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import isfinite
from typing import Any

from msgspec.structs import FieldInfo, fields, replace

from lazarus_pit.core.model import Rules
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text

RULES: Mapping[str, FieldInfo] = {info.name: info for info in fields(Rules)}

LONGEST = 1e9
"""Seconds of the longest duration, thirty years; and the most of anything else that is measured."""
MOST = 2**53
"""The most of anything that is counted."""

# Where "0 or more" is not enough: (least, greatest).
_BOUNDS: Mapping[str, tuple[float, float]] = {
    "heartbeat_stale_threshold": (0.001, LONGEST),
    "resurrect_after": (0.001, LONGEST),
    "start_timeout": (0.001, LONGEST),
    "backoff_factor": (1, 1000),
    "backoff_jitter": (0, 1),
    "max_revive_attempts": (0, 1_000_000),
}
_EXIT_CODES = "a list of exit codes, 0 to 255"


def check_number(value: float, least: float, greatest: float, name: str) -> None:
    """Pass a number that lies within its bounds.

    Raises:
        FormatError: it does not, or it is no finite number at all.
    """
    if isfinite(value) and least <= value <= greatest:
        return
    upper = f" and at most {_digits(greatest)}" if isfinite(greatest) else ""
    found = f"found {_digits(value)}, expected at least {_digits(least)}{upper}"
    raise FormatError(f"{name}: {found}")


def _digits(value: float) -> str:
    """Return a whole number as people write it, and any other as it is best read."""
    whole = isfinite(value) and abs(value) <= MOST and value == int(value)
    return str(int(value)) if whole else f"{value:g}"


def expectation(kind: Any) -> str:
    """Return what a field of this type expects, in people's words."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return "one of " + ", ".join(kind)
    words = {float: "a number", int: "a whole number", str: "a text", bool: "true or false"}
    return words.get(kind, _EXIT_CODES)


def check_rule(name: str, value: object) -> Any:
    """Return one rule, converted.

    Raises:
        FormatError: wrong type or out of bounds; names the rule, what was found and expected.
    """
    kind = RULES[name].type
    found = text.field(value, kind, name, expectation(kind))
    if isinstance(found, int | float):
        most = LONGEST if kind is float else MOST
        check_number(found, *_BOUNDS.get(name, (0, most)), name)
    if isinstance(found, tuple) and not all(0 <= code <= 255 for code in found):
        raise FormatError(f"{name}: expected {_EXIT_CODES}")
    return found


def check_rules(layer: Mapping[str, Any]) -> None:
    """Pass a layer whose known rules are all right; unknown ones are kept for others.

    Raises:
        FormatError: a known rule has a wrong value.
    """
    for name, value in layer.items():
        if name in RULES:
            check_rule(name, value)


def unknown_rules(layer: Mapping[str, Any]) -> list[str]:
    """Return the names in a layer that are no rule of ours, for a warning."""
    return [name for name in layer if name not in RULES]


def merge_rules(base: Rules, *layers: Mapping[str, Any]) -> Rules:
    """Return the rules that hold: each layer wins over the ones before it.

    Raises:
        FormatError: a known rule has a wrong value.
    """
    changes = {
        name: check_rule(name, value)
        for layer in layers
        for name, value in layer.items()
        if name in RULES
    }
    return replace(base, **changes)
