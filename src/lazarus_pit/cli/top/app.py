"""The view itself: looks when something has changed, draws, and hands keys to the commands."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
import time
from functools import partial
from typing import ClassVar

from rich.markup import escape
from rich.text import Text
from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Resize
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli import say
from lazarus_pit.cli.top import actions, lines, parts
from lazarus_pit.cli.top.actions import ACTIONS, BY_VERB, Action
from lazarus_pit.cli.top.asking import Help, Question
from lazarus_pit.cli.top.board import Board
from lazarus_pit.cli.top.details import Closeup, Details, far_details
from lazarus_pit.cli.top.fleet import Fleet, Seen
from lazarus_pit.cli.top.looks import ORDERS, Key, Row
from lazarus_pit.cli.top.table import TONES, FleetTable
from lazarus_pit.config import Config
from lazarus_pit.core.model import Seconds
from lazarus_pit.errors import LazarusError

PACE: Seconds = 0.25
"""Between two looks at least: however much happens, four a second."""
TICK: Seconds = 1.0
"""Between two looks at most, since ages grow by themselves."""
SHORT = 16
"""Below so many lines a terminal shows the table alone, without the details."""


class Top(App[int]):
    """``lazarus top``."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    .part {
        height: 1; background: ansi_default; color: ansi_default;
        text-wrap: nowrap; text-overflow: ellipsis;
    }
    #needs { height: auto; max-height: 3; }
    #head { text-style: bold underline; }
    #details { height: 10; border-top: solid ansi_default; border-title-color: ansi_default; }
    #bottom { height: auto; }
    FleetTable { height: 1fr; background: ansi_default; }
    Input {
        height: 1; border: none; padding: 0; background: ansi_default; color: ansi_default;
        display: none;
    }
    Input:focus { border: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", show=False),
        Binding("ctrl+c", "quit", show=False, priority=True),
        Binding("slash", "filter", show=False),
        Binding("escape", "unfilter", show=False),
        Binding("o", "order", show=False),
        Binding("question_mark,h", "help", show=False),
        *(Binding(action.key, f"act('{action.verb}')", show=False) for action in ACTIONS),
    ]

    class Done(Message):
        """What became of a command."""

        def __init__(self, tone: str, words: str) -> None:
            """Carry it from the thread that waited."""
            super().__init__()
            self.tone, self.words = tone, words

    def __init__(self, config: Config) -> None:
        """Open the eyes on the root of this configuration.

        Raises:
            OSError: this user has no inotify instance left.
        """
        super().__init__(ansi_color=True)
        self._config = config
        self._pit = PitPaths(config.root)
        self._fleet = Fleet(self._pit)
        self._board = Board()
        self._table = FleetTable(self._board)
        self._closeup: Closeup | None = None
        self._details: Details | None = None
        self._seen: Seen | None = None
        self._shown: dict[str, Text] = {}
        """What each part of the screen says."""
        self._due: Timer | None = None
        self._looking = False
        self._again = False
        self._looked: Seconds = 0.0

    def compose(self) -> ComposeResult:
        """Lay the parts out, the most urgent at the top."""
        yield parts.part("daemon", "reading …")
        yield parts.part("counts")
        yield parts.part("needs")
        yield parts.part("head")
        yield self._table
        with Vertical(id="bottom"):
            yield parts.part("details")
            yield parts.part("said")
            yield Input(placeholder="words of a name, state, verdict, role or status", id="filter")
            yield parts.part("keys", parts.keys())

    def on_mount(self) -> None:
        """Begin to look."""
        aio = asyncio.get_running_loop()
        aio.add_reader(self._fleet.fd, self._noticed)
        for number in (signal.SIGTERM, signal.SIGHUP):
            # A thread that is no main thread (a test's) can have no such reaction, and needs none.
            with contextlib.suppress(RuntimeError, ValueError):
                aio.add_signal_handler(number, self.exit)
        self.set_interval(TICK, self._soon)
        self._table.focus()
        self._soon()

    def on_unmount(self) -> None:
        """Close the eyes."""
        asyncio.get_running_loop().remove_reader(self._fleet.fd)
        self._fleet.close()
        if self._closeup is not None:
            self._closeup.close()

    # ------------------------------------------------------------ looking

    def _noticed(self) -> None:
        if self._fleet.noticed():
            self._soon()

    def _soon(self) -> None:
        """Look as soon as the pace allows; what happens meanwhile is in the same look."""
        if self._looking:
            self._again = True
        elif self._due is None:
            wait = max(0.01, self._looked + PACE - time.monotonic())
            self._due = self.set_timer(wait, self._begin)

    def _begin(self) -> None:
        self._due = None
        self._looking = True
        self.run_worker(self._look(), exit_on_error=True)

    async def _look(self) -> None:
        self._looked = time.monotonic()
        wanted, selected, visible = (
            self._fleet.take(),
            self._table.selected,
            self._table.on_screen(),
        )
        try:
            seen = await asyncio.to_thread(self._fleet.look, wanted, visible)
            self._take(seen)
            details = await asyncio.to_thread(self._look_closely, self._table.selected)
            if details is None or details.key == self._table.selected:
                self._details = details
            self._draw()
        except (LazarusError, OSError) as error:
            self._fleet.doubt()
            self._put("said", f"✕ cannot look: {say.clean(error, 200)}", "bad")
        finally:
            self._looking = False
        if self._again or selected != self._table.selected:
            self._again = False
            self._soon()

    def _take(self, seen: Seen) -> None:
        self._seen = seen
        for uuid, view in seen.cells.items():
            if view is None:
                self._board.drop(uuid)
            else:
                self._board.put(view, seen.at)
        if seen.asked is not None:
            self._board.ask(seen.asked, seen.at)
        self._table.show(seen.beats)

    def _look_closely(self, key: Key | None) -> Details | None:
        """Read what is new about the selected line; in a thread, one at a time."""
        row = self._board.get(key)
        if self._closeup is not None and self._closeup.key != key:
            self._closeup.close()
            self._closeup = None
        if key is None or row is None:
            return None
        if row.is_far:
            return far_details(row)
        if self._closeup is None:
            self._closeup = Closeup(self._pit, key)
        return self._closeup.look(row, self._config.rules, up=self._is_up)

    @property
    def _is_up(self) -> bool:
        return self._seen is not None and self._seen.pulse.up

    # ------------------------------------------------------------ drawing

    def _draw(self) -> None:
        if self._seen is None or not self.is_running:
            return
        tone, words = lines.daemon_line(self._seen.pulse, self._seen.problem, self._seen.at)
        self._put("daemon", words, tone)
        board = self._board
        self._put("counts", lines.counts_line(board.cells, board.agents, board.counted()))
        self._show("needs", parts.needs(board, self._config.rules, up=self._is_up))
        row = self._table.row
        self._show("keys", parts.keys(asked=row is not None and row.request is not None))
        self._draw_head()
        self._draw_details()

    def _draw_head(self) -> None:
        self._put("head", lines.head(self._table.size.width))
        board = self._board
        found = f" · {len(board)} with {say.clean(board.needle, 40)!r}" if board.needle else ""
        self.query_one("#details", Static).border_title = escape(f"{board.order}{found}")

    def _draw_details(self) -> None:
        width, height = self.query_one("#details", Static).content_size
        if not height:
            return
        if self._details is None:
            none = "no cell is active; `lazarus cell create` makes one"
            self._put("details", "no line matches" if self._board.needle else none)
            return
        self._show("details", parts.closely(self._details, width, height))

    def _put(self, part: str, words: str, tone: str = "") -> None:
        self._show(part, Text(words, TONES[tone], no_wrap=True, overflow="ellipsis"))

    def _show(self, part: str, text: Text) -> None:
        """Draw a part of the screen, if it reads otherwise than before."""
        before = self._shown.get(part)
        if before is None or (before, before.style) != (text, text.style):
            self._shown[part] = text
            grown = before is None or before.plain.count("\n") != text.plain.count("\n")
            self.query_one(f"#{part}", Static).update(text, layout=grown and part == "needs")

    def on_resize(self, event: Resize) -> None:
        """Share the lines out: about two fifths for the details, none on a short terminal."""
        details = self.query_one("#details", Static)
        details.display = event.size.height >= SHORT
        details.styles.height = max(6, event.size.height * 2 // 5)
        self.call_after_refresh(self._draw)

    # ------------------------------------------------------------ keys

    @on(FleetTable.Selected)
    def _follow(self) -> None:
        """Look closely at what is selected now."""
        self._fleet.follow(self._table.selected[0] if self._table.selected else None)
        self._soon()

    def action_order(self) -> None:
        """Order by the next rule."""
        names = list(ORDERS)
        self._board.show(order=names[(names.index(self._board.order) + 1) % len(names)])
        self._soon()

    def action_filter(self) -> None:
        """Let words be typed that lines must have."""
        field = self.query_one("#filter", Input)
        field.display = True
        self.query_one("#keys").display = False
        field.focus()

    def action_unfilter(self) -> None:
        """Show every line again."""
        self.query_one("#filter", Input).value = ""
        self._close_filter()

    @on(Input.Submitted, "#filter")
    def _close_filter(self) -> None:
        """Keep what was typed, and give the keys back their meaning."""
        self.query_one("#filter", Input).display = False
        self.query_one("#keys").display = True
        self._table.focus()

    @on(Input.Changed, "#filter")
    def _typed(self, event: Input.Changed) -> None:
        self._board.show(needle=event.value)
        self._soon()

    def action_help(self) -> None:
        """Say what the keys do."""
        self.push_screen(Help())

    def action_act(self, verb: str) -> None:
        """Do something to the selected line, after asking where work could be lost."""
        row, action = self._table.row, BY_VERB[verb]
        if row is None:
            return
        if refusal := action.refused(row):
            self._put("said", f"✕ {verb} {action.whom_in_words(row)}: {refusal}", "warn")
            return
        if lost := action.asks(row):
            question = Question(action, action.whom_in_words(row), lost)
            self.push_screen(question, partial(self._answered, action, row))
            return
        self._perform(action, row)

    def _answered(self, action: Action, row: Row, yes: bool | None) -> None:  # noqa: FBT001
        if yes:
            self._perform(action, row)

    def _perform(self, action: Action, row: Row) -> None:
        """Run the command beside; a thread of its own, so that leaving need not wait for it."""
        self._put("said", f"… {action.verb} {action.whom_in_words(row)}", "move")

        def act() -> None:
            outcome = actions.perform(action, action.whom(row), self._config)
            with contextlib.suppress(RuntimeError):  # The view has been left meanwhile.
                self.post_message(self.Done(*actions.told(action, row, outcome)))

        threading.Thread(target=act, daemon=True).start()

    @on(Done)
    def _tell(self, done: Done) -> None:
        self._put("said", done.words, done.tone)
        self._soon()
