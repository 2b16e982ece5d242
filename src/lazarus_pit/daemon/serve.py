"""Be the daemon of a root: take the place, wake up, watch, and give the place back."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import threading
from collections.abc import Callable

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.config import Config
from lazarus_pit.daemon import standing
from lazarus_pit.daemon.awaken import awaken
from lazarus_pit.daemon.companions import wanted
from lazarus_pit.daemon.logbook import log_to
from lazarus_pit.daemon.run import Daemon
from lazarus_pit.daemon.telling import is_told
from lazarus_pit.errors import UsageError

log = logging.getLogger(__name__)

THREADS_PATIENCE = 0.3
"""Seconds that threads may go on once the ledger is shut: a locked file must hold up no end.

Whatever they do then is cut off as by kill -9, which all of it survives.
"""


def serve(
    config: Config, *, unsafe_no_sandbox: bool, alone: bool, begins: Callable[[], None]
) -> int:
    """Be the daemon of a root until SIGTERM or SIGINT, and return the exit code.

    What the configuration enables runs beside it (``companions``), less of it if it is ``alone``.
    ``begins`` is called once the place is ours, so that nothing is said by one who is refused.

    Raises:
        UsageError: the root is a file, or below one.
        RefusedError: another daemon watches this root.
        WorldError: the root, the ledger or the log cannot be opened, or no sandbox works.
    """
    try:
        config.root.mkdir(mode=0o755, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"root: {config.root}: found a file, expected a directory") from None
    lock = standing.take_lock(PitPaths(config.root).lock)
    log_to(config)
    begins()
    if not standing.write_pid_file(config.pid_file):
        log.warning("the PID file %s cannot be written", config.pid_file)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:  # One descriptor an agent and more; agents get limits of their own.
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # Ignored, it would swallow every exit status.
    leaving = threading.Timer(THREADS_PATIENCE, _leave, [config])
    leaving.daemon = True
    try:
        asyncio.run(_serve(config, leaving, unsafe_no_sandbox=unsafe_no_sandbox, alone=alone))
    finally:
        leaving.cancel()
        standing.remove_pid_file(config.pid_file)
        os.close(lock)
    return 0


def _leave(config: Config) -> None:
    standing.remove_pid_file(config.pid_file)
    os._exit(0)


async def _serve(
    config: Config, leaving: threading.Timer, *, unsafe_no_sandbox: bool, alone: bool
) -> None:
    awakened = awaken(config, unsafe_no_sandbox=unsafe_no_sandbox)
    log.info(
        "lazarus-pit %d watches %s, sandbox %s, cgroups %s",
        os.getpid(),
        config.root,
        awakened.sandbox_name,
        awakened.tree_note,
    )
    for warning in [*config.warnings, *config.channels.halves]:
        log.warning("%s", warning)
    is_told(config.gitea)  # Who is told nothing hears of it once, here.
    try:
        await Daemon(config, awakened, wanted(config, alone=alone)).run()
    finally:
        awakened.ledger.close()
    log.info("lazarus-pit %d ends; agents are left running", os.getpid())
    leaving.start()
