"""A terminal of our own between a person's and what runs within walls.

What runs there never holds the person's terminal: it can neither put keystrokes into it (TIOCSTI),
nor read them, nor leave its modes changed. Bytes are carried from one to the other and back.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import termios
import tty
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

_BLOCK = 64 * 1024
_SIZE_BYTES = 8
STANDARD = (0, 1, 2)


class Terminal(NamedTuple):
    """What a program is given for 0, 1 and 2, and our end of it."""

    standard: tuple[int, int, int]
    """A terminal of ours wherever we have a terminal; else what we have ourselves."""
    ours: int | None
    """Where our terminal is read and written; ``None`` where nothing is a terminal."""


@contextlib.contextmanager
def opened() -> Iterator[Terminal]:
    """Make a terminal for a program, if we have one ourselves."""
    if not any(os.isatty(fd) for fd in STANDARD):
        yield Terminal(STANDARD, None)
        return
    ours, theirs = pty.openpty()
    try:
        _copy_size(ours)
        first, second, third = (theirs if os.isatty(fd) else fd for fd in STANDARD)
        yield Terminal((first, second, third), ours)
    finally:
        os.close(ours)
        with contextlib.suppress(OSError):
            os.close(theirs)


def carry(ours: int, ended: int) -> None:
    """Carry bytes both ways until the descriptor ``ended`` becomes readable.

    What was printed until then is carried to its end, and the person's terminal is as it was.
    """
    keyboard = 0 if os.isatty(0) else None
    screen = next((fd for fd in (1, 2, 0) if os.isatty(fd)), 1)
    typed = b""
    printing = True
    os.set_blocking(ours, False)
    with _raw(keyboard), _following_size(ours):
        while True:
            # Nothing more is read from the keyboard while what was typed is not yet taken: a
            # program that is busy printing must not bring both directions to a standstill.
            wanted = {ended: select.POLLIN}
            if printing or typed:
                wanted[ours] = printing * select.POLLIN | bool(typed) * select.POLLOUT
            if keyboard is not None and not typed:
                wanted[keyboard] = select.POLLIN
            ready = _ready(wanted)
            if ready.get(ours, 0) & ~select.POLLOUT:
                printing = _print(ours, screen)
            if typed and ready.get(ours, 0) & select.POLLOUT:
                typed = _type(typed, ours)
            if keyboard is not None and keyboard in ready:
                typed = os.read(keyboard, _BLOCK)
                keyboard = keyboard if typed else None
            if ended in ready:
                break
        _drain(ours, screen)


def _ready(wanted: dict[int, int]) -> dict[int, int]:
    poll = select.poll()
    for fd, events in wanted.items():
        poll.register(fd, events)
    return dict(poll.poll())


def _type(typed: bytes, ours: int) -> bytes:
    """Put as much of it into our terminal as fits, and return the rest."""
    try:
        return typed[os.write(ours, typed) :]
    except BlockingIOError:
        return typed
    except OSError:
        return b""


def _print(ours: int, screen: int) -> bool:
    """Carry one block to the screen; ``False`` at the end."""
    try:
        block = os.read(ours, _BLOCK)
    except BlockingIOError:
        return True
    except OSError:  # A terminal whose other side is closed says so by an error.
        return False
    rest = block
    while rest:
        rest = rest[os.write(screen, rest) :]
    return bool(block)


def _drain(ours: int, screen: int) -> None:
    """Carry what is still there, but wait for nothing: something may run on behind."""
    poll = select.poll()
    poll.register(ours, select.POLLIN)
    blocks = 256
    while blocks and any(event & select.POLLIN for _, event in poll.poll(0)):
        blocks -= 1
        if not _print(ours, screen):
            return


@contextlib.contextmanager
def _raw(keyboard: int | None) -> Iterator[None]:
    """Let every key through as it is: what is special about it is our own terminal's matter."""
    if keyboard is None:
        yield
        return
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard, termios.TCSADRAIN)
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _following_size(ours: int) -> Iterator[None]:
    def changed(_number: int, _frame: FrameType | None) -> None:
        _copy_size(ours)

    before = signal.signal(signal.SIGWINCH, changed)
    try:
        yield
    finally:
        signal.signal(signal.SIGWINCH, before)


def _copy_size(ours: int) -> None:
    """Give our terminal the size of the person's."""
    for fd in STANDARD:
        if os.isatty(fd):
            with contextlib.suppress(OSError):
                size = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(_SIZE_BYTES))
                fcntl.ioctl(ours, termios.TIOCSWINSZ, size)
            return
