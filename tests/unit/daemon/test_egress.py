"""A proxy that is stopped must not hold up the loop at every start of an agent."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.core.model import Rules
from lazarus_pit.daemon.egress import PATIENCE, Egress
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.linux import pidfd, unix_sockets

if TYPE_CHECKING:
    from pathlib import Path


def the_proxy(path: str) -> int:
    """The process that listens, by a connection of our own."""
    with unix_sockets.connect(path, 10.0) as line:
        return unix_sockets.peer(line)[0]


def test_one_that_let_a_start_wait_in_vain_is_replaced_before_the_next(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        pit = PitPaths(tmp_path)
        pit.egress.parent.mkdir(parents=True, exist_ok=True)
        pit.egress_log.parent.mkdir(parents=True, exist_ok=True)
        roster = Roster(tmp_path, Rules(), lambda _: None)
        proxies = Egress(asyncio.get_running_loop(), pit, roster, {}, lambda _: None)
        first = the_proxy(proxies.ready())
        assert the_proxy(proxies.ready()) == first
        proxies.check()
        assert the_proxy(proxies.ready()) == first, "it had no time to answer, which is no fault"
        seen = pidfd.open_pid(first)
        assert seen is not None
        try:
            pidfd.send_signal(seen, signal.SIGSTOP)
            proxies.ready()
            assert proxies._asked is not None
            proxies._asked -= PATIENCE
            assert the_proxy(proxies.ready()) != first
        finally:
            pidfd.send_signal(seen, signal.SIGKILL)
            proxies._kill()
            proxies.close()

    asyncio.run(scenario())
