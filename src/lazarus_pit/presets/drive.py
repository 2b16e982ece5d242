"""``lazarus drive``: runs an agent program inside the cell and says what its output means.

It is the program's parent and the life's main process: it puts the program's settings in place,
passes its output on to the log untouched, and turns what it says into beats. An end for want of
quota or a login is announced as a hold before it ends itself, so that it is no death. Standard
library only.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from lazarus_pit import hook, permission, session
from lazarus_pit.presets.base import Preset, Said, Sort, Where
from lazarus_pit.presets.choose import preset as preset_of
from lazarus_pit.presets.meaning import MEANS, Heard
from lazarus_pit.presets.talk import Talk

if TYPE_CHECKING:
    from lazarus_pit.session import Memory

USAGE = """\
Usage: lazarus drive PRESET --begin ID | --resume ID [--ask] -- PROGRAM...

The daemon starts agents with a preset so: PROGRAM is run, and what it says becomes beats.
"""

LINE_MAX = 4 << 20
"""Bytes of a line that are looked into; a longer one is passed on unread."""
PRINTED_SECONDS = 5.0
"""So often at most a program's printing is taken for a sign of life."""
END_SECONDS = 5.0
"""How long a program that was talked to may take to end when all is said."""
Hearing = Callable[[Mapping[str, Any]], Iterable[Said]]
NOT_FOUND = 78
"""Exit code of a program that is not there: trying again cannot help."""


class Asked(NamedTuple):
    """The command line."""

    preset: Preset
    session: str
    """The conversation to begin or to go on with; empty where the program chooses."""
    resumes: bool
    program: list[str]
    asks: bool = False
    """Whether people are asked before its tools are used."""


def parse(words: Sequence[str]) -> Asked:
    """Return what the command line asks for.

    Raises:
        ValueError: it is none of the daemon's.
    """
    asks = words[3:4] == ["--ask"]
    program = words[5:] if asks else words[4:]
    if not program or words[1] not in ("--begin", "--resume") or words[3 + asks] != "--":
        raise ValueError("expected PRESET --begin ID | --resume ID [--ask] -- PROGRAM...")
    try:
        preset = preset_of(words[0])
    except KeyError:
        raise ValueError(f"found the preset {words[0]!r}, which is none") from None
    return Asked(preset, words[2], words[1] == "--resume", list(program), asks)


def main(words: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Run ``lazarus drive``; return the program's exit code, 128 and more for a signal."""
    if "--help" in words[:1] or "-h" in words[:1]:
        sys.stdout.write(USAGE)
        return 0
    try:
        asked = parse(words)
    except ValueError as error:
        sys.stderr.write(f"lazarus drive: {error}\n")
        return 2
    return run(asked, environ)


def run(asked: Asked, environ: Mapping[str, str]) -> int:
    """Run the program to its end, and return the exit code that says what the end was."""
    workspace = f"{environ.get('LAZARUS_CELL', '')}/workspace"
    where = Where(environ.get("HOME", "."), workspace, asked.asks)
    for name, said in asked.preset.files(where).items():
        settle(f"{where.home}/{name}", said)
    passed = {**asked.preset.environment(where), **environ}
    passed[permission.MODE] = "ask" if asked.asks else "skip"
    if asked.resumes:
        passed[session.ASKED] = asked.session
    driver = Driver(asked, passed)
    driver.begin()
    hand_on = _signals()
    talks = asked.preset.talks
    program = asked.program[:-1] if talks else asked.program
    given = subprocess.PIPE if talks else subprocess.DEVNULL
    try:
        child = subprocess.Popen(program, stdin=given, stdout=subprocess.PIPE, env=passed)
    except OSError as error:
        sys.stderr.write(f"lazarus drive: {asked.program[0]}: {error.strerror}\n")
        return NOT_FOUND
    hand_on(child)
    if child.stdin is not None:
        return _talked(asked, driver, child, where, passed)
    if child.stdout is not None:
        listen(child.pid, child.stdout.fileno(), driver.line)
    return driver.ended(child.wait())


def _talked(
    asked: Asked,
    driver: Driver,
    child: subprocess.Popen[bytes],
    where: Where,
    environ: Mapping[str, str],
) -> int:
    """Lead a conversation to its end, and end the program, which would wait for another word."""
    assert child.stdin is not None  # noqa: S101 - asked for with the program
    assert child.stdout is not None  # noqa: S101
    known = asked.session if asked.resumes else ""
    unseen = functools.partial(hook.unseen_mail, environ)
    decide = functools.partial(permission.decide, environ=environ) if asked.asks else None
    heard = asked.preset.heard
    talk = Talk(child.stdin, asked.program[-1], known, where, heard, unseen, decide)
    patience = threading.Timer(END_SECONDS, child.kill)
    patience.daemon = True

    def line(said: bytes) -> None:
        driver.line(said, talk.hear)
        if talk.over and not patience.is_alive():
            patience.start()
            with contextlib.suppress(OSError):
                child.stdin.close()  # type: ignore[union-attr]
            child.terminate()

    talk.begin()
    listen(child.pid, child.stdout.fileno(), line)
    code = child.wait()
    patience.cancel()
    return driver.ended(0 if talk.over else code or 1)


def _signals() -> Callable[[subprocess.Popen[bytes]], None]:
    """Keep signals from now on for a program to come; what is returned hands them on to it."""
    born: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def caught(number: int, _frame: object) -> None:
        early.append(number)
        while born and early:
            born[0].send_signal(early.pop())

    def hand_on(child: subprocess.Popen[bytes]) -> None:
        born.append(child)
        while early:
            child.send_signal(early.pop())

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, caught)
    return hand_on


def listen(pid: int, output: int, line: Callable[[bytes], None]) -> None:
    """Pass a program's output on as it comes, and call ``line`` with each line, to its end.

    The end is the program's own: what it has left running may hold its output open for ever.
    """
    ended = os.pidfd_open(pid)
    os.set_blocking(output, False)
    rest, over, left = b"", False, LINE_MAX
    while left > 0:
        over = over or ended in select.select([output, ended], [], [])[0]
        try:
            part = os.read(output, 1 << 16)
        except BlockingIOError:
            if over:
                break
            continue
        if not part:
            break
        sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        left -= len(part) * over
        *whole, rest = (rest + part).split(b"\n")
        for one in whole:
            line(one)
        rest = b"-" if len(rest) > LINE_MAX else rest  # Too long: no line that is looked into.
    os.close(ended)


def settle(path: str, said: Mapping[str, Any] | str) -> None:
    """Put settings into a JSON file; what else stands there stays, and a broken file is replaced.

    A text is the whole file. What cannot be written is left: the program says itself what it
    misses.
    """
    found: object = {}
    part = f"{path}.{os.getpid()}"
    with contextlib.suppress(OSError, ValueError, RecursionError):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "rb") as file:
            found = {} if isinstance(said, str) else json.load(file)
    try:
        with open(part, "w", encoding="utf-8") as new:
            if isinstance(said, str):
                new.write(said)
            else:
                json.dump(merged(found if isinstance(found, dict) else {}, said), new, indent=2)
        os.rename(part, path)
    except OSError as error:
        sys.stderr.write(f"lazarus drive: {path}: {error.strerror}\n")


def merged(found: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    """Return one object with another put into it, level by level."""
    whole = dict(found)
    for name, value in said.items():
        there = whole.get(name)
        both = isinstance(there, dict) and isinstance(value, Mapping)
        whole[name] = merged(there, value) if both else value  # type: ignore[arg-type]
    return whole


class Driver:
    """Turns what one life's program says into what is remembered of it, and into beats."""

    def __init__(self, asked: Asked, environ: Mapping[str, str]) -> None:
        """Listen to a program that is about to start."""
        self._asked = asked
        self._environ = environ
        self._seen = ""
        self._wants: Sort | None = None
        self._failed = False
        self._printed_at = -PRINTED_SECONDS

    def begin(self) -> None:
        """Remember which conversation this life is to lead; no beat: it has shown nothing yet."""

        def alter(memory: Memory) -> None:
            memory["preset"] = self._asked.preset.name
            if not self._asked.resumes:
                session.forget_conversation(memory)
                if self._asked.session:
                    memory["session"] = self._asked.session

        session.change(self._environ, alter)

    def line(self, line: bytes, heard: Hearing | None = None) -> None:
        """Take in one line of the program's output, read as its preset or ``heard`` does."""
        if not self._asked.preset.tells:
            self._printed(line.decode(errors="replace").strip())
            return
        if not line.startswith(b"{"):
            return
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return
        if said := list((heard or self._asked.preset.heard)(found)):
            self._take(said)

    def _printed(self, text: str) -> None:
        """Take in a line of a program that says nothing in JSON: often its only sign of life."""
        lines, now = self._asked.preset.lines, time.monotonic()
        sort = next((lines[begin] for begin in lines if text.startswith(begin)), Sort.PRINTED)
        if sort is Sort.PRINTED and now < self._printed_at + PRINTED_SECONDS:
            return
        self._printed_at = now
        is_end = sort in (Sort.QUOTA, Sort.LOGIN)
        self._take([Said(Sort.FAILED, text[:300]), Said(sort)] if is_end else [Said(sort)])

    def _take(self, said: Sequence[Said]) -> None:
        now, hooked = time.time(), self._asked.preset.hooked

        def alter(memory: Memory) -> None:
            for one in said:
                self._note(memory, one)
                if one.sort is not Sort.TURN or not self._failed:
                    MEANS[one.sort](Heard(memory, one, self._environ, now, hooked))

        session.tell(self._environ, session.change(self._environ, alter))

    def _note(self, memory: Memory, one: Said) -> None:
        """Take down what the end will be weighed by: a program may fail and yet end with 0."""
        if one.sort is Sort.SESSION and one.text:
            self._seen = one.text
            memory.pop("lost", None)
        if one.sort in (Sort.QUOTA, Sort.LOGIN, Sort.EXHAUSTED):
            self._wants = one.sort
        if one.sort is Sort.FAILED:
            self._failed = True
        elif one.sort in (Sort.THINKING, Sort.TOOL, Sort.RESULT):
            self._failed, self._wants = False, None

    def ended(self, code: int) -> int:
        """Remember how it ended, say last of all what it means, and return the exit code for it."""
        if code == 0 and self._failed:
            code = 1
        if (sort := self._asked.preset.codes.get(code)) and self._wants is None:
            self._take([Said(sort)])

        def alter(memory: Memory) -> None:
            if code and self._asked.resumes and self._asked.preset.tells and not self._seen:
                memory["lost"] = True
                memory["session"] = ""
            if code == 0:
                memory["open"] = {}

        session.tell(self._environ, session.change(self._environ, alter))
        return 128 - code if code < 0 else code
