"""Contract 6.3: the daemon checks the gateway's health and reports one that is down."""

from __future__ import annotations

from pathlib import Path

import nexus
from integration.pit import Pit
from lazarus_pit.cells.journal import read_events
from lazarus_pit.cells.layout import PitPaths


def test_6_3_a_gateway_that_goes_down_is_reported_once(tmp_path: Path) -> None:
    pit = Pit(tmp_path)

    def told(event: str) -> list[str]:
        lines = read_events(PitPaths(pit.root).events)
        return [line.event.event for line in lines if line.event and line.event.event == event]

    with nexus.running() as gateway:
        settings = f'[gateway]\nhealth_host = "127.0.0.1"\nhealth_port = {gateway.health_port}\n'
        pit.config.write_text(pit.config.read_text() + settings)
        pit.start()
        pit.wait(lambda: PitPaths(pit.root).events.exists() and told("gateway_found"), "found")
    pit.wait(lambda: told("gateway_lost"), "lost")
    assert len(told("gateway_found")) == 1
    assert pit.stop() == 0
