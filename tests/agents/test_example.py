"""The ready mission, started as its script starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from agents.conftest import World
from agents.programs import MODULES, Program
from lazarus_pit.cells.store import read_manifest

EXAMPLE = Path(__file__).parents[2] / "examples" / "two-programs"


def flags(program: Program, port: int) -> str:
    """What leads a program to the model on loopback, as a person would type it."""
    words = ["--program", str(MODULES / ".bin" / program.binary), "--ro", str(MODULES)]
    words += ["--forward", str(port), "--model", program.model]
    words += [f"--argument={word}" for word in program.arguments]
    words += [f"--env={name}={value}" for name, value in program.env.items()]
    assert not any(" " in word for word in words), "the shell would part it"
    return " ".join(words)


def test_the_script_starts_both_with_their_tasks(world: World) -> None:
    pit, known = world.pit, world.programs
    environ = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIT_FLAGS": f"--config {pit.config}",
        "WRITER_FLAGS": flags(known["claude_code"], world.port),
        "CRITIC_FLAGS": flags(known["codex"], world.port),
    }
    done = subprocess.run(
        ["sh", str(EXAMPLE / "start.sh")], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (cell,) = [one for one in pit.cells() if read_manifest(one).name == "guide"]
    for name in ("writer", "critic"):
        pit.wait_event(cell, "agent_exited", name, exit="exit 0")
        member = read_manifest(cell).member(name)
        assert member is not None
        assert member.preset["task"] == (EXAMPLE / f"{name}.txt").read_text().rstrip("\n")
