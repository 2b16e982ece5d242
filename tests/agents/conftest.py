"""One model and one pit for all programs; each test has a cell of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from agents.programs import FOLDER, MODULES, Program, programs
from integration.pit import Pit
from launching import open_way
from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import Desired, Role
from lazarus_pit.formats.manifest import Member, Network

QUIET: dict[str, Any] = {
    "heartbeat_stale_threshold": 2.0,
    "resurrect_after": 4.0,
    "start_timeout": 60.0,
}
"""A program that says nothing for so long, beyond what it has announced, is looked at."""


class World:
    """A daemon, a model, and the programs."""

    def __init__(self, pit: Pit, url: str) -> None:
        self.pit = pit
        self.port = urlsplit(url).port or 0
        self.programs: dict[str, Program] = programs(url)

    def spawn(self, cell: CellPaths, name: str, program: str, script: Any, **more: Any) -> None:
        """Let a program join, with the files that it must find in its home."""
        known = self.programs[program]
        said = known.member(self.port, f"Do the job.\nSCRIPT {json.dumps(script)}")
        said["preset"]["permissions"] = more.pop("permissions", "skip")
        said |= {"role": Role.DEVELOPER, "network": Network(said["network"])} | more
        said["env"] = known.env | more.get("env", {})
        owner = provision.agent_owner()
        member = Member(name=name, desired=Desired.STOP, **said)
        provision.add_member(cell, member, owner)
        for path, content in known.files.items():
            file = cell.home(name) / path
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(content))
            for one in (file, *file.parents):
                if cell.home(name) in one.parents and os.geteuid() == 0:
                    os.chown(one, owner.uid, owner.gid)
        self.pit.want(cell, name, desired=Desired.RUN)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    if not MODULES.is_dir():
        pytest.fail("LAZARUS_AGENTS: expected the folder that `make test-agents` has filled")
    folder = tmp_path_factory.mktemp("agents")
    open_way(folder)
    script = Path(__file__).with_name("model.mjs")
    argv = ["node", str(script), str(FOLDER)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as model:
        try:
            assert model.stdout is not None
            url = model.stdout.readline().strip()
            keys = {"ANTHROPIC_API_KEY": "fake", "CODEX_API_KEY": "fake"}
            pit = Pit(folder, **QUIET).start(env=os.environ | keys)
            try:
                yield World(pit, url)
            finally:
                pit.close()
        finally:
            model.terminate()
