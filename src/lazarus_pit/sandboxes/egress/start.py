"""Start the proxy as a process that outlives us."""

from __future__ import annotations

import contextlib
import os
import sys

import lazarus_pit
from lazarus_pit.linux import spawn, unix_sockets
from lazarus_pit.linux.spawn import Program

PROXY = "lazarus_pit.sandboxes.egress.proxy"
BACKLOG = 64


def start_proxy(control: str, log_file: str) -> int:
    """Start a proxy with its control socket at a path, and return its pid.

    It can be spoken to at once: what is said before it listens waits for it. What it has to say
    of its own faults is appended to ``log_file``.

    Raises:
        OSError: it cannot be started, or one of the two files cannot be made.
    """
    program = Program(
        argv=(sys.executable, "-P", "-m", PROXY),
        env={
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.path.dirname(os.path.dirname(lazarus_pit.__file__)),
        },
    )
    with contextlib.ExitStack() as opened:
        nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        opened.callback(os.close, nothing)
        said = spawn.open_log(log_file)
        opened.callback(os.close, said)
        socket = opened.enter_context(unix_sockets.listen(control, BACKLOG))
        return spawn.plain(program, (nothing, said, said, socket.fileno()), "/")
