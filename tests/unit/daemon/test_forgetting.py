"""A daemon lives for months: what it knows of agents and cells that are gone, it forgets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, Any

from launching import open_way
from lazarus_pit.cells import provision
from lazarus_pit.config import parse
from lazarus_pit.core.events import Dismissed, Enlisted
from lazarus_pit.core.fleet import FORGOTTEN_KEPT, Fleet
from lazarus_pit.core.model import CellStatus, Desired, FleetRules, Role, Rules
from lazarus_pit.daemon.awaken import awaken
from lazarus_pit.daemon.run import Daemon
from lazarus_pit.formats.manifest import Manifest, Member

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 60.0
CELLS = 4
KEPT_ON_PURPOSE = frozenset({"Daemon.fleet._forgotten", "Daemon.fleet._heap"})
"""The first is bounded (see below), the second empties itself as its instants pass."""


def tables(whole: object) -> dict[str, int]:
    """How many entries each table has that is reached from an object of ours."""
    seen: set[int] = set()

    def walk(one: object, name: str) -> Iterator[tuple[str, int]]:
        if id(one) in seen:
            return
        seen.add(id(one))
        for field, value in vars(one).items():
            at = f"{name}.{field}"
            if isinstance(value, Sized) and not isinstance(value, str | bytes | tuple):
                yield at, len(value)
            if type(value).__module__.startswith("lazarus_pit") and hasattr(value, "__dict__"):
                yield from walk(value, at)

    return dict(walk(whole, type(whole).__name__))


def test_no_table_of_a_daemon_grows_with_cells_that_are_gone(tmp_path: Path) -> None:
    root = tmp_path / "missions"
    root.mkdir()
    open_way(root)
    text = f'[cells]\nroot = "{root}"\npoll_interval = 1\n[rules]\nliveness = "process"\n'
    config = parse(text.encode(), tmp_path / "pit.toml")
    bob = Member(
        name="bob",
        role=Role.DEVELOPER,
        command=("/bin/true",),
    )

    async def until(daemon: Daemon, what: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    async def come_and_go(daemon: Daemon) -> None:
        """One cell: its agent begins and ends, and then all of it is removed."""
        wanted = Manifest(
            uuid=provision.new_uuid(),
            status=CellStatus.ACTIVE,
            agents=(bob,),
            checkpoint_interval=3600,
        )
        cell = provision.create_cell(root, wanted, config.owner)
        daemon._enlist(daemon.roster.sweep(), daemon.roster.cells)
        key = f"{cell.uuid}/bob"
        await until(daemon, lambda: key in daemon.launches._plans)
        await until(daemon, lambda: daemon.fleet.agents[key].generation)
        daemon._rounds.go([(cell, wanted)], time.monotonic())
        daemon.idling.heard(cell.uuid)
        provision.destroy_cell(cell, force=True)
        daemon._enlist(daemon.roster.sweep(), ())
        await until(daemon, lambda: key not in daemon.fleet.agents)

    async def scenario() -> None:
        awakened = awaken(config, unsafe_no_sandbox=True)
        daemon = Daemon(config, awakened, {})
        daemon._begin()
        try:
            await come_and_go(daemon)  # What is made once is made now.
            before = await calm(daemon)
            for _ in range(CELLS):
                await come_and_go(daemon)
            settled = await calm(daemon)
            grown = {
                name: (before.get(name, 0), count)
                for name, count in settled.items()
                if count >= before.get(name, 0) + CELLS and name not in KEPT_ON_PURPOSE
            }
            assert grown == {}
        finally:
            daemon._end()
            awakened.ledger.close()

    async def calm(daemon: Daemon) -> dict[str, int]:
        daemon.disk.sweep()
        daemon.bounds.sweep()
        daemon.asking.sweep()
        await until(daemon, lambda: not (daemon.post._busy or daemon.recorder.dirty))
        await asyncio.get_running_loop().run_in_executor(daemon.post._thread, lambda: None)
        return tables(daemon)

    asyncio.run(scenario())


def test_a_fleet_remembers_the_generations_of_so_many_who_are_gone() -> None:
    fleet = Fleet(FleetRules())
    wanted = Enlisted(rules=Rules(), desired=Desired.STOP, request=0)
    for number in range(FORGOTTEN_KEPT + 9):
        key = f"cell-{number}/bob"
        fleet.step(key, wanted, 1.0)
        fleet.step(key, Dismissed(), 2.0)
    found = tables(fleet)
    assert found.pop("Fleet._forgotten") == FORGOTTEN_KEPT
    found.pop("Fleet._heap")
    assert {name: count for name, count in found.items() if count} == {}
