"""A Markdown page as people write it: numbered lines, comments out, cut at known headings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from lazarus_pit.errors import FormatError

BULLET = re.compile(r"[-*+]\s+(.*)\Z")
BOX = re.compile(r"[-*+]\s+\[([ xX])\]\s*(.*)\Z")

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DEEPEST = 6


class Line(NamedTuple):
    """A line of the page and its number, counted from one."""

    number: int
    text: str


def wrong(section: str, line: Line, expected: str) -> FormatError:
    """Return the complaint about one line: where, what was found, what was expected."""
    return FormatError(
        f"{section}, line {line.number}: found {line.text[:80]!r}, expected {expected}"
    )


def written(lines: list[Line]) -> list[Line]:
    """Return the lines that are not blank."""
    return [line for line in lines if line.text]


def number_lines(data: bytes, limit: int) -> list[Line]:
    """Read bytes as stripped lines; comments are blanked out, so that line numbers stay true.

    Raises:
        FormatError: longer than ``limit`` bytes, or not UTF-8.
    """
    if len(data) > limit:
        raise FormatError(f"found {len(data)} bytes, expected at most {limit}")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"byte {error.start} is not UTF-8, expected a Markdown page") from None
    blanked = _COMMENT.sub(lambda found: "\n" * found.group().count("\n"), text)
    return [Line(number, line.strip()) for number, line in enumerate(blanked.split("\n"), 1)]


def front_matter(lines: list[Line]) -> tuple[dict[str, str], list[Line]]:
    """Return the ``key: value`` pairs between two ``---`` lines at the top, and what follows.

    Raises:
        FormatError: the block is opened and never closed.
    """
    if lines[0].text != "---":
        return {}, lines
    pairs: dict[str, str] = {}
    for index, line in enumerate(lines[1:], 1):
        if line.text == "---":
            return pairs, lines[index + 1 :]
        key, _, value = line.text.partition(":")
        pairs[key.strip()] = value.strip(" \"'")
    raise FormatError("line 1: found an opening '---', expected a closing one")


def cut(lines: list[Line], names: Sequence[str]) -> tuple[str, dict[str, list[Line]]]:
    """Cut the page at its known headings; an unknown one before the first is the title.

    Raises:
        FormatError: a section is there twice.
    """
    known = {_fold(name): name for name in names}
    sections: dict[str, list[Line]] = {}
    title = ""
    current: list[Line] | None = None
    for line in lines:
        heading = _heading(line.text)
        name = known.get(_fold(heading))
        if name in sections:
            raise FormatError(f"{name}, line {line.number}: the section is there twice")
        if name is not None:
            current = sections[name] = []
        elif current is None:
            title = title or heading
        else:
            current.append(line)
    return title, sections


def _heading(text: str) -> str:
    """Return the words of a heading of any level; empty for any other line."""
    bare = text.lstrip("#")
    if not 1 <= len(text) - len(bare) <= _DEEPEST or not bare[:1].isspace():
        return ""
    return bare.strip().rstrip("#").strip()


def _fold(heading: str) -> str:
    return " ".join(heading.replace(" and ", " & ").lower().split())
