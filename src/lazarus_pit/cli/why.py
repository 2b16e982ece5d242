"""``lazarus why``: the readings and decisions behind an agent's state, and what comes next."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from lazarus_pit.cells.journal import latest
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.view import see_cell
from lazarus_pit.cli import approvals, outlook, say
from lazarus_pit.cli.names import FoundAgent, find_agent
from lazarus_pit.cli.place import HERE, AgentName, Json, Place
from lazarus_pit.cli.pulse import feel, headline
from lazarus_pit.cli.sentences import timed
from lazarus_pit.cli.status import agent_object
from lazarus_pit.config import Config
from lazarus_pit.core.model import Rules
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats.journal import Event, to_object
from lazarus_pit.formats.manifest import rules_of

DECISIONS = 12
"""How many of the latest decisions are told."""
CHATTER = ("heartbeat",)
"""Events that decide nothing."""
PITS = (
    "observer_doubted",
    "revival_storm",
    "root_unreadable",
    "records_damaged",
    "store_failed",
    "store_recovered",
    "network_proxy_lost",
)
"""Events of the pit itself that bear on what is decided about an agent."""
CELLS = ("cell_frozen", "cell_thawed", "cell_restored", "cell_undone")
"""Events of the whole cell that happen to each agent of it."""


class Explained(NamedTuple):
    """An agent's state explained: for people, and for programs."""

    lines: list[str]
    whole: dict[str, Any]


def why(agent: AgentName, /, *, json: Json = False, place: Place = HERE) -> int:
    """Explain an agent's state: the readings, the decision, what comes next."""
    found = explain(place.settings(), agent)
    if json:
        say.as_json(found.whole)
        return 0
    for line in found.lines:
        say.line(line)
    return 0


def explain(config: Config, agent: str) -> Explained:
    """Return why an agent is as it is.

    Raises:
        UsageError: no agent, or several, are meant.
        FormatError: it has just left, or its cell's manifest cannot be read.
    """
    pit = PitPaths(config.root)
    found = find_agent(pit, agent)
    member = found.manifest.member(found.name)
    if member is None:
        raise FormatError(f"{found.paths.manifest}: {found.name} has just left")
    seen = next(a for a in see_cell(found.paths).agents if a.name == found.name)
    rules = rules_of(found.manifest, member, config.rules)
    pulse = feel(pit)
    decisions = _decisions(pit, found)
    label = f"{found.manifest.name or found.paths.uuid[:8]}/{found.name}"
    told = outlook.foretell(label, seen, rules, time.time(), up=pulse.up)
    asked = approvals.questions(pit).get(f"{found.paths.uuid}/{found.name}")
    if asked is not None:
        yes, no = approvals.answers(asked)
        more = (f"{yes}   yes to its question", f"{no}   no to it; nobody is ended by that")
        told = told._replace(commands=(*more, *told.commands))
    whole = {"cell": found.paths.uuid, "daemon_up": pulse.up, "agent": agent_object(seen)}
    lines = [
        headline(pit, pulse),
        "",
        f"{label} is {outlook.standing(seen, time.time())}",
        *(f"  {line}" for line in outlook.readings(seen, time.time())),
        *([f"  it asks people: {approvals.question_words(asked)}"] if asked else []),
        "",
        "How it came to this:",
        *(f"  {timed(event)}" for event in decisions or []),
        *([] if decisions else ["  nothing has been decided about it yet"]),
        "",
        "What comes next:",
        *(f"  {line}" for line in told.coming),
        "",
        "What changes it:",
        *(f"  {line}" for line in told.commands),
    ]
    return Explained(lines, {**whole, **_as_object(rules, decisions, told)})


def _decisions(pit: PitPaths, found: FoundAgent) -> list[Event]:
    """Return the latest events about this agent, and those about the pit's eyes since the first."""
    own = _latest(
        found.paths.events,
        lambda event: (
            (event.agent == found.name and event.event not in CHATTER)
            or (event.agent is None and event.event in CELLS)
        ),
    )
    if not own:
        return []
    first = own[0].ts
    pits = _latest(pit.events, lambda event: event.event in PITS and event.ts >= first)
    return sorted([*own, *pits], key=lambda event: event.ts)


def _latest(path: Path, wanted: Callable[[Event], bool]) -> list[Event]:
    try:
        return latest(path, wanted, DECISIONS)
    except StoreError:
        return []  # Nothing has been told yet, or it is not to be read.


def _as_object(rules: Rules, decisions: list[Event], told: outlook.Outlook) -> dict[str, Any]:
    return {
        "rules": msgspec.to_builtins(rules),
        "decisions": [to_object(event) for event in decisions],
        "next": list(told.coming),
        "next_decision": told.at,
        "commands": list(told.commands),
    }
