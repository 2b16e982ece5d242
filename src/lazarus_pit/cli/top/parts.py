"""The parts of the screen around the table, as text with its tones."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from lazarus_pit.cli import say
from lazarus_pit.cli.top.actions import ACTIONS
from lazarus_pit.cli.top.board import Board
from lazarus_pit.cli.top.details import Details, laid_out, reason_of
from lazarus_pit.cli.top.table import TONES
from lazarus_pit.core.model import Rules
from lazarus_pit.web.verbs import OF_APPROVALS

NEEDS = 3
"""Lines for what needs a person; the rest is counted."""
_ALWAYS = (("/", "find"), ("o", "sort"), ("?", "help"), ("q", "quit"))
_VERBS = tuple((action.key, action.verb) for action in ACTIONS)
_ANSWERS = tuple(pair for pair in _VERBS if pair[1] in OF_APPROVALS)
KEYS = (*(pair for pair in _VERBS if pair not in _ANSWERS), *_ALWAYS)
KEYS_ASKED = (*_ANSWERS, *(pair for pair in _VERBS if pair[1] in ("revive", "stop")), *_ALWAYS)
"""Of a line that is asked about: what answers it comes first."""


def part(name: str, content: str | Text = "") -> Static:
    """Return one part of the screen; what it shows is text and never markup."""
    return Static(content, id=name, classes="part", markup=False)


def needs(board: Board, rules: Rules, *, up: bool) -> Text:
    """Return what goes on only when a person acts: the most urgent, and how many more."""
    rows = board.first_needy(NEEDS if board.needy <= NEEDS else NEEDS - 1)
    said = []
    for row in rows:
        why, label = reason_of(row, rules, up=up), say.clean(row.label, 60)
        if row.request is not None and row.request.is_question:
            said.append((f"? {label} {why}", "ask"))
        else:
            state = say.clean(row.words.partition(":")[0], 60)
            said.append((f"{row.look.glyph} {label} {state}: {why}", row.look.tone))
    if board.needy > len(rows):
        said.append((f"? and {board.needy - len(rows)} more, first in the table", "ask"))
    if not said:
        return Text("✓ nothing needs you", TONES["quiet"])
    title = f"NEEDS YOU {board.needy}  "
    heads = [title, *[" " * len(title)] * NEEDS]
    return _stacked(
        [Text(head + words, TONES[tone]) for head, (words, tone) in zip(heads, said, strict=False)]
    )


def closely(details: Details, width: int, height: int) -> Text:
    """Return the pane of the selected line."""
    title, *rest = (Text(line) for line in laid_out(details, width, height))
    title.stylize("bold")
    return _stacked([title, *rest])


def keys(*, asked: bool = False) -> Text:
    """Return the last line: what each key does, in 80 columns."""
    text = Text(no_wrap=True)
    for key, word in KEYS_ASKED if asked else KEYS:
        text.append(f"{' ' if text else ''}{key}", "bold").append(f" {word}", TONES["quiet"])
    return text


def _stacked(lines: list[Text]) -> Text:
    return Text("\n", no_wrap=True, overflow="ellipsis").join(lines)
