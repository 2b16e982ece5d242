"""What can be seen of one life and done to it, whatever sandbox it is in.

A life with a leaf of its own in the cgroup tree is exactly what the leaf holds. Without one it is
the process and all below it: inside bubblewrap nothing can leave the pid namespace, but from a
life without walls a grandchild that was detached on purpose gets away.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator

from lazarus_pit.core.model import Exit, Life
from lazarus_pit.linux import cgroup, pidfd, procfs
from lazarus_pit.sandboxes import status

_FREEZE_TIMEOUT = 2.0
"""Seconds until everything must stand still."""
_STOP_TIMEOUT = 0.2
"""The same where what does not is killed anyway."""


def is_alive(life: Life) -> bool:
    """Whether the life's main process runs."""
    if not procfs.is_same(life.pid, life.start_time, life.boot_id):
        return False
    state = procfs.state(life.pid)
    return state is not None and state not in procfs.ENDED


def open_pidfd(life: Life) -> int | None:
    """Open a descriptor of the life's main process; ``None`` if that is gone.

    It becomes readable when the process ends. Opened first and compared afterwards, so that it
    can never mean another process of the same number.
    """
    if life.pid <= 0 or life.boot_id != procfs.boot_id():
        return None
    fd = pidfd.open_pid(life.pid)
    if fd is None:
        return None
    if procfs.start_time(life.pid) == life.start_time:
        return fd
    os.close(fd)
    return None


def exit_of(life: Life, fd: int | None = None) -> Exit | None:
    """How the life's main process ended; ``None`` while it runs.

    A child of ours is collected by this, so the answer is to be kept. ``fd`` is a descriptor that
    was opened while the process was there, if there is one: the kernel tells its holder more.
    What bubblewrap wrote comes first, since its own exit repeats the agent's signal as a code.
    """
    ended = _process_exit(life, fd)
    if ended is None:
        return None
    if life.status_file:
        report = status.read(life.status_file)
        if report.exit_code is not None:
            return exit_from_shell_code(report.exit_code)
        if ended.code is not None:
            return _exit_of_monitor(ended.code, began=report.child_pid is not None)
    return ended


def is_gone(life: Life) -> bool:
    """Whether nothing is left of the life: only then may the next one begin."""
    if life.boot_id != procfs.boot_id():
        return True
    if is_alive(life) or (life.cgroup and cgroup.is_populated(life.cgroup)):
        return False
    return bool(life.cgroup) or not members(life)


def members(life: Life) -> list[int]:
    """Every living process of the life, bubblewrap's own included."""
    if life.boot_id != procfs.boot_id():
        return []
    if life.cgroup:
        return cgroup.pids(life.cgroup)
    roots = [life.pid] if is_alive(life) else []
    inner = status.inner_init(life.status_file)
    if inner is not None:
        roots.append(inner)
    found = {*roots, *procfs.descendants(roots)} if roots else set()
    return [pid for pid in found if procfs.state(pid) not in (None, *procfs.ENDED)]


def agents_own(life: Life) -> list[int]:
    """The processes of the agent itself: without bubblewrap's monitor and its init."""
    pids = members(life)
    if not life.status_file:
        return pids
    return [pid for pid in pids if not _is_bubblewraps(pid, life)]


def terminate(life: Life) -> int:
    """Ask every process of the agent to end (SIGTERM); return how many were asked."""
    return _signal(life, signal.SIGTERM)


def destroy(life: Life) -> None:
    """End the life with everything it started, at once. It is gone when ``is_gone`` says so.

    Raises:
        OSError: the kernel refused.
    """
    if life.boot_id != procfs.boot_id():
        return
    if life.cgroup:
        cgroup.kill(life.cgroup)
        return
    _hold_still(life)
    with _opened(members(life)) as fds:
        for fd in fds.values():
            pidfd.send_signal(fd, signal.SIGKILL)


def freeze(life: Life) -> str:
    """Make the life stand still; return by which means.

    Raises:
        OSError: the kernel refused, or it did not stand still in time.
    """
    if life.cgroup:
        if not cgroup.freeze(life.cgroup, _FREEZE_TIMEOUT):
            cgroup.thaw(life.cgroup, _FREEZE_TIMEOUT)
            raise TimeoutError(f"{life.cgroup} did not freeze within {_FREEZE_TIMEOUT:g} s")
        return "cgroup.freeze"
    deadline = time.monotonic() + _FREEZE_TIMEOUT
    while _signal(life, signal.SIGSTOP, unless=procfs.STOPPED):
        if time.monotonic() > deadline:
            _signal(life, signal.SIGCONT)
            raise TimeoutError(f"process {life.pid} and its children did not stop")
    return "SIGSTOP"


def thaw(life: Life) -> str:
    """Let the life move again; return by which means.

    Raises:
        OSError: the kernel refused, or it did not move in time.
    """
    if not life.cgroup:
        _signal(life, signal.SIGCONT)
        return "SIGCONT"
    if not cgroup.thaw(life.cgroup, _FREEZE_TIMEOUT):
        raise TimeoutError(f"{life.cgroup} did not thaw within {_FREEZE_TIMEOUT:g} s")
    return "cgroup.freeze"


def computing(life: Life) -> int | None:
    """Processor time used so far, in microseconds: compare two looks. ``None``: not to be seen."""
    if life.cgroup:
        return cgroup.cpu_usec(life.cgroup)
    seen = [stat for pid in members(life) if (stat := procfs.stat(pid))]
    if not seen:
        return None
    return sum(stat.ticks for stat in seen) * 1_000_000 // procfs.CLOCK_TICKS


def stopped(life: Life) -> bool | None:
    """Whether every process of the agent stands still on a stop signal. ``None``: none seen."""
    states = [state for pid in agents_own(life) if (state := procfs.state(pid))]
    return all(state in procfs.STOPPED for state in states) if states else None


def stands_still(life: Life) -> bool:
    """Whether the life is frozen already, by whichever means there is here."""
    return cgroup.is_frozen(life.cgroup) if life.cgroup else stopped(life) is True


def clean(life: Life) -> bool:
    """Remove the leaf of a life that is gone; ``False`` if somebody is still in it."""
    return cgroup.remove_leaf(life.cgroup) if life.cgroup else True


# ---------------------------------------------------------------- below


def _process_exit(life: Life, fd: int | None) -> Exit | None:
    if life.boot_id != procfs.boot_id():
        return Exit(note="reboot")
    if fd is not None:
        return pidfd.exit_of(fd, life.pid)
    own = open_pidfd(life)
    if own is None:
        return Exit()
    try:
        return pidfd.exit_of(own, life.pid)
    finally:
        os.close(own)


def exit_from_shell_code(code: int) -> Exit:
    """Bubblewrap reports a signal as shells do, as 128 and its number."""
    is_signal = 128 < code <= 128 + signal.SIGRTMAX
    return Exit(signal=code - 128) if is_signal else Exit(code=code)


def _hold_still(life: Life) -> None:
    """Stop everything, so that nothing is forked between the look and the kill.

    Bubblewrap's monitor too: killed before its first child is known, it would leave one behind.
    What cannot be stopped in time, in the middle of a disk's answer, is killed as it is.
    """
    deadline = time.monotonic() + _STOP_TIMEOUT
    while time.monotonic() < deadline:
        moving = [pid for pid in members(life) if procfs.state(pid) not in procfs.STOPPED]
        if not moving:
            return
        with _opened(moving) as fds:
            for fd in fds.values():
                pidfd.send_signal(fd, signal.SIGSTOP)


def _exit_of_monitor(code: int, *, began: bool) -> Exit:
    """Without a report the monitor's own exit repeats the agent's, unless nothing ever began."""
    if code == 1 and not began:
        return Exit(code=code, note="or the sandbox could not be set up: see the log")
    return exit_from_shell_code(code)


def _is_bubblewraps(pid: int, life: Life) -> bool:
    """The monitor is the life's main process, the sandbox's init its only child."""
    seen = procfs.stat(pid)
    return pid == life.pid or seen is None or seen.ppid == life.pid


def _signal(life: Life, number: int, unless: frozenset[str] = frozenset()) -> int:
    """Signal the agent's processes that are not in a state of ``unless``; return how many."""
    with _opened(agents_own(life)) as fds:
        still = set(agents_own(life))
        meant = {pid: fd for pid, fd in fds.items() if pid in still}
        chosen = [fd for pid, fd in meant.items() if procfs.state(pid) not in (None, *unless)]
        return sum(pidfd.send_signal(fd, number) for fd in chosen)


@contextlib.contextmanager
def _opened(pids: list[int]) -> Iterator[dict[int, int]]:
    """Descriptors of processes; a number that is used again after this cannot be hit."""
    fds = {pid: fd for pid in pids if (fd := pidfd.open_pid(pid)) is not None}
    try:
        yield fds
    finally:
        for fd in fds.values():
            os.close(fd)
