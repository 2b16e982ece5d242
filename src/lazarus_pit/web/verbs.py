"""Actions: each is the command itself, run as a child, so that there is one way to do a thing.

A child also keeps long work (a restore, a checkpoint) out of the process that answers; it finishes
what it has begun even where that process ends.
"""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from typing import IO, Any, NamedTuple

from lazarus_pit.errors import FormatError
from lazarus_pit.formats.text import one_line

PATIENCE = 10.0
"""Seconds after which an answer no longer waits for the end of what was begun."""
_OUTPUT = 16 * 1024


class Verb(NamedTuple):
    """A command that may be asked for: its flags, and which of the body's fields it takes."""

    what: str
    flags: tuple[str, ...] = ()
    fields: Mapping[str, str] = {}


OF_AGENTS = {
    "revive": Verb("Give it a new life now.", ("--no-wait",)),
    "stop": Verb("Stop it; it stays stopped.", ("--no-wait",)),
    "start": Verb("Start it again.", ("--no-wait",)),
}
OF_CELLS = {
    "freeze": Verb("Make the cell stand still.", ("--no-wait",)),
    "thaw": Verb("Let it move again.", ("--no-wait",)),
    "checkpoint": Verb("Save it.", fields={"note": "--note"}),
    "restore": Verb("Bring a checkpoint back.", fields={"checkpoint": "--checkpoint"}),
    "fork": Verb("Make a new cell of it.", fields={"checkpoint": "--checkpoint", "name": "--name"}),
}

OF_APPROVALS = {
    "approve": Verb("Let it be revived.", ("--via=web",), fields={"by": "--as"}),
    "deny": Verb("Leave it dead.", ("--via=web",), fields={"by": "--as"}),
}


class Outcome(NamedTuple):
    """What became of a command: its exit code, ``None`` while it goes on, and what it said."""

    code: int | None
    said: str


def flags_of(verb: Verb, body: Mapping[str, Any]) -> list[str]:
    """Return the flags for what was sent.

    Raises:
        FormatError: a field that this verb does not take, or that is no short text.
    """
    for name, value in body.items():
        if name not in verb.fields:
            expected = ", ".join(verb.fields) or "nothing"
            raise FormatError(f"body: found {one_line(name, 40)!r}, expected {expected}")
        if not isinstance(value, str) or not value or len(value) > 1000 or "\0" in value:
            raise FormatError(f"{name}: expected a text of 1 to 1000 characters")
    return [*verb.flags, *(f"{verb.fields[name]}={value}" for name, value in body.items())]


def run(argv: Sequence[str], patience: float = PATIENCE) -> Outcome:
    """Run a command and return what became of it within ``patience`` seconds.

    Its output goes to files and not to pipes: nobody who hangs up can stop it.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        try:
            code = child.wait(patience)
        except subprocess.TimeoutExpired:
            threading.Thread(target=child.wait, daemon=True).start()
            return Outcome(None, "it goes on; its end will be among the events")
        return Outcome(code, _said(out if code == 0 else err))


def _said(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_OUTPUT).decode("utf-8", "replace").strip()
