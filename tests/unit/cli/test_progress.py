"""What a terminal is shown of work that takes its time, and what anything else is not."""

from __future__ import annotations

import io

import pytest

from lazarus_pit.cells.checkpoint.worker import Progress
from lazarus_pit.cli.progress import counting, progress, shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_each_stage_and_nothing_of_it_afterwards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with shown("removing") as bar:
        counting("removed")(4321)
        bar(Progress(stage="save", done=0.5))
    drawn = terminal.getvalue().split("\r\x1b[K")
    assert drawn == ["", "removing …", "removed: 4,321", f"save       [{'#' * 15:30}]", ""]


def test_a_file_sees_only_what_it_is_told_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with shown("removing") as bar:
        counting("removed")(4321)
        bar(Progress(stage="save", done=1.0))
    assert file.getvalue() == ""
    progress(Progress(stage="save", done=0.5))
    progress(Progress(stage="save", done=1.0))
    assert file.getvalue() == "lazarus: save: done\n"
