"""Who is asked about: open requests by their lines; gateways of the pool get lines of their own."""

from __future__ import annotations

import time
from collections.abc import Mapping

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.view import AgentView, CellView
from lazarus_pit.cli import say
from lazarus_pit.cli.top.looks import POOL, Key, Row
from lazarus_pit.records import approvals
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.database import opened_records


def open_requests(pit: PitPaths) -> dict[Key, Request]:
    """Return what can still be answered.

    Raises:
        StoreError: the records refuse.
    """
    if not pit.records.exists():
        return {}
    with opened_records(pit.records) as db:
        found = approvals.pending(db, time.time())
    # Whoever died is asked about first, then what was asked first: one at a time.
    found.sort(key=lambda one: one.is_question)
    asked: dict[Key, Request] = {}
    for one in found:
        asked.setdefault(_key(one.subject), one)
    return asked


def _key(subject: str) -> Key:
    first, _, rest = subject.partition("/")
    return (first, rest)


def far_rows(asked: Mapping[Key, Request], seen: float) -> list[Row]:
    """Return a line for each gateway outside every cell that is asked about."""
    pool = CellView(uuid=POOL, path="")
    rows = []
    for (first, name), request in asked.items():
        if first == POOL:
            far = AgentView(name=name, role="", kind="gateway", desired="", shown="awaiting")
            row = Row(pool, far, seen, "awaiting", "awaiting", needs=True, request=request)
            rows.append(row)
    return rows


def words(request: Request, now: float) -> str:
    """Say what whoever decides should know."""
    if request.is_question:
        words = say.clean(str(request.facts.get("question")), 1200)
        rest = say.span(max(0.0, request.expires - now))
        return f"asks (nobody is revived): “{words}”, {rest} left to answer: a approves, d denies"
    died = request.facts.get("died")
    dead = f"dead for {say.span(now - died)}, " if isinstance(died, int | float) else ""
    left = max(0.0, request.expires - now)
    return f"{dead}{say.span(left)} left to answer: a approves, d denies"
