"""The process that does the work: ``python -m lazarus_pit.cells.checkpoint.worker``.

It keeps the daemon's loop free and takes nothing with it when it dies. One JSON line on standard
input is the request; every line on standard output is a message. To have the cell frozen it says
``freeze`` and waits for the answer; when its parent is gone it thaws the cell itself.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.checkpoint.diff import Diff, DiffRequest, diff
from lazarus_pit.cells.checkpoint.restore import Restored, RestoreRequest, restore
from lazarus_pit.cells.checkpoint.save import Report, Saved, SaveRequest, save
from lazarus_pit.cells.checkpoint.undo import Undone, UndoRequest, undo
from lazarus_pit.cells.checkpoint.unpack import Unpacked, UnpackRequest, unpack
from lazarus_pit.cells.checkpoint.unsaved import Unsaved, UnsavedRequest, unsaved
from lazarus_pit.cells.checkpoint.verify import Verified, VerifyRequest, verify
from lazarus_pit.errors import LazarusError, WorldError

Request = (
    SaveRequest
    | UnpackRequest
    | RestoreRequest
    | UndoRequest
    | VerifyRequest
    | DiffRequest
    | UnsavedRequest
)
Outcome = Saved | Unpacked | Restored | Undone | Verified | Diff | Unsaved


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The line that the worker is given."""

    request: Request
    thaw_files: tuple[str, ...] = ()
    """``cgroup.freeze`` files to write 0 into if the parent is gone while the cell is frozen."""


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far the worker is: a stage, and the share of it that is done (0 to 1)."""

    stage: str
    done: float


class Freeze(msgspec.Struct, frozen=True, kw_only=True, tag="freeze"):
    """Asks for the freeze; the answer is an ``Answer``."""


class Thaw(msgspec.Struct, frozen=True, kw_only=True, tag="thaw"):
    """Asks for the thaw; the answer is an ``Answer``."""


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag="failed"):
    """The work could not be done; nothing has changed but what the text says."""

    error: str
    """The name of an exception in ``lazarus_pit.errors``."""
    text: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The last message: what came of it."""

    outcome: Outcome


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent says to ``Freeze`` and ``Thaw``."""

    pids: tuple[int, ...] = ()
    refused: str = ""
    """Why the cell could not be frozen; empty if it stands still."""


Message = Progress | Freeze | Thaw | Failed | Done


class Parent:
    """The parent as the worker sees it: someone to tell, and the freezer of the cell."""

    def __init__(self, listen: BinaryIO, speak: BinaryIO) -> None:
        self._listen = listen
        self._speak = speak
        self._frozen = False
        self._said: tuple[str, float] = ("", 0.0)
        self.thaw_files: tuple[str, ...] = ()

    def say(self, message: Message) -> None:
        """Tell the parent; one that is gone is not told. Raises ``OSError``."""
        self._speak.write(msgspec.json.encode(message) + b"\n")
        self._speak.flush()

    def report(self, stage: str, done: float) -> None:
        """Tell how far the work is, at most ten times a second within a stage."""
        now = time.monotonic()
        if stage != self._said[0] or now - self._said[1] > 0.1:
            self._said = (stage, now)
            self.say(Progress(stage=stage, done=round(done, 3)))

    def freeze(self) -> tuple[int, ...]:
        """Have the cell frozen. Raises ``WorldError`` where that cannot be."""
        self._frozen = True
        self.say(Freeze())
        answer = self._answer()
        if answer.refused:
            raise WorldError(f"the cell could not be frozen: {answer.refused}")
        return answer.pids

    def thaw(self) -> None:
        """Have the cell thawed, without fail."""
        if not self._frozen:
            return
        try:
            self.say(Thaw())
            self._answer()
        except (OSError, WorldError):
            for file in self.thaw_files:
                Path(file).write_text("0")
            raise
        finally:
            self._frozen = False

    def _answer(self) -> Answer:
        line = self._listen.readline()
        if not line:
            raise WorldError("the parent of this process is gone")
        return msgspec.json.decode(line, type=Answer)


def main() -> int:
    """Do one piece of work and leave: 0 done, 1 failed (and said why)."""
    parent = Parent(sys.stdin.buffer, sys.stdout.buffer)
    gc.disable()  # Nothing here makes cycles, and there are millions of tuples to look through.
    last: Message
    try:
        order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
        parent.thaw_files = order.thaw_files
        last = Done(outcome=_perform(order.request, parent))
    except (LazarusError, OSError, msgspec.MsgspecError) as error:
        name = type(error).__name__ if isinstance(error, LazarusError) else "WorldError"
        last = Failed(error=name, text=str(error))
    with suppress(BrokenPipeError):  # Nobody is there to be told.
        parent.say(last)
    return 0 if isinstance(last, Done) else 1


def _perform(request: Request, parent: Parent) -> Outcome:
    if isinstance(request, SaveRequest):
        return save(request, parent, parent.report)
    if isinstance(request, RestoreRequest | UndoRequest):
        with shelf.locked(Path(request.archive).parent):
            return _act(request, parent)
    return _act(request, parent)


def _act(request: Request, parent: Parent) -> Outcome:
    act = _ACTS[type(request)]
    outcome: Outcome = act(request, parent.report)
    return outcome


_ACTS: dict[type, Callable[[Any, Report], Outcome]] = {
    UnpackRequest: unpack,
    RestoreRequest: restore,
    UndoRequest: undo,
    VerifyRequest: lambda request, _: verify(request),
    DiffRequest: lambda request, _: diff(request),
    UnsavedRequest: lambda request, _: unsaved(request),
}


if __name__ == "__main__":
    os.umask(0o077)
    os._exit(main())  # A parent that is gone must not make the end of the output an error.
