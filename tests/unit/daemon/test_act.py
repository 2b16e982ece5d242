"""What orders do to the world, and what they must never do to the loop: make it wait."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from launching import open_way
from lazarus_pit.cells import provision
from lazarus_pit.config import parse
from lazarus_pit.core.events import Kill
from lazarus_pit.core.model import CellStatus, Life, Role
from lazarus_pit.daemon.awaken import awaken
from lazarus_pit.daemon.run import Daemon
from lazarus_pit.formats.manifest import Manifest, Member
from lazarus_pit.sandboxes import lives

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

PATIENCE = 20.0


def test_the_loop_turns_while_a_life_without_cgroup_is_held_still_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "missions"
    root.mkdir()
    open_way(root)
    text = f'[cells]\nroot = "{root}"\n[rules]\nliveness = "process"\n'
    config = parse(text.encode(), tmp_path / "pit.toml")
    bob = Member(name="bob", role=Role.DEVELOPER, command=("/bin/sleep", "1000"))
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE, agents=(bob,))
    cell = provision.create_cell(root, wanted, config.owner)
    key = f"{cell.uuid}/bob"
    begun, turned, saw = threading.Event(), threading.Event(), list[bool]()
    kill = lives.destroy

    def watched(life: Life) -> None:
        begun.set()
        saw.append(turned.wait(PATIENCE))
        kill(life)

    async def until(what: Callable[[], object]) -> None:
        deadline = time.monotonic() + 2 * PATIENCE
        while not what():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    async def scenario() -> None:
        awakened = awaken(config, unsafe_no_sandbox=True)
        daemon = Daemon(config, awakened, {})
        daemon._begin()
        try:
            await until(lambda: daemon.exits.lives.get(key))
            generation, life = daemon.exits.lives[key]
            daemon.exits.lives[key] = (generation, replace(life, cgroup=""))
            monkeypatch.setattr(lives, "destroy", watched)
            order = Kill(key=key, generation=generation, force=True)
            for _ in range(2):  # Asked twice, it is done once.
                daemon.hands.act(order, daemon.fleet.agents[key])
            await until(begun.is_set)
            turned.set()
            await until(lambda: not lives.is_alive(life))
            monkeypatch.undo()
            provision.move_cell(cell, CellStatus.ARCHIVED)
            await until(lambda: daemon.fleet.agents[key].phase == "stopped")
            assert saw == [True]
        finally:
            daemon._end()
            awakened.ledger.close()

    asyncio.run(scenario())
