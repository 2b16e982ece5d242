"""Any program as a probe: 0 passes, 75 (sysexits.h: try again) is unknown, other codes fail."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping, Sequence

from lazarus_pit.core.model import Exit
from lazarus_pit.linux import pidfd
from lazarus_pit.linux.spawn import Program, plain
from lazarus_pit.probes.seen import Seen, failed, passed, unknown

TRY_AGAIN = 75


async def probe(argv: Sequence[str], environ: Mapping[str, str], seconds: float) -> Seen:
    """Run a program without a shell and return what its exit code says.

    One that cannot be started, is ended by a signal, or has not ended within so many seconds is
    unknown. Whatever it has started in its session's group ends with it.
    """
    file = shutil.which(argv[0], path=environ.get("PATH", os.defpath))
    if file is None:
        return unknown("no such program")
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    try:
        pid = plain(Program(tuple(argv), environ, file), (null, null, null), os.getcwd())
    except OSError as error:
        return unknown(f"cannot be started: {error.strerror}")
    finally:
        os.close(null)
    try:
        status = await asyncio.wait_for(_ended(pid), seconds)
    except TimeoutError:
        return unknown("not ended in time")
    if status.code is None:
        return unknown(str(status))
    if status.code == TRY_AGAIN:
        return unknown("says that it does not know")
    return passed(str(status)) if status.code == 0 else failed(str(status))


async def _ended(pid: int) -> Exit:
    """Wait for a child of ours; whatever becomes of the wait, it is ended and collected."""
    loop = asyncio.get_running_loop()
    fd = os.pidfd_open(pid)
    over: asyncio.Future[Exit] = loop.create_future()

    def collect() -> None:
        loop.remove_reader(fd)
        _kill_group(pid)  # Before it is collected: until then nobody else can have its number.
        ending = pidfd.exit_of(fd, pid) or Exit()
        os.close(fd)
        if not over.done():
            over.set_result(ending)

    loop.add_reader(fd, collect)
    try:
        return await over
    except asyncio.CancelledError:
        _kill_group(pid)
        raise


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
