"""Start a process that outlives us, with nothing of ours but what it is given.

Two ways: ``plain`` is posix_spawn(3), whose cost does not grow with this process; ``forked`` runs
steps of ours in the child before it becomes the program.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import functools
import gc
import itertools
import os
import resource
import select
import signal
import stat
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from lazarus_pit.linux import cgroup
from lazarus_pit.linux.fork import fork_into
from lazarus_pit.linux.syscalls import libc

_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80
"""Flags of spawn.h."""
_ROOM = 512
"""Bytes, more than any C library's spawn structures and signal sets need."""
_RESETTABLE = frozenset(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
_ABOVE = 64
"""Descriptors are first moved above this number, so that none is overwritten before its turn."""
_PATIENCE = 30
"""Seconds until a child must have become its program."""
_SOON = 1.0
"""The same where a child that stands still is tried again in a way that is slower but safe."""
_ENOUGH = 4096
"""Bytes of a child's last words that are read."""


class Program(NamedTuple):
    """What a child is to become."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    file: str = ""
    """What to execute, if it is not ``argv[0]``."""


class Step(NamedTuple):
    """Something that the child does before it becomes the program."""

    name: str
    run: Callable[[], object]


class StepError(OSError):
    """A child could not become the program; ``step`` says what failed."""

    def __init__(self, number: int, step: str, reason: str) -> None:
        super().__init__(number, f"{step}: {reason}")
        self.step = step


class _StuckError(StepError):
    """A child stood still before it was the program."""


def plain(program: Program, descriptors: Sequence[int], cwd: str) -> int:
    """Start a program in a session and a directory of its own and return its pid.

    ``descriptors`` become 0, 1, 2; signals are as a new process expects them. Other descriptors
    must be close-on-exec: see ``close_on_exec``. Other threads run on meanwhile.

    Raises:
        OSError: the program cannot be executed, or the directory cannot be entered.
    """
    actions = ctypes.create_string_buffer(_ROOM)
    libc.posix_spawn_file_actions_init(actions)
    try:
        for target, fd in enumerate(descriptors):
            libc.posix_spawn_file_actions_adddup2(actions, fd, target)
        libc.posix_spawn_file_actions_addchdir_np(actions, os.fsencode(cwd))
        file = program.file or program.argv[0]
        environ = [f"{name}={value}" for name, value in program.env.items()]
        pid = ctypes.c_int()
        number = libc.posix_spawn(
            ctypes.byref(pid),
            os.fsencode(file),
            actions,
            _attributes(),
            _strings(program.argv),
            _strings(environ),
        )
    finally:
        libc.posix_spawn_file_actions_destroy(actions)
    if number:
        raise OSError(number, os.strerror(number), file)
    return pid.value


@functools.cache
def _attributes() -> ctypes.Array[ctypes.c_char]:
    """A session of its own, no signal blocked, every signal as by default."""
    attributes = ctypes.create_string_buffer(_ROOM)
    signals = ctypes.create_string_buffer(_ROOM)
    libc.posix_spawnattr_init(attributes)
    libc.sigemptyset(signals)
    libc.posix_spawnattr_setsigmask(attributes, signals)
    for number in _RESETTABLE:
        libc.sigaddset(signals, int(number))
    libc.posix_spawnattr_setsigdefault(attributes, signals)
    flags = _SETSIGDEF | _SETSIGMASK | _SETSID
    libc.posix_spawnattr_setflags(attributes, ctypes.c_short(flags))
    return attributes


def _strings(values: Sequence[str]) -> ctypes.Array[ctypes.c_char_p]:
    encoded = [os.fsencode(value) for value in values]
    return (ctypes.c_char_p * (len(encoded) + 1))(*encoded, None)


def forked(
    program: Program, descriptors: Sequence[int], steps: Sequence[Step], leaf: str = ""
) -> int:
    """Fork, take the steps in the child, become the program, and return the child's pid.

    ``descriptors`` become 0, 1, 2 and so on after the last step; all others are closed. The child
    is in a session of its own from the beginning, and born in the cgroup ``leaf``, if one is given.

    Raises:
        StepError: a step, or the execution itself, failed; the child is gone.
    """
    if leaf and threading.active_count() > 1:
        # Another thread may hold a lock of the C library's just now; fork(2) waits for those, but
        # clone3(2) does not, and a child that needs one would stand still for ever.
        with contextlib.suppress(_StuckError):
            return _forked(program, descriptors, steps, leaf, _SOON)
        enter = Step("join the cgroup", lambda: cgroup.enter(leaf))
        return _forked(program, descriptors, [enter, *steps], "", _PATIENCE)
    return _forked(program, descriptors, steps, leaf, _PATIENCE)


def _forked(
    program: Program, descriptors: Sequence[int], steps: Sequence[Step], leaf: str, patience: float
) -> int:
    """Do it once.

    Raises:
        StepError: it failed; ``_StuckError``: it was not the program after ``patience`` seconds.
    """
    ear, mouth = os.pipe2(os.O_CLOEXEC)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _RESETTABLE)
    try:
        pid, missed = _fork(leaf)
        if pid == 0:
            _become(program, descriptors, [*missed, *steps], mouth)
    except BaseException:
        os.close(ear)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(mouth)
    words = _last_words(pid, ear, patience)
    if words is None:
        os.waitpid(pid, 0)
        raise _StuckError(errno.ETIMEDOUT, "child", f"not the program after {patience:g} s")
    if words:
        os.waitpid(pid, 0)
        number, _, rest = words.decode(errors="replace").partition(" ")
        step, _, reason = rest.partition("\n")
        raise StepError(int(number), step, reason)
    return pid


def _fork(leaf: str) -> tuple[int, list[Step]]:
    """Fork into a cgroup, or where the kernel cannot, fork and say what the child has to do."""
    if not leaf:
        return os.fork(), []
    try:
        return fork_into(leaf), []
    except OSError:
        return os.fork(), [Step("join the cgroup", lambda: cgroup.enter(leaf))]


def _last_words(pid: int, ear: int, patience: float) -> bytes | None:
    """Hear what the child says before it is the program: nothing, if all went well.

    ``None``: it stands still, and was killed for it.
    """
    with open(ear, "rb") as file:
        poll = select.poll()
        poll.register(file, select.POLLIN)
        if poll.poll(patience * 1000):
            return file.read(_ENOUGH)
    os.kill(pid, signal.SIGKILL)
    return None


def _become(
    program: Program, descriptors: Sequence[int], steps: Sequence[Step], mouth: int
) -> NoReturn:
    """The child. Whatever happens here must not come back into the caller's code."""
    name = "child"
    try:
        gc.disable()
        os.setsid()
        for step in steps:
            name = step.name
            step.run()
        name = "descriptors"
        mouth = _keep_only(descriptors, mouth)
        name = "signals"
        _reset_signals()
        file = program.file or program.argv[0]
        name = f"execute {file}"
        os.execve(file, program.argv, program.env)  # noqa: S606 - no shell is what is wanted
    except BaseException as error:  # noqa: BLE001 - nothing may escape a forked child
        number = error.errno if isinstance(error, OSError) and error.errno else 0
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        with contextlib.suppress(OSError):
            os.write(mouth, f"{number} {name}\n{reason}".encode(errors="replace"))
    finally:
        os._exit(127)


def _reset_signals() -> None:
    """What is ignored would stay ignored after exec; handlers would not."""
    for number in _RESETTABLE:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _keep_only(descriptors: Sequence[int], mouth: int) -> int:
    """Put the descriptors where they are promised and close every other.

    The pipe home comes right after them, until the execution closes it; its number is returned.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    kept = sorted({0, 1, 2, *descriptors, mouth})
    end = max(kept[-1] + 1, limit if limit != resource.RLIM_INFINITY else 1 << 30)
    # What is not needed goes first: in a full table the limits of the child leave no number free.
    for below, above in itertools.pairwise([*kept, end]):
        os.closerange(below + 1, above)
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for fd in (*descriptors, mouth)]
    home = len(descriptors)
    for target, fd in enumerate(high):
        os.dup2(fd, target, inheritable=target != home)
    os.closerange(home + 1, end)
    return home


def close_on_exec() -> None:
    """Mark everything above standard error close-on-exec: what our starter left open stays here."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)


def open_log(path: str) -> int:
    """Open a log file for appending; never a link, never anything but a regular file.

    Raises:
        OSError: it cannot be opened, or it is something else.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY
    fd = os.open(path, flags | os.O_NONBLOCK, 0o640)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(22, "not a regular file", path)
    os.set_blocking(fd, True)
    return fd
