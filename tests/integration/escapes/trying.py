"""Run the package ``attempts`` inside walls, and hear what got through."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from msgspec.structs import replace

import attempts
from launching import run
from lazarus_pit.core.model import Exit, Role
from lazarus_pit.sandboxes import inside
from lazarus_pit.sandboxes.base import Network, Sandbox
from outside import Outside, careless, services

ATTEMPTS = Path(attempts.__file__).parent

OPEN_WITH_HOST_NETWORK = {
    "connect_to_the_hosts_loopback",
    "send_a_datagram_to_the_host",
    "watch_the_machines_sockets",
}
"""What network mode host means."""


def through(
    walls: Sandbox,
    outside: Outside,
    monkeypatch: pytest.MonkeyPatch,
    *only: str,
    role: Role = Role.DEVELOPER,
    network: Network = "none",
    proxy: str = "",
) -> set[str]:
    """The attempts that get through."""
    nest = outside.nest
    place = Path(inside.HOME) if walls.name == "bubblewrap" else nest.home
    workspace = inside.WORKSPACE if walls.name == "bubblewrap" else str(nest.workspace)
    shutil.copytree(ATTEMPTS, nest.home / "attempts", dirs_exist_ok=True)
    launch = nest.launch(
        "python3",
        "-m",
        "attempts",
        str(place / "facts.json"),
        *only,
        role=role,
        network=network,
    )
    launch = replace(launch, env={"PYTHONPATH": str(place)}, allow=("a.example",), proxy=proxy)
    with services(outside) as host, careless(outside, monkeypatch):
        (nest.home / "facts.json").write_text(json.dumps(outside.facts(launch, workspace, **host)))
        assert run(walls, launch) == Exit(code=0), nest.said()
    found = json.loads(nest.said().splitlines()[-1])
    return {name for name, got_through in found.items() if got_through}
