"""The command line as people use it: its output and its exit code.

``Typist`` types within this process, since a hundred starts of an interpreter would cost a minute;
``process`` types for real, where the start, the pipes or the exit of a process matter.
"""

from __future__ import annotations

import contextlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lazarus_pit.cli import main, pit

PATIENCE = 60.0


class Said(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.code == 0, self
        return json.loads(self.out)

    def lines(self) -> list[Any]:
        assert self.code == 0, self
        return [json.loads(line) for line in self.out.splitlines()]


class Typist:
    """Types ``lazarus`` at one root."""

    def __init__(self, root: Path, config: Path | None = None) -> None:
        self.root = root
        self.place = ["--config", str(config)] if config else ["--root", str(root)]

    def __call__(self, *words: str) -> Said:
        return _within(main.main, [*self.place, *words])

    def fails(self, code: int, *words: str) -> str:
        """Type what must fail: one line of complaint, this exit code, no traceback."""
        said = self(*words)
        assert said.code == code, said
        assert said.err.startswith("lazarus: "), said
        assert "Traceback" not in said.err, said
        assert len(said.err.splitlines()) == 1, said
        return said.err


def type_pit(*words: str) -> Said:
    """Type ``lazarus-pit``."""
    return _within(pit.main, list(words))


def _within(program: Callable[[Sequence[str]], None], words: list[str]) -> Said:
    out, err = io.StringIO(), io.StringIO()
    code: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            program(words)
        except SystemExit as end:
            code = end.code
    return Said(code if isinstance(code, int) else 0, out.getvalue(), err.getvalue())


def process(*words: str, module: str = "lazarus_pit", **options: Any) -> Said:
    """Type a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )
    return Said(done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode())
