"""What is said fools no terminal and reads well."""

import pytest

from lazarus_pit.cli import say


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.0, "0 s"),
        (0.0123, "12 ms"),
        (1.25, "1.2 s"),
        (59.0, "59 s"),
        (180.0, "3 min"),
        (7200.0, "2 h"),
        (172800.0, "2 d"),
    ],
)
def test_spans_are_said_as_people_do(seconds: float | None, words: str) -> None:
    assert say.span(seconds) == words


def test_a_terminal_is_given_nothing_to_obey() -> None:
    hostile = "\x1b]0;owned\x07\r\n\x9b2J\u202egnp.exe\tend"
    shown = say.clean(hostile)
    assert shown.isprintable()
    assert "\\u001b" in shown


def test_whatever_is_said_is_inert_though_nobody_cleaned_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    note = "workspace/\x1b]0;owned\x07\r\x9b2J\u202e: attribute user.x could not be set"
    say.complain(note)
    say.line(f"{note}\n\tof two lines")
    said = capsys.readouterr()
    shown = note.replace("\x1b", "\\u001b").replace("\x07", "\\u0007").replace("\r", "\\u000d")
    shown = shown.replace("\x9b", "\\u009b").replace("\u202e", "\\u202e")
    assert said.err == f"lazarus: {shown}\n"
    assert said.out == f"{shown}\n\tof two lines\n"


def test_columns_stand_under_each_other() -> None:
    lines = say.table(("A", "LONGER"), [("abc", "x"), ("d", "\x1b[31m")], indent="  ")
    assert lines == ["  A    LONGER", "  abc  x", "  d    \\u001b[31m"]


def test_one_is_not_many() -> None:
    assert (say.count(1, "agent"), say.count(2, "agent")) == ("1 agent", "2 agents")
