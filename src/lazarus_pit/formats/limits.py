"""Limits as people write them: how much an agent, or a cell as a whole, may take.

``0`` is: no limit of ours. What can be counted for a cell as a whole is, where the cell's own
``limits`` name it; the rest of these are what each member has unless its own say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import fields, replace

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text


class Limits(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much may be taken. A megabyte is 2**20 bytes; 0 is no limit."""

    memory_mb: int = 0
    """Memory, what files in memory take included."""
    pids: int = 0
    """Processes and threads at once."""
    cpu_percent: int = 0
    """Processor time; 100 is one processor, always."""
    open_files: int = 65_536
    """Descriptors of one process."""
    file_mb: int = 0
    """The largest file."""
    disk_mb: int = 0
    """Of a cell: what all its agents keep. Of an agent: what is in the places that it alone has."""
    log_mb: int = 64
    """What an agent prints, before its log is put aside for a new one; one old log is kept."""
    tmp_mb: int = 512
    """Each of the sandbox's ``/tmp`` and ``/dev/shm``."""


NONE = Limits(open_files=0, log_mb=0, tmp_mb=0)
LIMITS = tuple(info.name for info in fields(Limits))
SHARED = ("memory_mb", "pids", "cpu_percent", "disk_mb")
"""Those that a cell's own ``limits`` set for the cell as a whole."""
MEGABYTE = 1 << 20
NO_ROOM = "stands still until there is room"
"""What ``state.json`` says of a quota of disk that is exceeded."""

_LEAST: Mapping[str, int] = {"memory_mb": 16, "pids": 8, "open_files": 64, "cpu_percent": 1}
"""Below this nothing would even start."""
_GREATEST = 1 << 30


def check_limit(name: str, value: object) -> int:
    """Return one limit.

    Raises:
        FormatError: no such limit, or no number that could be one; names what was expected.
    """
    if name not in LIMITS:
        known = ", ".join(LIMITS)
        raise FormatError(f"{text.one_line(name, 60)}: no such limit, expected one of {known}")
    least = _LEAST.get(name, 1)
    expected = f"0 (no limit) or a whole number from {least} to {_GREATEST}"
    found: int = text.field(value, int, name, expected)
    if found and not least <= found <= _GREATEST:
        raise FormatError(f"{name}: found {found}, expected {expected}")
    return found


def check_limits(layer: Mapping[str, Any]) -> dict[str, int]:
    """Return a layer of limits, every one right.

    Raises:
        FormatError: one is not; names it. A misspelt limit would be no limit.
    """
    return {name: check_limit(name, value) for name, value in layer.items()}


def limits_of_agent(base: Limits, cell: Mapping[str, Any], member: Mapping[str, Any]) -> Limits:
    """Return what one agent may take: its own limits over its cell's over the configuration's.

    What is set for the cell as a whole, or is a cell's by nature, is not every agent's.

    Raises:
        FormatError: a limit is wrong.
    """
    each = {name: value for name, value in cell.items() if name not in SHARED}
    return replace(base, **{"disk_mb": 0, **check_limits(each), **check_limits(member)})


def limits_of_cell(base: Limits, cell: Mapping[str, Any]) -> Limits:
    """Return what a cell as a whole may take; of the configuration's only ``disk_mb`` is a cell's.

    Raises:
        FormatError: a limit is wrong.
    """
    shared = {name: value for name, value in cell.items() if name in SHARED}
    return replace(NONE, **{"disk_mb": base.disk_mb, **check_limits(shared)})
