"""Lines fit their width to the column, whatever strangers write into them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from lazarus_pit.cli.pulse import Pulse, Report
from lazarus_pit.cli.top import lines
from lazarus_pit.cli.top.details import Details, laid_out, shared
from lazarus_pit.cli.top.looks import rows_of
from unit.cli.top.test_board import UUIDS, agent, cell


@given(st.text(max_size=60), st.text(max_size=60), st.integers(80, 200))
def test_a_line_is_as_wide_as_the_screen_and_nothing_in_it_is_obeyed(
    said: str, state: str, width: int
) -> None:
    view = agent("a", state or "running", status=said)
    row = rows_of(cell(UUIDS[0], view, name="pond"), 1.0)[0]
    line = lines.line(row, 1.0, 4.0, width)
    assert cell_len(line) == width
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in line)
    assert "3 s" in line


@pytest.mark.parametrize("width", [80, 81, 100, 200])
def test_every_column_has_its_head(width: int) -> None:
    assert lines.head(width).split() == [column.head for column in lines.COLUMNS]
    assert sum(lines.widths(width)) + len(lines.COLUMNS) - 1 == width


def test_what_is_cut_off_says_so() -> None:
    assert lines.fitted("limpets", 7) == "limpets"
    assert lines.fitted("limpets!", 7) == "limpet…"
    assert cell_len(lines.fitted("貝貝貝貝", 7)) == 7
    assert lines.fitted("ab", 4) == "ab  "


@pytest.mark.parametrize(
    ("pulse", "problem", "tone", "words"),
    [
        (Pulse(up=False), "", "bad", "pit DOWN"),
        (Pulse(up=True), "", "good", "pit up"),
        (Pulse(up=False), "/x cannot be listed: Permission denied", "bad", "Permission denied"),
        (Pulse(up=True, report=Report(pid=7, last_sweep=9.0)), "", "good", "pid 7, swept 1 s ago"),
        (
            Pulse(up=True, report=Report(pid=7, last_sweep=9.0, unconfined=True, sandbox="none")),
            "",
            "bad",
            "UNCONFINED",
        ),
        (
            Pulse(up=True, report=Report(pid=7, last_sweep=9.0, store="disk full")),
            "",
            "bad",
            "RECORDS NOT WRITTEN: disk full",
        ),
    ],
)
def test_the_daemon_is_said_in_a_word_and_a_glyph(
    pulse: Pulse, problem: str, tone: str, words: str
) -> None:
    found, line = lines.daemon_line(pulse, problem, 10.0)
    assert found == tone
    assert words in line


@given(st.lists(st.integers(0, 20), min_size=1, max_size=4), st.integers(0, 40))
def test_room_is_shared_out_whole_and_evenly(wanted: list[int], room: int) -> None:
    shares = shared(wanted, room)
    assert sum(shares) == min(room, sum(wanted))
    assert all(0 <= share <= want for share, want in zip(shares, wanted, strict=True))
    hungry = [share for share, want in zip(shares, wanted, strict=True) if share < want]
    assert all(max(shares) - share <= 1 for share in hungry)


def test_the_pane_keeps_the_newest_and_the_first_reasons() -> None:
    many = tuple(f"line {n}" for n in range(9))
    details = Details((UUIDS[0], "a"), "title", many, many, many)
    assert laid_out(details, 80, 7) == [
        "title",
        "why     line 0",
        "        line 1",
        "events  line 7",
        "        line 8",
        "log     line 7",
        "        line 8",
    ]
    quiet = details._replace(events=(), log=())
    assert len(laid_out(quiet, 80, 7)) == 7
