from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from lazarus_pit.core.model import Role
from lazarus_pit.sandboxes import program
from lazarus_pit.sandboxes.base import Launch
from lazarus_pit.sandboxes.program import View

PATH = ("/lazarus/bin", "/usr/bin")
NO_PLACE: dict[str, Any] = dict.fromkeys(
    ("workspace", "home", "heartbeat_dir", "inbox", "outbox", "pub_dir", "log_file", "status_file"),
    "/nowhere",
)
LIFE = Launch(
    key="c/a",
    uuid=str(uuid.UUID(int=0, version=4)),
    agent="a",
    role=Role.DEVELOPER,
    generation=1,
    argv=(),
    **NO_PLACE,
)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    scripts = {"run": "/bin/sh", "astray": "/nowhere/node", "by-env": "/usr/bin/env -S A=1 node20"}
    for name, interpreter in scripts.items():
        (tmp_path / name).write_text(f"#!{interpreter}\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "circle").write_text("#!/mission/workspace/circle\n")
    (tmp_path / "circle").chmod(0o755)
    (tmp_path / "data").write_text("text")
    (tmp_path / "data").chmod(0o644)
    (tmp_path / "link").symlink_to("run")
    (tmp_path / "out").symlink_to("/home/me/claude")
    (tmp_path / "gone").symlink_to("/usr/bin/nothing-of-this-name")
    (tmp_path / "knot").symlink_to("knot")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def view(host: Path) -> View:
    ours = {"/mission/workspace": str(host), "/lazarus/bin": str(host)}
    return View(PATH, "/mission/workspace", {"/usr": "/usr", "/bin": "/bin", **ours})


def fault(name: str, host: Path) -> str:
    return program.why_not(replace(LIFE, argv=(name,)), view(host))


@pytest.mark.parametrize(
    "name",
    ["run", "./run", "/mission/workspace/run", "/lazarus/bin/run", "sh", "/usr/bin/env", "link"],
)
def test_what_is_there_is_found_where_it_is_inside(name: str, host: Path) -> None:
    assert fault(name, host) == ""


@pytest.mark.parametrize("name", ["./knot", "./circle"])
def test_what_leads_in_circles_is_left_to_be_tried(name: str, host: Path) -> None:
    assert fault(name, host) == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "the command is empty"),
        ("absent", "absent: not found on its PATH, /lazarus/bin:/usr/bin"),
        ("/mission/workspace/absent", "/mission/workspace/absent: not found"),
        ("/etc/run", "/etc/run: /etc/run is not inside the walls"),
        (
            "/mission/workspaces/run",
            "/mission/workspaces/run: /mission/workspaces/run is not inside the walls",
        ),
        ("out", "out: leads to /home/me/claude, which is not inside the walls"),
        ("./gone", "./gone: not found"),
        ("./data", "./data: not executable"),
        ("data", "data: not executable"),
        ("./folder", "./folder: not a program"),
        ("./pipe", "./pipe: not a program"),
        ("./run/below", "./run/below: not found"),
        ("astray", "astray: a script of /nowhere/node: /nowhere/node is not inside the walls"),
        ("by-env", "by-env: a script of node20: not found on its PATH, /lazarus/bin:/usr/bin"),
    ],
)
def test_what_cannot_be_executed_is_named(name: str, expected: str, host: Path) -> None:
    assert fault(name, host) == expected


def test_what_the_program_starts_in_turn_is_looked_for_too(host: Path) -> None:
    driven = replace(LIFE, argv=("run", "drive"), starts="absent")
    assert (
        program.why_not(driven, view(host))
        == "absent: not found on its PATH, /lazarus/bin:/usr/bin"
    )
    assert program.why_not(replace(driven, starts="link"), view(host)) == ""


def test_a_program_that_only_the_host_sees_is_told(
    host: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host / "mine").mkdir()
    (host / "mine" / "claude").write_text("#!/bin/sh\n")
    (host / "mine" / "claude").chmod(0o755)
    monkeypatch.setenv("PATH", str(host / "mine"))
    said = f"; {host}/mine/claude of this host is not inside the walls"
    assert fault("claude", host).endswith(said)
    outside = program.why_not(replace(LIFE, argv=("claude",)), View(PATH, str(host)))
    assert outside == "claude: not found on its PATH, /lazarus/bin:/usr/bin"


def test_the_first_on_the_path_is_the_one(host: Path) -> None:
    assert program.find("run", View(("/usr/bin", str(host)), "/")) == str(host / "run")
    assert program.find("./run", View(("/usr/bin",), str(host))) == f"{host}/./run"
    assert program.find("absent", View(("/usr/bin",), "/")) == "absent"
