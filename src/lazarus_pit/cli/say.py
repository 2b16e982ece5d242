"""How things are said: to people in lines that fool no terminal, to programs in JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import msgspec

from lazarus_pit.formats import instant
from lazarus_pit.formats.text import inert, inert_lines, one_line

WIDEST = 4000
"""Characters of one line that are shown at most."""

span = instant.span


def size(count: int) -> str:
    """Say how many bytes something has, in the unit in which that is a number to look at."""
    return f"{count / 1e6:.1f} MB" if count >= 100_000 else f"{count / 1e3:.1f} kB"


def clean(text: object, limit: int = WIDEST) -> str:
    """Return text of strangers on one line, with what a terminal would obey made visible."""
    return one_line(str(text).expandtabs(), limit)


def line(text: str) -> None:
    """Say one line now, even into a pipe; nothing in it is obeyed by a terminal."""
    print(inert_lines(text), flush=True)


def complain(text: str, program: str = "lazarus") -> None:
    """Say one line to whoever must act, beside the output."""
    print(f"{program}: {inert_lines(text)}", file=sys.stderr, flush=True)


def as_json(value: object) -> None:
    """Say a value as one JSON document, indented for people who look anyway."""
    encoded = inert(msgspec.json.encode(value))
    print(msgspec.json.format(encoded, indent=2).decode(), flush=True)


def as_json_line(value: object) -> None:
    """Say a value as one line of JSON, for streams."""
    print(inert(msgspec.json.encode(value)).decode(), flush=True)


def count(number: int, thing: str) -> str:
    """Return ``1 agent``, ``2 agents``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], indent: str = "") -> list[str]:
    """Return lines whose columns stand under each other; the last column may be of any width."""
    cells = [[clean(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return [
        indent
        + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
