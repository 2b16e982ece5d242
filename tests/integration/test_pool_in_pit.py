"""Contract 3.2: the daemon's configuration may name gateways too, and one daemon watches both."""

from __future__ import annotations

import json
from pathlib import Path

from integration.pit import Pit
from integration.pools import FarPool
from integration.typing_it import Typist
from lazarus_pit.cells.layout import PitPaths


def test_one_daemon_watches_cells_and_gateways(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    with FarPool(tmp_path / "far") as far:
        timmy = far.add("timmy", "auto")
        pit = Pit(tmp_path)
        with pit.config.open("a") as file:
            file.write("[pool]\npoll_interval = 0.1\ndead_threshold = 0.2\n[[pool.gateways]]\n")
            file.writelines(f"{key} = {json.dumps(value)}\n" for key, value in timmy.items())
            file.write('[pool.missions.m]\nagents = ["timmy"]\nrevive_policy = "auto"\n')
        try:
            pit.start()
            cell = pit.cell()
            pit.spawn(cell, "scribe", "/bin/sh", "-c", "while :; do lazarus beat; sleep 0.2; done")
            pit.wait_event(cell, "agent_ready", "scribe")
            journal = PitPaths(pit.root).events
            pit.wait(journal.exists, "the pool's first line")
            pit.wait(lambda: b"gateway_recovered" in journal.read_bytes(), "timmy is back")
            assert len(far.lives()) == 1
            shown = Typist(pit.root, pit.config)("status")
            assert ("1 gateway\n" in shown.out, "  timmy " in shown.out) == (True, True)
        finally:
            pit.close()
