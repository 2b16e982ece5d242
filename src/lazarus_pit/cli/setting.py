"""``lazarus cell set`` and ``lazarus agent set``: settings of what is there already."""

from __future__ import annotations

import json as jsons
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from cyclopts import Parameter

from lazarus_pit.cells.changing import change_settings
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cli import say
from lazarus_pit.cli.names import find_agent, find_cell
from lazarus_pit.cli.place import HERE, AgentName, CellName, Place, who
from lazarus_pit.cli.pulse import feel
from lazarus_pit.errors import FormatError, UsageError
from lazarus_pit.formats import settings
from lazarus_pit.formats.settings import OF_AGENTS, OF_CELLS

Settings = Annotated[
    str, Parameter(help="NAME=VALUE, or NAME= to take it away: then what is said elsewhere holds.")
]
By = Annotated[str | None, Parameter(name="--as", help="Who changes it; the user where left out.")]


class _Whose(NamedTuple):
    """Whose settings are meant."""

    pit: PitPaths
    paths: CellPaths
    typed: str
    member: str = ""
    """Empty: the cell's."""


def set_cell(cell: CellName, /, *setting: Settings, by: By = None, place: Place = HERE) -> int:
    """Change settings of a cell, and of all its members."""
    wishes = _read("cell set", setting, OF_CELLS)
    paths, _ = find_cell(place.pit(), cell)
    return _change(_Whose(place.pit(), paths, cell), wishes, by or who())


def set_agent(agent: AgentName, /, *setting: Settings, by: By = None, place: Place = HERE) -> int:
    """Change settings of one agent; they win over those of its cell."""
    wishes = _read("agent set", setting, OF_AGENTS)
    found = find_agent(place.pit(), agent)
    return _change(_Whose(place.pit(), found.paths, agent, found.name), wishes, by or who())


def _read(verb: str, words: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    if not words:
        raise UsageError(f"{verb}: expected NAME=VALUE, with one of {', '.join(known)}")
    try:
        return settings.read(words, known)
    except FormatError as error:
        raise UsageError(f"{verb}: {error}") from None


def _change(whose: _Whose, wishes: dict[str, Any], by: str) -> int:
    """Write it down and say what holds from when on.

    Raises:
        UsageError: a value is none that the setting can have.
    """
    try:
        changes = change_settings(whose.paths, whose.member, wishes, by)
    except FormatError as error:
        raise UsageError(f"{'agent' if whose.member else 'cell'} set: {error}") from None
    if not changes:
        say.line("nothing has changed: it is so already")
    for one in changes:
        say.line(f"{one.name}: {_words(one.after)} (was {_words(one.before)})")
    later = [one.name for one in changes if settings.waits_for_a_life(one.name)]
    if later:
        those = "an agent's next life, `lazarus revive CELL/AGENT`"
        if whose.member:
            those = f"its next life, `lazarus revive {say.clean(whose.typed, 200)}`"
        say.line(f"{', '.join(later)}: from {those}")
    if len(later) < len(changes):
        what = "the rest" if later else "this"
        up = feel(whose.pit).up
        say.line(f"{what} holds from now on" if up else f"{what} takes effect at `lazarus up`")
    return 0


def _words(value: Any) -> str:
    if value is None:
        return "not set"
    return say.clean(value if isinstance(value, str) else jsons.dumps(value), 200)
