"""What comes over the view for a moment: a question before work could be lost, and the help."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

from lazarus_pit.cli.top.actions import ACTIONS, Action
from lazarus_pit.cli.top.looks import LOOKS

_BOX = """
{name} {{ align: center middle; background: transparent; }}
{name} Static {{
    width: {width}; max-width: 100%; height: auto; max-height: 100%;
    border: round ansi_default; padding: 0 1; background: ansi_default;
}}
"""


class Question(ModalScreen[bool]):
    """Asks before something is done; only ``y`` means yes."""

    DEFAULT_CSS = _BOX.format(name="Question", width=64)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", show=False),
        Binding("n,escape,q,enter", "answer(False)", show=False),
    ]

    def __init__(self, action: Action, whom: str, lost: str) -> None:
        """Ask whether ``action`` is meant, and say what may be lost."""
        super().__init__()
        self._said = f"{action.verb} {whom}?\n\n{lost}\n\ny  yes, {action.verb}\nn  no"

    def compose(self) -> ComposeResult:
        """Draw the question."""
        yield Static(Text(self._said), markup=False)

    def action_answer(self, yes: bool) -> None:  # noqa: FBT001 - the key's own argument
        """Answer and go."""
        self.dismiss(yes)


class Help(ModalScreen[None]):
    """Says what the keys do and what the glyphs mean; any of the usual keys closes it."""

    DEFAULT_CSS = _BOX.format(name="Help", width=76)
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter,space", "dismiss(None)", show=False)
    ]

    def compose(self) -> ComposeResult:
        """Draw the help."""
        yield Static(Text(help_text()), markup=False)


def help_text() -> str:
    """Return the help: every key, then every glyph."""
    of_cells = [action for action in ACTIONS if action.is_of_cell]
    of_agents = [action for action in ACTIONS if not action.is_of_cell]
    glyphs = [f"{look.glyph} {state}" for state, look in LOOKS.items() if state != "-"]
    rows = [glyphs[at : at + 5] for at in range(0, len(glyphs), 5)]
    return "\n".join(
        [
            "↑ ↓ j k   select      PgUp PgDn Home End",
            "/         find: words of a name, state, verdict, role or status",
            "o         sort: the worst first, or by name",
            "",
            "The selected agent",
            *(f"{action.key}   {action.verb:11} {action.what}" for action in of_agents),
            "Its whole cell",
            *(f"{action.key}   {action.verb:11} {action.what}" for action in of_cells),
            "",
            *("".join(f"{cell:14}" for cell in row).rstrip() for row in rows),
            "LEFT: revives left before it is given up. Esc closes this, q leaves.",
        ]
    )
