"""What is opened in the sandboxes of second choice: paths, and nothing that needs mounts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from launching import AGENT_UID, Nest, open_way, run
from lazarus_pit.core.model import Exit
from lazarus_pit.errors import SpawnError
from lazarus_pit.sandboxes import landlock
from lazarus_pit.sandboxes.bare import Bare
from lazarus_pit.sandboxes.base import Sandbox
from lazarus_pit.sandboxes.landlock import Landlock

KINDS: dict[str, type[Bare | Landlock]] = {"none": Bare, "landlock": Landlock}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if name == "landlock" and landlock.why_not():
        pytest.skip(landlock.why_not())
    return name


def made(kind: str, base: Path) -> Sandbox:
    open_way(base)
    return KINDS[kind](str(base / "furniture"), None)


@pytest.mark.parametrize(
    "opened", [{"home_read_only": ((".x", "/usr"),)}, {"credentials": (("k", "/k"),)}]
)
def test_what_needs_mounts_is_refused_for_good(
    kind: str, opened: dict[str, tuple[tuple[str, str], ...]], tmp_path: Path
) -> None:
    launch = replace(Nest(tmp_path).launch("/bin/true"), **opened)
    with pytest.raises(SpawnError, match="a file system of the agent's own") as refused:
        made(kind, tmp_path).spawn(launch)
    assert refused.value.fatal


def test_a_path_to_write_is_opened_by_rules_alone(tmp_path: Path) -> None:
    if landlock.why_not():
        pytest.skip(landlock.why_not())
    nest = Nest(tmp_path)
    nest.cell.chmod(0o755)
    outside = tmp_path / "outside"
    outside.mkdir()
    if os.geteuid() == 0:
        os.chown(outside, AGENT_UID, AGENT_UID)
    walls = made("landlock", tmp_path)
    launch = nest.launch("/bin/sh", "-c", f"echo new > {outside}/new")
    assert run(walls, launch) != Exit(code=0)
    again = nest.launch(*launch.argv)
    assert run(walls, replace(again, read_write=(str(outside),))) == Exit(code=0)
    assert (outside / "new").read_text() == "new\n"
