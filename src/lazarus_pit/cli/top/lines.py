"""Lines of text for a width: what is drawn above the table, and the table's own. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rich.cells import set_cell_size

from lazarus_pit.cli import say
from lazarus_pit.cli.pulse import Pulse, sandbox_word
from lazarus_pit.cli.top.looks import LOOKS, Row, numbers

NARROW = 80
"""Columns of the smallest terminal that is drawn for; narrower ones lose the right edge."""

MINUTE = 60.0


class Column(NamedTuple):
    """One column of the table: how wide at 80 columns, and its part of what is more."""

    head: str
    width: int
    share: int


COLUMNS = (
    Column("CELL", 10, 1),
    Column("AGENT", 11, 1),
    Column("STATE", 20, 1),
    Column("VERDICT", 8, 0),
    Column("BEAT", 7, 0),
    Column("GEN", 4, 0),
    Column("LEFT", 4, 0),
    Column("SAYS", 8, 3),
)


def widths(width: int) -> list[int]:
    """Return the columns' widths for a line of so many columns."""
    shares = sum(column.share for column in COLUMNS)
    more = max(0, width - NARROW)
    found = [column.width + more * column.share // shares for column in COLUMNS]
    return [*found[:-1], max(1, width - sum(found[:-1]) - len(found) + 1)]


def head(width: int) -> str:
    """Return the table's first line."""
    return _joined([column.head for column in COLUMNS], widths(width))


def line(row: Row, beat: float | None, now: float, width: int) -> str:
    """Return an agent's line of the table: state is glyph and word, never colour alone.

    Args:
        row: what was seen.
        beat: when its newest beat came, in Unix seconds.
        now: the time, in Unix seconds.
        width: columns.
    """
    agent = row.agent
    verdict, generation, left = numbers(row)
    said = agent.health.status if agent and agent.health else row.cell.problem
    return _joined(
        [
            say.clean(row.cell.label, 80),
            agent.name if agent else "-",
            f"{row.look.glyph} {say.clean(row.words, 60)}",
            verdict,
            ago(beat, now),
            generation,
            left,
            say.clean(said or "-", 200),
        ],
        widths(width),
    )


def ago(beat: float | None, now: float) -> str:
    """Return how long ago something was; in whole seconds, so that a screen stays calm."""
    if beat is None:
        return "-"
    seconds = max(0.0, now - beat)
    return f"{int(seconds)} s" if seconds < MINUTE else say.span(seconds)


def _joined(cells: Sequence[str], spans: Sequence[int]) -> str:
    return " ".join(fitted(cell, span) for cell, span in zip(cells, spans, strict=True))


def fitted(text: str, width: int) -> str:
    """Return text in exactly so many columns; what is cut off ends in ``…``."""
    if len(text) <= width and text.isascii():
        return text.ljust(width)
    fits = set_cell_size(text, width)
    if fits.rstrip() == text.rstrip():
        return fits
    return set_cell_size(text, max(0, width - 1)) + "…"


def daemon_line(pulse: Pulse, problem: str, now: float) -> tuple[str, str]:
    """Return the tone and the words for the daemon: up or down, and what holds the agents."""
    if problem:
        return "bad", f"✕ {say.clean(problem, 200)}"
    report = pulse.report
    if not pulse.up:
        seen = f"; last seen {ago(report.last_sweep, now)} ago" if report else ""
        return "bad", f"✕ pit DOWN{seen}; agents that run go on unwatched (`lazarus up`)"
    if report is None:
        return "good", "● pit up"
    parts = [
        f"pit up, pid {report.pid}",
        f"swept {ago(report.last_sweep, now)} ago",
        sandbox_word(report),
    ]
    if report.store not in ("", "ok"):
        parts.insert(0, f"RECORDS NOT WRITTEN: {say.clean(report.store, 100)}")
    if report.unwatched:
        parts.append(f"{report.unwatched} watches refused, polled instead")
    tone = "bad" if report.unconfined or report.store not in ("", "ok") else "good"
    return tone, f"{'▲' if tone == 'bad' else '●'} {', '.join(parts)}"


def counts_line(cells: int, agents: int, counted: Sequence[tuple[str, int]]) -> str:
    """Return the fleet in numbers, the worst first: a glyph, a number and a word each."""
    found = "  ".join(f"{LOOKS[state].glyph} {number} {state}" for state, number in counted)
    return f"{say.count(cells, 'cell')}, {say.count(agents, 'agent')}   {found}".rstrip()


def newer(one: float | None, other: float | None) -> float | None:
    """Return the newer of two instants, either of which may be unknown."""
    known = [instant for instant in (one, other) if instant is not None]
    return max(known, default=None)
