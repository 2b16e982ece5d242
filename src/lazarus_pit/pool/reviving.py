"""Run a revive command: detached, without a shell, its output in a log of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from lazarus_pit.errors import SpawnError
from lazarus_pit.formats.text import one_line
from lazarus_pit.linux import pidfd
from lazarus_pit.linux.spawn import Program, open_log, plain

log = logging.getLogger(__name__)


def launch(argv: tuple[str, ...], environ: Mapping[str, str], output: Path) -> int:
    """Start the command in a session of its own, which outlives us, and return its pid.

    Raises:
        SpawnError: it cannot be started.
    """
    if not argv:
        raise SpawnError("revive_cmd is empty", fatal=True)
    file = shutil.which(argv[0], path=environ.get("PATH", os.defpath))
    if file is None:
        raise SpawnError(f"{one_line(argv[0], 80)}: no such program", fatal=True)
    try:
        output.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        printed = open_log(str(output))
        try:
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return plain(Program(argv, environ, file), (null, printed, printed), os.getcwd())
            finally:
                os.close(null)
        finally:
            os.close(printed)
    except (OSError, ValueError) as error:
        raise SpawnError(f"{one_line(argv[0], 80)}: {error}", fatal=True) from None


def collect(pid: int, name: str) -> None:
    """Collect the command when it ends, and say how; whether it did its work the probes say."""
    loop = asyncio.get_running_loop()
    fd = pidfd.open_pid(pid)
    if fd is None:
        return

    def ended() -> None:
        loop.remove_reader(fd)
        log.info("%s: its revive command %d ended: %s", name, pid, pidfd.exit_of(fd, pid))
        os.close(fd)

    loop.add_reader(fd, ended)
