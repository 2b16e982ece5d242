"""The table of the fleet. Only the lines on the screen are ever drawn."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from lazarus_pit.cli.top import lines
from lazarus_pit.cli.top.board import Board
from lazarus_pit.cli.top.looks import Key, Row

TONES = {
    "bad": Style(color="red", bold=True),
    "ask": Style(color="magenta", bold=True),
    "warn": Style(color="yellow"),
    "move": Style(color="cyan"),
    "cold": Style(color="blue"),
    "good": Style(color="green"),
    "quiet": Style(dim=True),
    "": Style(),
}
"""Colours are those of the terminal, so that they suit its background."""
SELECTED = Style(reverse=True)


class FleetTable(ScrollView, can_focus=True):
    """Shows a board; the selected line is an agent, wherever sorting moves it."""

    DEFAULT_CSS = """
    FleetTable { scrollbar-size-vertical: 1; overflow-x: hidden; overflow-y: scroll; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home,g", "move(-1000000000)", show=False),
        Binding("end,G", "move(1000000000)", show=False),
    ]

    class Selected(Message):
        """Another line is selected."""

    def __init__(self, board: Board) -> None:
        """Show this board; it is asked anew for every line."""
        super().__init__()
        self._board = board
        self._beats: Mapping[Key, float] = {}
        self._drawn: dict[int, tuple[str, Style]] = {}
        """What was drawn last, by the line of the screen."""
        self._index = 0
        self.selected: Key | None = None

    @property
    def row(self) -> Row | None:
        """The selected line, if the filter shows one."""
        return self._board.get(self.selected) if len(self._board) else None

    def on_screen(self) -> list[Row]:
        """Return the lines that are on the screen."""
        first = self.scroll_offset.y
        last = min(len(self._board), first + self.size.height)
        return [self._board.at(index) for index in range(first, last)]

    def show(self, beats: Mapping[Key, float]) -> None:
        """Draw what has changed. The selection stays with its agent while it is there."""
        self._beats = beats
        found = self._board.index(self.selected) if self.selected else None
        moved = found is not None and found != self._index
        self._index = self._index if found is None else found
        size = Size(self.size.width, len(self._board))
        if size != self.virtual_size:
            self.virtual_size = size
        self._select(self._index, follow=moved or found is None)

    def _select(self, index: int, *, follow: bool) -> None:
        self._index = max(0, min(index, len(self._board) - 1))
        selected = self._board.at(self._index).key if len(self._board) else None
        if follow:
            self._bring_into_view()
        if selected != self.selected:
            self.selected = selected
            self.post_message(self.Selected())
        self._redraw()

    def _redraw(self) -> None:
        """Draw the lines that read otherwise than on the screen: over ssh every byte is felt."""
        for y in range(self.size.height):
            if self._drawn.get(y) != self._line(y):
                self.refresh_line(self.scroll_offset.y + y)

    def _bring_into_view(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self._index < top:
            self.scroll_to(y=self._index, animate=False, immediate=True)
        elif self._index >= top + height:
            self.scroll_to(y=self._index - height + 1, animate=False, immediate=True)

    # ------------------------------------------------------------ keys and clicks

    def action_move(self, by: int) -> None:
        """Select a line further down, or up."""
        self._select(self._index + by, follow=True)

    def action_page(self, pages: int) -> None:
        """Select a line a screen further down, or up."""
        self._select(self._index + pages * max(1, self.size.height - 1), follow=True)

    def on_click(self, event: Click) -> None:
        """Select the line that was clicked."""
        index = self.scroll_offset.y + event.y
        if index < len(self._board):
            self._select(index, follow=False)

    def on_resize(self, _event: Resize) -> None:
        """Keep the selected line on the screen."""
        self.virtual_size = Size(self.size.width, len(self._board))
        self._bring_into_view()

    # ------------------------------------------------------------ drawing

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        text, style = self._drawn[y] = self._line(y)
        return Strip([Segment(text, style)]).adjust_cell_length(self.size.width, style)

    def _line(self, y: int) -> tuple[str, Style]:
        index = self.scroll_offset.y + y
        if index >= len(self._board):
            return "", TONES[""]
        row = self._board.at(index)
        beat = lines.newer(self._beats.get(row.key), row.beat)
        text = lines.line(row, beat, time.time(), self.size.width)
        style = TONES[row.look.tone]
        return text, style + SELECTED if row.key == self.selected else style
