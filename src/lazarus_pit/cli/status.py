"""``lazarus status``: the cells that are watched, and how each agent is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.view import AgentView, CellView, see_cells
from lazarus_pit.cli import approvals, gateways, say
from lazarus_pit.cli.place import HERE, Json, Place
from lazarus_pit.cli.pulse import Pulse, feel, headline
from lazarus_pit.cli.sentences import NEEDS
from lazarus_pit.core.model import Phase
from lazarus_pit.formats.isolation import words
from lazarus_pit.formats.limits import NO_ROOM
from lazarus_pit.records.approvals import Request

HEAD = ("AGENT", "STATE", "VERDICT", "BEAT", "GEN", "ATTEMPTS LEFT", "PID", "MAIL", "SAYS")
REASONED = (Phase.ESCALATED, Phase.HELD)
"""States that say little without their reason."""
NEEDS_A_PERSON = ("escalated", "awaiting", *(f"held: {why}" for why in NEEDS))
"""What the table shows of an agent that goes on only when somebody acts."""


def status(*, json: Json = False, place: Place = HERE) -> int:
    """Show the cells and agents that are watched. Changes nothing; works without the daemon."""
    pit = place.pit()
    pulse = feel(pit)
    cells = [cell for cell in see_cells(pit) if cell.is_watched or cell.manifest is None]
    if json:
        say.as_json(as_object(pit, pulse, cells))
        return 0
    say.line(headline(pit, pulse))
    if not cells:
        say.line("no cell is active; `lazarus cell create` makes one")
    for cell in cells:
        for text in cell_lines(cell):
            say.line(text)
    calls = _calls_for_people(cells, approvals.questions(pit))
    for text in (*gateways.lines(pit), *_wide(cells), *calls):
        say.line(text)
    return 0


def cell_lines(cell: CellView) -> list[str]:
    """Return a cell's heading and the table of its agents."""
    mission = cell.manifest.mission if cell.manifest else ""
    head = [
        cell.uuid,
        *([cell.label] if cell.label != cell.uuid[:8] else []),
        cell.standing,
        mission,
    ]
    lines = ["", say.clean("  ".join(head), 160)]
    if cell.problem:
        lines.append(f"  {say.clean(cell.problem)}")
    if cell.agents:
        lines += say.table(HEAD, [row(agent) for agent in cell.agents], indent="  ")
    return lines


def row(agent: AgentView) -> list[str]:
    """Return an agent's line of the table, in the order of ``HEAD``."""
    health = agent.health
    if health is None:
        beat = say.span(agent.beat_age)
        return [agent.name, agent.shown, "-", beat, "-", "-", "-", str(agent.unread), "-"]
    left = attempts_left(agent)
    return [
        agent.name,
        state_words(agent),
        health.verdict,
        say.span(agent.beat_age),
        str(health.generation),
        "-" if left is None else str(left),
        str(health.pid or "-"),
        str(agent.unread),
        say.clean(health.status or "-", 40),
    ]


def state_words(agent: AgentView) -> str:
    """Return the state, with its reason where it means little without."""
    health = agent.health
    reasoned = health is not None and health.phase in REASONED and agent.shown == health.phase
    return f"{agent.shown}: {health.reason}" if health and reasoned else agent.shown


def attempts_left(agent: AgentView) -> int | None:
    """Return how many revives the pit may still make; ``None`` where no daemon said."""
    readings = agent.health.readings if agent.health else {}
    used, most = readings.get("attempts_used"), readings.get("attempts_max")
    return max(0, most - used) if isinstance(used, int) and isinstance(most, int) else None


def _wide(cells: list[CellView]) -> list[str]:
    """Name every path outside its cell that an agent can write."""
    return [
        say.clean(f"WIDER THAN ITS CELL: {cell.label}/{agent.name} writes {path}")
        for cell in cells
        for agent in cell.agents
        for path in agent.openings.rw
    ]


def _calls_for_people(cells: list[CellView], asking: Mapping[str, Request]) -> list[str]:
    """Name what waits for somebody, with the command that answers it."""
    calls = []
    for cell in cells:
        for agent in cell.agents:
            name = f"{cell.label}/{agent.name}"
            if needs_a_person(agent):
                calls.append(f"needs you: `lazarus why {name}`")
            if asked := asking.get(f"{cell.uuid}/{agent.name}"):
                yes, no = approvals.answers(asked)
                words = approvals.question_words(asked)
                calls.append(f"needs you: {name} asks {words}: `{yes}` or `{no}`")
    return ["", *calls] if calls else []


def needs_a_person(agent: AgentView) -> bool:
    """Whether it goes on only when somebody acts."""
    return state_words(agent).startswith(NEEDS_A_PERSON) or _has_no_room(agent)


def _has_no_room(agent: AgentView) -> bool:
    """Whether it stands still since the disk holds all that it may keep."""
    bounds = agent.health.limits if agent.health else {}
    return any(NO_ROOM in bounds.get(name, "") for name in ("disk_mb", "cell disk_mb"))


def as_object(pit: PitPaths, pulse: Pulse, cells: list[CellView]) -> dict[str, Any]:
    """Return the whole view in the documented shape."""
    report = pulse.report
    return {
        "root": str(pit.root),
        "daemon": {
            "up": pulse.up,
            "pid": report.pid if report and pulse.up else None,
            "last_sweep_age": pulse.age,
            "sandbox": report.sandbox if report else None,
            "unconfined": report.unconfined if report else None,
            "cgroups": report.cgroups if report else None,
        },
        "as_of": round(time.time(), 3),
        "cells": [cell_object(cell) for cell in cells],
        **({"gateways": far} if (far := gateways.objects(pit)) else {}),
    }


def cell_object(cell: CellView) -> dict[str, Any]:
    """Return one cell in the documented shape."""
    manifest = cell.manifest
    return {
        "uuid": cell.uuid,
        "name": manifest.name if manifest else None,
        "status": cell.status,
        "asleep": cell.asleep,
        "mission": manifest.mission if manifest else None,
        "created_at": manifest.created_at if manifest else None,
        "created_by": manifest.created_by if manifest else None,
        "path": cell.path,
        "problem": cell.problem or None,
        "agents": [agent_object(agent) for agent in cell.agents],
    }


def agent_object(agent: AgentView) -> dict[str, Any]:
    """Return one agent in the documented shape; ``null`` is what no daemon has said."""
    health = agent.health
    return {
        "name": agent.name,
        "role": agent.role,
        "kind": agent.kind,
        "desired": agent.desired,
        "state": agent.shown,
        "phase": health.phase if health else None,
        "reason": health.reason if health else None,
        "healthy": health.healthy if health else None,
        "verdict": health.verdict if health else None,
        "heartbeat_age": None if agent.beat_age is None else round(agent.beat_age, 3),
        "generation": health.generation if health else None,
        "revive_count": health.revive_count if health else None,
        "attempts_left": attempts_left(agent),
        "pid": health.pid if health else None,
        "sandbox": health.sandbox if health else None,
        "limits": health.limits if health else {},
        "isolation": words(agent.openings),
        "says": health.status if health else None,
        "readings": health.readings if health else {},
        "unread": agent.unread,
    }
