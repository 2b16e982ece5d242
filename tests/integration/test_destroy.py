"""The end of a cell: what it holds is saved first, and never lost without a person's word."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from integration.typing_it import Typist
from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.checkpoint.source import opened
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cli import committed

TOKEN = re.compile(r"--token (\S+)$")
ME = ("-c", "user.name=ada", "-c", "user.email=ada@example.org", "-c", "safe.directory=*")


@pytest.fixture
def lazarus(tmp_path: Path) -> Typist:
    tmp_path.chmod(0o755)
    return Typist(tmp_path / "missions")


@pytest.fixture
def cell(lazarus: Typist) -> CellPaths:
    said = lazarus("cell", "create", "--name", "pond", "--mission", "Count the limpets")
    return CellPaths(lazarus.root, said.out.strip())


def git(*words: str | Path) -> None:
    subprocess.run(["git", *ME, *map(str, words)], check=True, capture_output=True)


def commit(place: Path, name: str) -> None:
    (place / name).write_text(name)
    git("-C", place, "add", name)
    git("-C", place, "commit", "-qm", name)


def hand_over(cell: CellPaths) -> None:
    """Give the workspace to whom the agents run as, as if they had made it all."""
    owner = cell.workspace.stat()
    for path in cell.workspace.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def token_in(said: str) -> str:
    found = TOKEN.search(said.strip())
    assert found is not None, said
    return found[1]


def test_the_archive_takes_a_last_checkpoint_and_then_nothing_is_lost(
    lazarus: Typist, cell: CellPaths
) -> None:
    (cell.workspace / "notes").write_text("limpets: 12")
    assert "last checkpoint" in lazarus("cell", "archive", "pond").out
    assert len(shelf.checkpoints(cell.checkpoints)) == 1
    os.utime(cell.workspace / "notes", (1, 1))  # A new time alone is no work.
    assert lazarus("cell", "destroy", "pond").code == 0
    assert not cell.cell.exists()


def test_work_newer_than_the_checkpoint_is_lost_only_by_its_token(
    lazarus: Typist, cell: CellPaths
) -> None:
    (cell.workspace / "old").write_text("saved")
    lazarus("cell", "archive", "pond")
    (cell.workspace / "new").write_text("not saved")
    (cell.workspace / "old").write_text("other")
    said = lazarus.fails(1, "cell", "destroy", "pond")
    assert "2 files not as in checkpoint" in said
    assert "workspace/new, workspace/old" in said
    first = token_in(said)
    assert first.startswith("2-files-")
    (cell.workspace / "more").symlink_to("/nowhere")
    said = lazarus.fails(1, "cell", "destroy", "pond", "--token", first)
    assert f"{first} is not what would be lost now" in said
    assert (cell.workspace / "new").read_text() == "not saved"
    done = lazarus("cell", "destroy", "pond", "--token", token_in(said))
    assert done.code == 0
    assert not cell.cell.exists()
    with opened(Path(done.out.strip().rpartition(": ")[2])) as source:
        assert b"./workspace/new" in source.preface.lines, "saved once more, whatever was agreed"


def test_a_rotten_checkpoint_saves_nothing(lazarus: Typist, cell: CellPaths) -> None:
    (cell.workspace / "noise").write_bytes(os.urandom(4096))
    lazarus("cell", "archive", "pond")
    archive = shelf.checkpoints(cell.checkpoints)[0].archive
    whole = bytearray(archive.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    archive.write_bytes(whole)
    said = lazarus.fails(1, "cell", "destroy", "pond")
    assert "1 file in no checkpoint" in said
    assert f"unsound checkpoints ({archive.name.removesuffix('.tar.gz')})" in said


def test_what_no_checkpoint_can_hold_would_be_lost(lazarus: Typist, cell: CellPaths) -> None:
    here = os.open(cell.workspace, os.O_RDONLY)
    for _ in range(260):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    os.mkfifo(cell.workspace / "fifo")
    lazarus("cell", "archive", "pond")
    assert "1 file not as in" in lazarus.fails(1, "cell", "destroy", "pond")


def test_commits_and_changes_that_no_remote_has_are_named(
    lazarus: Typist, cell: CellPaths, tmp_path: Path
) -> None:
    remote, work = tmp_path / "remote.git", cell.workspace / "field guide"
    git("init", "-q", "--bare", remote)
    git("clone", "-q", remote, work)
    commit(work, "pushed")
    git("-C", work, "push", "-q", "origin", "HEAD")
    hand_over(cell)
    lazarus("cell", "archive", "pond")
    (work / "draft").write_text("x")
    (work / "pushed").write_text("y")
    commit(work, "kept here")
    hand_over(cell)
    lazarus("checkpoint", "pond")
    said = lazarus.fails(1, "cell", "destroy", "pond")
    assert "lose 2 uncommitted changes and 1 unpushed commit in workspace/field guide" in said
    assert token_in(said).startswith("2-changes-1-commits-")
    git("-C", work, "add", "-A")
    git("-C", work, "commit", "-qm", "all of it")
    git("-C", work, "push", "-q", "origin", "HEAD")
    hand_over(cell)
    lazarus("checkpoint", "pond")
    assert lazarus("cell", "destroy", "pond").code == 0
    assert not cell.cell.exists()


def test_a_repository_runs_its_programs_inside_the_walls_and_never_for_ever(
    lazarus: Typist, cell: CellPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    outside.chmod(0o777)
    work = cell.workspace / "trap"
    git("init", "-q", work)
    (work / ".gitattributes").write_text("* filter=trap\n")
    (work / "bait").write_text("one")
    program = work / "program"
    program.write_text(
        f"#!/bin/sh\ncat\ntouch {outside}/escaped {work}/escaped /mission/workspace/escaped\n"
        "touch ~/ran\nsleep 600\n"
    )
    program.chmod(0o755)
    git("-C", work, "add", ".gitattributes", "bait")
    git("-C", work, "commit", "-qm", "one")
    git("-C", work, "config", "filter.trap.clean", "./program")
    (work / "bait").write_text("two")
    hand_over(cell)
    assert lazarus("cell", "archive", "pond").code == 0
    monkeypatch.setattr(committed, "PATIENCE", 2.0)
    said = lazarus.fails(1, "cell", "destroy", "pond")
    assert "whatever is in workspace/trap (git did not come to an end)" in said
    assert list(outside.iterdir()) == []
    assert not list(cell.workspace.rglob("escaped"))
    assert list(PitPaths(lazarus.root).nursery.iterdir()) == []


def test_what_is_no_repository_though_it_looks_like_one_is_unknown(
    lazarus: Typist, cell: CellPaths
) -> None:
    (cell.workspace / ".git").write_text("gitdir: /etc\n")
    hand_over(cell)
    lazarus("cell", "archive", "pond")
    said = lazarus.fails(1, "cell", "destroy", "pond")
    assert "whatever is in workspace (git could not read it)" in said
    assert token_in(said).startswith("1-unknown-")
    assert lazarus("cell", "destroy", "pond", "--token", token_in(said)).code == 0


def test_force_saves_an_active_cell_first_and_asks_before_anything_ends(
    lazarus: Typist, cell: CellPaths
) -> None:
    git("init", "-q", cell.workspace / "own")
    commit(cell.workspace / "own", "one")
    hand_over(cell)
    said = lazarus.fails(1, "cell", "destroy", "pond", "--force")
    assert "lose 1 unpushed commit in workspace/own" in said
    assert lazarus("cell", "show", "pond", "--json").json()["status"] == "active"
    assert not shelf.checkpoints(cell.checkpoints)
    assert lazarus("cell", "destroy", "pond", "--force", "--token", token_in(said)).code == 0
    assert not cell.cell.exists()


def test_without_waiting_there_is_no_last_checkpoint_and_it_says_so(
    lazarus: Typist, cell: CellPaths
) -> None:
    (cell.workspace / "notes").write_text("x")
    assert "--no-wait" in lazarus("cell", "archive", "pond", "--no-wait").err
    assert "1 file in no checkpoint" in lazarus.fails(1, "cell", "destroy", "pond")
    assert lazarus("checkpoint", "pond").code == 0
    assert lazarus("cell", "destroy", "pond").code == 0


def test_a_removal_that_was_cut_short_is_finished_without_asking(
    lazarus: Typist, cell: CellPaths
) -> None:
    (cell.workspace / "notes").write_text("x")
    text = cell.manifest.read_text()
    cell.manifest.write_text(text.replace('"active"', '"destroyed"', 1))
    shutil.rmtree(cell.checkpoints, ignore_errors=True)
    assert lazarus("cell", "destroy", "pond").code == 0
    assert not cell.cell.exists()
