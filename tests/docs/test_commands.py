"""Every command that a page shows is one that can be typed, and every verb has its line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from lazarus_pit.beat import FLAGS, parse
from lazarus_pit.cells.view import AgentView, CellView
from lazarus_pit.cli import app, guard
from lazarus_pit.cli.app import VERBS, hoist
from lazarus_pit.cli.status import agent_object, cell_object
from lazarus_pit.core.model import Phase

ROOT = Path(__file__).parents[2]
REFERENCE = (ROOT / "docs" / "reference" / "cli.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^\$ +(.*)$", re.MULTILINE)
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)
MAKE_TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def shown() -> list[tuple[str, str]]:
    return [
        (str(page.relative_to(ROOT)), command)
        for page in PAGES
        for block in CONSOLE.findall(page.read_text())
        for command in COMMAND.findall(block)
    ]


def lazarus_words(command: str) -> list[list[str]]:
    """Every call of ``lazarus`` in a command line, substitutions included."""
    calls = []
    for part in re.findall(r"(?:^|\$\()(lazarus .*?)(?= \||\)|$)", command):
        words = shlex.split(part, comments=True)
        calls.append(words[1:-1] if words[-1] == "&" else words[1:])
    return calls


@pytest.mark.parametrize(("page", "command"), shown())
def test_a_command_that_is_shown_can_be_typed(page: str, command: str) -> None:
    words = shlex.split(command, comments=True)
    if words[0] == "make":
        assert set(words[1:]) <= MAKE_TARGETS
    for call in lazarus_words(command):
        if call[0] == "beat":
            parse(call[1:])
        else:
            app.build().parse_args(hoist(call), exit_on_error=False, print_error=False)


def test_pages_show_commands_at_all() -> None:
    pages = [page for page, command in shown() if lazarus_words(command)]
    assert {"README.md", "docs/quickstart.md"} <= set(pages)
    assert lazarus_words("$(lazarus cell show x --json | python3)")[0][:2] == ["cell", "show"]


def test_a_wrong_command_would_be_found() -> None:
    with pytest.raises(Exception, match="--jsno"):
        app.build().parse_args(["status", "--jsno"], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("words", VERBS)
def test_every_verb_has_its_line(words: str) -> None:
    assert f"| `lazarus {words}` | " in REFERENCE


@pytest.mark.parametrize("words", [words for words in VERBS if words != "beat"])
def test_every_flag_is_named(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run([*words.split(), "--help"]) == 0
    flags = set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    known = REFERENCE.replace("`-n N`", "--lines").replace("`-f` follows", "--follow")
    assert [flag for flag in sorted(flags) if flag not in known] == []


def test_the_flags_of_beat_are_named() -> None:
    assert [flag for flag in FLAGS if flag not in REFERENCE] == []


def test_every_exit_code_is_explained() -> None:
    rows = {int(code) for code in re.findall(r"^\| (\d+) \|", REFERENCE, re.MULTILINE)}
    assert rows == {0, 1, 2, guard.WORLD, guard.INTERRUPTED}


def test_the_shapes_are_those_of_the_code() -> None:
    agent = AgentView(name="a", role="observer", kind="agent", desired="run", shown="waiting")
    cell = CellView(uuid="u", path="p", agents=(agent,))
    for shape in (cell_object(cell), agent_object(agent)):
        assert ", ".join(shape).replace("agents", "agents: [AGENT]") in REFERENCE


def test_every_state_is_explained() -> None:
    states = REFERENCE.partition("The states that `status` shows:")[2].partition("\n\n")[0]
    for phase in Phase:
        if phase is not Phase.FENCING:
            assert f"`{phase.value}" in states
