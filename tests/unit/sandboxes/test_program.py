from __future__ import annotations

from pathlib import Path

import pytest

from lazarus_pit.sandboxes import program


@pytest.fixture
def host(tmp_path: Path) -> Path:
    (tmp_path / "run").write_text("#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "data").write_text("text")
    (tmp_path / "data").chmod(0o644)
    (tmp_path / "link").symlink_to("/nowhere")
    (tmp_path / "folder").mkdir()
    return tmp_path


def fault(name: str, host: Path) -> str:
    inside = {"/mission/workspace": str(host), "/lazarus/bin": str(host)}
    return program.why_not((name,), ("/lazarus/bin", "/usr/bin"), inside, "/mission/workspace")


@pytest.mark.parametrize(
    "name", ["run", "./run", "/mission/workspace/run", "/lazarus/bin/run", "sh", "/usr/bin/env"]
)
def test_what_is_there_is_found_where_it_is_inside(name: str, host: Path) -> None:
    assert fault(name, host) == ""


def test_a_link_is_left_to_be_tried(host: Path) -> None:
    assert fault("./link", host) == ""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "the command is empty"),
        ("absent", "absent: not found in /lazarus/bin:/usr/bin"),
        ("/mission/workspace/absent", "/mission/workspace/absent: not found"),
        ("/mission/workspaces/run", "/mission/workspaces/run: not found"),
        ("./data", "./data: not executable"),
        ("data", "data: not executable"),
        ("./folder", "./folder: not a program"),
        ("./run/below", "./run/below: not found"),
    ],
)
def test_what_cannot_be_executed_is_named(name: str, expected: str, host: Path) -> None:
    assert fault(name, host) == expected


def test_the_first_on_the_path_is_the_one(host: Path) -> None:
    assert program.find("run", ("/usr/bin", str(host)), "/") == str(host / "run")
    assert program.find("./run", ("/usr/bin",), str(host)) == f"{host}/./run"
    assert program.find("absent", ("/usr/bin",), "/") == "absent"
