"""``/metrics``: the fleet in numbers, by cell; a series for each agent would be too many."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from lazarus_pit.core.model import Phase, Verdict
from lazarus_pit.formats.prometheus import Family, Sample
from lazarus_pit.web.shapes import Cell, Gateway

UNWELL = (Verdict.DEGRADED, Verdict.DEAD)
AT_REST = (Phase.STOPPED, Phase.EXITED)
"""Phases in which nothing is wrong, whatever the last life ended with."""


def families(
    cells: Sequence[Cell],
    gateways: Sequence[Gateway],
    *,
    up: bool,
    readers: int,
    asked: int | None,
) -> list[Family]:
    """Return the families for a fleet.

    Args:
        cells: as ``GET /api/v1/fleet`` answers.
        gateways: agents outside every cell, as there.
        up: whether the daemon is.
        readers: how many read the stream.
        asked: how many requests wait for a person's word; ``None`` where the records refuse.
    """
    open_ = [] if asked is None else [Sample(asked)]
    return [
        Family("lazarus_up", "gauge", "Whether the daemon is up.", [Sample(int(up))]),
        Family("lazarus_approvals_open", "gauge", "Requests that wait for a person.", open_),
        Family("lazarus_cells", "gauge", "Cells, by status.", _statuses(cells)),
        Family("lazarus_agents", "gauge", "Agents of a cell, by phase.", _phases(cells)),
        Family(
            "lazarus_agents_unhealthy",
            "gauge",
            "Agents that are silent, stuck or dead.",
            _unhealthy(cells),
        ),
        Family("lazarus_gateways", "gauge", "Agents outside the cells.", _far(gateways)),
        Family("lazarus_revives_total", "counter", "Revives, ever.", _revives(cells)),
        Family(
            "lazarus_heartbeat_age_seconds", "gauge", "Age of the oldest last beat.", _ages(cells)
        ),
        Family("lazarus_stream_readers", "gauge", "Who reads the stream.", [Sample(readers)]),
    ]


def _statuses(cells: Sequence[Cell]) -> Iterator[Sample]:
    for status, count in sorted(Counter(cell.status for cell in cells).items()):
        yield Sample(count, {"status": status})


def _far(gateways: Sequence[Gateway]) -> Iterator[Sample]:
    for phase, count in sorted(Counter(one.phase for one in gateways).items()):
        yield Sample(count, {"phase": phase})


def _phases(cells: Sequence[Cell]) -> Iterator[Sample]:
    for cell in cells:
        counts = Counter(agent.phase or "unseen" for agent in cell.agents)
        for phase, count in sorted(counts.items()):
            yield Sample(count, {**_names(cell), "phase": phase})


def _unhealthy(cells: Sequence[Cell]) -> Iterator[Sample]:
    for cell in cells:
        bad = sum(agent.verdict in UNWELL and agent.phase not in AT_REST for agent in cell.agents)
        yield Sample(bad, _names(cell))


def _revives(cells: Sequence[Cell]) -> Iterator[Sample]:
    for cell in cells:
        yield Sample(sum(agent.revive_count or 0 for agent in cell.agents), _names(cell))


def _ages(cells: Sequence[Cell]) -> Iterator[Sample]:
    for cell in cells:
        ages = [a.heartbeat_age for a in cell.agents if a.pid and a.heartbeat_age]
        if ages:
            yield Sample(max(ages), _names(cell))


def _names(cell: Cell) -> dict[str, str]:
    return {"cell": cell.uuid, "name": cell.name or ""}
