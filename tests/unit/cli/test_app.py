"""The table of verbs, the global options, and what an error looks like."""

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from lazarus_pit.cli import app
from lazarus_pit.cli.app import GROUPS, VERBS, hoist


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["status"], ["status"]),
        (["--root", "/x", "status"], ["status", "--root", "/x"]),
        (
            ["--root=/x", "--config", "c", "cells", "p"],
            ["cells", "p", "--root=/x", "--config", "c"],
        ),
        (
            ["--root", "/x", "spawn", "--", "p", "--root"],
            ["spawn", "--root", "/x", "--", "p", "--root"],
        ),
        (["--root"], ["--root"]),
        ([], []),
    ],
)
def test_global_options_may_stand_before_the_verb(typed: list[str], meant: list[str]) -> None:
    assert hoist(typed) == meant


@pytest.mark.parametrize("words", VERBS)
def test_every_verb_is_there_and_shows_an_example(
    words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _, function = VERBS[words].code.partition(":")
    assert callable(getattr(importlib.import_module(f"lazarus_pit.cli.{module}"), function))
    assert app.run([*words.split(), "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert VERBS[words].example in shown
    assert VERBS[words].example.startswith(f"lazarus {words}")
    assert "Exit codes: 0 good, 1 unhealthy or failed, 2 wrong use" in shown


def test_the_list_of_verbs_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["--help"]) == 0
    shown = capsys.readouterr().out
    for words in VERBS:
        assert f"  {words.split()[0]}: " in shown
    said = {word for words in GROUPS.values() for word in words.split()}
    assert said == {words.split()[0] for words in VERBS}


def test_what_a_verb_does_is_said_on_one_line_of_a_terminal() -> None:
    for words, verb in VERBS.items():
        assert len(f"  {words.split()[-1]}: {verb.what}") <= 80, words


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["bogus"], "bogus"),
        (["status", "--colour"], "--colour"),
        (["stop"], "AGENT"),
        (["spawn", "c", "n", "--wait", "soon", "--", "p"], "--wait"),
        (["spawn", "c", "--", "sleep", "1"], "no NAME before --"),
        (["cell", "explode"], "(see `lazarus cell --help`)"),
        (["status", "pond"], "status: found 'pond', expected nothing more (see `lazarus status"),
        (["completion", "tcsh"], "tcsh"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    words: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(words) == 2
    said = capsys.readouterr().err
    assert complaint in said
    assert said.startswith("lazarus: ")
    assert said.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_learn_every_verb(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert app.run(["completion", shell]) == 0
    script = capsys.readouterr().out
    for words in VERBS:
        assert words.split()[-1] in script
    if shell == "zsh":  # What is autoloaded as `_lazarus` must do something.
        assert '\n  _cyclopts_lazarus "$@"\n' in script


def test_a_beat_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom lazarus_pit.cli.main import main\n"
        "try: main(['beat', '--help'])\nexcept SystemExit as end: assert not end.code\n"
        "print('HEAVY', sorted(set(sys.argv[1:]) & set(sys.modules)))"
    )
    heavy = ["asyncio", "cyclopts", "json", "msgspec", "pathlib", "rich", "subprocess", "typing"]
    source = Path(app.__file__).parents[2]
    done = subprocess.run(
        [
            *(sys.executable, "-S", "-c"),
            f"import sys; sys.path.insert(0, {str(source)!r})\n{code}",
            *heavy,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "HEAVY []" in done.stdout


def test_only_top_loads_what_draws() -> None:
    code = (
        "import sys\nfrom lazarus_pit.cli.app import run\n"
        "assert run(['--help']) == 0 and run(['top', '--help']) == 0\n"
        "print('DRAWS', 'textual' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "DRAWS False" in done.stdout
