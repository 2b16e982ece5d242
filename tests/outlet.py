"""An egress proxy without a daemon: the pit's own program, as a process of the test's."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

from lazarus_pit.linux import unix_sockets
from lazarus_pit.sandboxes.egress.messages import MAX_BYTES, Hello, encode
from lazarus_pit.sandboxes.egress.start import start_proxy

PATIENCE = 60.0


@contextlib.contextmanager
def proxy(place: Path) -> Iterator[str]:
    """Run it, and yield its control socket; it must end when asked to, with no fault let fall."""
    path = str(place / "control")
    pid = start_proxy(path, str(place / "log"))
    with unix_sockets.connect(path, PATIENCE) as daemon:
        try:
            daemon.send(encode(Hello()))
            daemon.recv(MAX_BYTES)
            yield path
        finally:
            os.kill(pid, signal.SIGTERM)
            _, status = os.waitpid(pid, 0)
    assert status == 0
    assert (place / "log").read_text() == ""
