"""The pit as one more supervisor: a real ``lazarus up`` on a root of its own."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path
from typing import Any, ClassVar

from bench.agents import Program
from bench.supervision_peers import Supervisor

from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.formats.manifest import Manifest, Member
from lazarus_pit.linux import cgroup

CELL_SIZE = 10
"""Agents a cell."""

RULES: dict[str, Any] = {
    "liveness": "process",
    "restart": "always",
    "min_uptime": 0.2,
    "max_revive_attempts": 1_000_000,
}
"""What the peers do: the process is the only sign of life, and every end is followed by a start."""

CONFIG = """\
[daemon]
pid_file = "{directory}/pid"
log_file = "{directory}/log"

[cells]
root = "{directory}/root"

[fleet]
storm_floor = 1000000  # The bench kills the whole fleet several times a minute.
starts_in_flight = 64  # The peers hold nothing back either; these agents are ready at once.
"""


class Pit(Supervisor):
    """Lazarus Pit without walls (``--unsafe-no-sandbox``): the job that the peers do."""

    name = "lazarus"
    flags: ClassVar[tuple[str, ...]] = ("--unsafe-no-sandbox",)
    rules: ClassVar[dict[str, Any]] = RULES
    cell_size: ClassVar[int] = CELL_SIZE

    def __init__(self, directory: Path, agent: Program, count: int) -> None:
        super().__init__(directory, agent, count)
        self.cells: list[CellPaths] = []
        self.uids = provision.agent_owner()

    def prepare(self) -> None:
        (self.directory / "config.toml").write_text(CONFIG.format(directory=self.directory))
        names = self.agents()
        for start in range(0, len(names), self.cell_size):
            self.cells.append(self._cell(names[start : start + self.cell_size]))

    def _cell(self, names: list[str]) -> CellPaths:
        uuid = provision.new_uuid()
        members = [
            Member(name=name, role=Role.DEVELOPER, command=self.argv(name)) for name in names
        ]
        wanted = Manifest(
            uuid=uuid, status=CellStatus.ACTIVE, agents=tuple(members), rules=self.rules
        )
        paths = provision.create_cell(self.directory / "root", wanted, self.uids)
        self.furnish(paths)
        return paths

    def argv(self, name: str) -> tuple[str, ...]:
        """The command of one agent."""
        return (str(self.agent.file), str(self.ear.path), name)

    def furnish(self, paths: CellPaths) -> None:
        """Put into a cell what its agents need to be heard."""

    def command(self) -> list[str]:
        verb = [sys.executable, "-m", "lazarus_pit", "up", "--alone", *self.flags]
        return [*verb, "--config", str(self.directory / "config.toml")]

    def crash(self) -> None:
        """Kill the daemon alone, as a crash would; agents live on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def stop(self) -> None:
        super().stop()
        tree, _ = cgroup.find_tree(
            str((self.directory / "root").resolve()).strip("/").replace("/", "-")
        )
        if tree is not None:
            for leaf in list(cgroup.leaves(tree)):
                cgroup.kill(leaf.path)
                cgroup.wait_until_empty(leaf.path, 10.0)
            cgroup.remove_tree(tree)


class WalledPit(Pit):
    """Lazarus Pit as it comes: every agent in a bubblewrap sandbox of its own."""

    name = "lazarus+bwrap"
    needs = ("bwrap",)
    flags = ()

    def argv(self, name: str) -> tuple[str, ...]:
        return ("/mission/workspace/agent", "/mission/workspace/ear", name)

    def furnish(self, paths: CellPaths) -> None:
        self.ear.also(paths.workspace / "ear")
        shutil.copy(self.agent.file, paths.workspace / "agent")
