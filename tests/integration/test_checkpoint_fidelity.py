"""What is saved comes back as it was, to the nanosecond, through every door."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from integration.saving import make_cell, restore, save, undo, unpack, verify, work
from lazarus_pit.cells.checkpoint import shelf
from lazarus_pit.cells.checkpoint.diff import DiffRequest, diff
from lazarus_pit.cells.checkpoint.restore import RestoreRequest
from lazarus_pit.cells.checkpoint.save import SaveRequest
from lazarus_pit.cells.checkpoint.undo import UndoRequest
from lazarus_pit.cells.checkpoint.unpack import UnpackRequest
from lazarus_pit.cells.checkpoint.verify import VerifyRequest
from lazarus_pit.errors import FormatError, RefusedError, UsageError
from trees import make_hostile, picture

SPARSE_DEPTH = 250


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    return make_cell(tmp_path)


def mutate(workspace: Path) -> None:
    """Change a tree as an agent does: some of every kind."""
    plain = workspace / "plain"
    (plain / "f020.txt").write_text("edited")
    with (plain / "f021.txt").open("a") as file:
        file.write("appended")
    (plain / "f022.txt").unlink()
    (plain / "f023.txt").rename(workspace / "moved.txt")
    (plain / "f024.txt").chmod(0o700)
    (workspace / "new" / "er").mkdir(parents=True)
    (workspace / "new" / "er" / "file").write_text("new")
    shutil.rmtree(workspace / "empty")
    (workspace / "empty").write_text("a file now")
    closed = workspace / "modes" / "closed"
    closed.chmod(0o700)
    (closed / "inside").write_text("x")
    closed.chmod(0o500)
    (workspace / "links" / "relative").unlink()
    (workspace / "links" / "relative").symlink_to("elsewhere")
    (workspace / "aaa-hard").unlink()
    os.utime(plain / "f025.txt", ns=(5, 5))
    with (workspace / "large.bin").open("r+b") as file:
        file.seek(1 << 20)
        file.write(b"in place")


def test_a_hostile_workspace_comes_back_exactly(cell: Path, tmp_path: Path) -> None:
    unsaved = make_hostile(cell / "workspace")
    (cell / "bus" / "inbox" / "a" / "m.json").write_text("{}")
    (cell / ".lazarus" / "home" / "a" / ".profile").write_text("x")
    saved = save(cell, note="before the storm")
    assert sorted(one.path for one in saved.left_out) == sorted(unsaved)
    assert {one.why for one in saved.left_out} == {"a FIFO", "a socket"}
    verified = verify(saved.archive)
    assert verified.indexed
    assert verified.about.note == "before the storm"
    assert {one.path for one in verified.about.left_out} == set(unsaved)

    unpack(saved.archive, tmp_path / "copy")
    for part in ("workspace", "bus", ".lazarus/home"):
        assert picture(tmp_path / "copy" / part) == picture(cell / part)
    assert (tmp_path / "copy" / "cell.json").read_text() == '{"uuid": "x"}'

    # Without its index an archive is read as a stream, and nothing is lost.
    alone = shutil.copy(saved.archive, tmp_path / "alone.tar.gz")
    assert not verify(alone).indexed
    unpack(alone, tmp_path / "streamed")
    assert picture(tmp_path / "streamed" / "workspace") == picture(cell / "workspace")


def test_several_processes_share_the_work(cell: Path, tmp_path: Path) -> None:
    make_hostile(cell / "workspace")
    saved = work(SaveRequest(cell=str(cell), store=str(cell / "checkpoints"), jobs=3))
    assert work(VerifyRequest(archive=saved.archive)).indexed
    work(UnpackRequest(archive=saved.archive, target=str(tmp_path / "copy"), jobs=3))
    assert picture(tmp_path / "copy" / "workspace") == picture(cell / "workspace")
    staging = str(cell / ".lazarus" / "staging")
    work(RestoreRequest(cell=str(cell), archive=saved.archive, staging=staging))
    (cell / "workspace" / "large.bin").unlink()
    work(UndoRequest(cell=str(cell), archive=saved.archive, staging=staging + "2"))
    assert picture(tmp_path / "copy" / "workspace") == picture(cell / "workspace")
    assert work(DiffRequest(old=saved.archive, new=saved.archive)).differences == ()
    with pytest.raises(UsageError, match="nowhere"):
        work(VerifyRequest(archive="nowhere"))


def test_ordinary_tar_opens_it(cell: Path, tmp_path: Path) -> None:
    make_hostile(cell / "workspace")
    saved = save(cell)
    out = tmp_path / "out"
    out.mkdir()
    keep = ["--xattrs", "--xattrs-include=*"]
    subprocess.run(["tar", *keep, "-xpzf", saved.archive, "-C", out], check=True)
    assert picture(out / "workspace") == picture(cell / "workspace")
    about = json.loads((out / ".lazarus" / "checkpoint.json").read_text())
    assert about["parts"] == [".lazarus/home", "bus", "cell.json", "workspace"]
    with tarfile.open(saved.archive, mode="r|gz") as streamed:
        assert len(streamed.getnames()) == saved.entries + 2


def test_the_list_inside_holds_sizes_and_digests(cell: Path, tmp_path: Path) -> None:
    (cell / "workspace" / "a b").write_bytes(b"twelve bytes")
    saved = save(cell)
    subprocess.run(["tar", "-xzf", saved.archive, "-C", tmp_path, ".lazarus"], check=True)
    lines = (tmp_path / ".lazarus" / "checkpoint.mtree").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("./workspace/a\\040b ")]
    assert "type=file" in line
    assert "size=12" in line
    assert f"sha256={hashlib.sha256(b'twelve bytes').hexdigest()}" in line


def test_each_checkpoint_reuses_the_last_and_stands_alone(cell: Path, tmp_path: Path) -> None:
    make_hostile(cell / "workspace")
    first = save(cell)
    before = picture(cell / "workspace")
    mutate(cell / "workspace")
    second = save(cell)
    assert (first.incremental, second.incremental) == (False, True)
    shelf.discard(cell / "checkpoints", first.name)
    unpack(second.archive, tmp_path / "second")
    assert picture(tmp_path / "second" / "workspace") == picture(cell / "workspace")
    assert picture(tmp_path / "second" / "workspace") != before
    third = save(cell)
    unpack(third.archive, tmp_path / "third")
    assert picture(tmp_path / "third" / "workspace") == picture(cell / "workspace")


def test_restore_changes_places_and_keeps_what_was_there(cell: Path) -> None:
    make_hostile(cell / "workspace")
    saved = save(cell)
    before = picture(cell / "workspace")
    mutate(cell / "workspace")
    (cell / "bus" / "inbox" / "a" / "late.json").write_text("arrived since")
    after = picture(cell / "workspace")
    staging = cell / ".lazarus" / "staging"
    restored = restore(cell, saved.archive, staging)
    assert picture(cell / "workspace") == before
    assert picture(Path(restored.replaced) / "workspace") == after
    assert (cell / "bus" / "inbox" / "a" / "late.json").exists()
    assert sorted(os.listdir(staging)) == [".lazarus", "done.json", "workspace"]
    # The restored tree is known to the index: the next checkpoint reads nothing again.
    again = save(cell)
    assert again.incremental
    assert verify(again.archive).about.entries == again.entries


def test_undo_touches_only_what_differs(cell: Path) -> None:
    make_hostile(cell / "workspace")
    saved = save(cell)
    before = picture(cell / "workspace")
    untouched = (cell / "workspace" / "plain" / "f100.txt").stat().st_ctime_ns
    mutate(cell / "workspace")
    undone = undo(cell, saved.archive)
    assert picture(cell / "workspace") == before
    assert (cell / "workspace" / "plain" / "f100.txt").stat().st_ctime_ns == untouched
    assert undone.kept > 100
    assert (cell / "workspace" / "a-fifo").exists()
    assert not (cell / ".lazarus" / "undo").exists()
    nothing = undo(cell, saved.archive)
    assert (nothing.removed, picture(cell / "workspace")) == (0, before)


def test_undo_takes_attributes_that_directories_have_got_since(cell: Path) -> None:
    made = cell / "workspace" / "made"
    made.mkdir()
    os.setxattr(made, "user.kept", b"kept")
    saved = save(cell)
    before = picture(cell / "workspace")
    os.setxattr(made, "user.new", b"new")
    undo(cell, saved.archive)
    assert picture(cell / "workspace") == before


def test_undo_without_an_index_is_refused(cell: Path) -> None:
    saved = save(cell)
    Path(saved.archive.replace(".tar.gz", ".idx")).unlink()
    with pytest.raises(RefusedError, match="restore it instead"):
        undo(cell, saved.archive)


def test_diff_tells_what_changed(cell: Path) -> None:
    make_hostile(cell / "workspace")
    first = save(cell)
    mutate(cell / "workspace")
    second = save(cell)
    found = diff(DiffRequest(old=first.archive, new=second.archive)).differences
    changes = {one.path: str(one.change) for one in found}
    assert changes["workspace/plain/f020.txt"] == "changed"
    assert changes["workspace/plain/f022.txt"] == "removed"
    assert changes["workspace/plain/f024.txt"] == "mode"
    assert changes["workspace/plain/f025.txt"] == "touched"
    assert changes["workspace/moved.txt"] == "added"
    assert changes["workspace/links/relative"] == "changed"
    assert changes["workspace/large.bin"] == "changed"
    assert "workspace/plain/f100.txt" not in changes
    assert diff(DiffRequest(old=first.archive, new=first.archive)).differences == ()


def test_what_lies_too_deep_is_left_out_and_listed(cell: Path) -> None:
    path = cell / "workspace"
    for _ in range(SPARSE_DEPTH + 20):
        path /= "d"
    path.mkdir(parents=True)
    (path / "unreached").touch()
    saved = save(cell)
    (left,) = saved.left_out
    assert left.why.startswith("nested deeper than")
    verify(saved.archive)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can read another's file")
def test_a_planted_link_to_a_foreign_file_is_not_saved(cell: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("root's own")
    for part in (cell, cell / "workspace", cell / "bus", cell / "cell.json"):
        os.chown(part, 61042, 61042)
    os.link(secret, cell / "workspace" / "innocent")
    saved = save(cell)
    assert [one.path for one in saved.left_out] == ["workspace/innocent"]
    assert "root's own" not in json.dumps([one.why for one in saved.left_out])
    unpack(saved.archive, tmp_path / "copy")
    assert not (tmp_path / "copy" / "workspace" / "innocent").exists()


@pytest.mark.parametrize("share", [0.3, 0.999])
def test_one_rotten_byte_is_found_and_never_copied_on(cell: Path, share: float) -> None:
    make_hostile(cell / "workspace")
    saved = save(cell)
    archive = Path(saved.archive)
    rotten = bytearray(archive.read_bytes())
    rotten[int(len(rotten) * share)] ^= 0xFF
    archive.write_bytes(rotten)
    with pytest.raises(FormatError, match=archive.name):
        verify(archive)
    again = save(cell)
    verify(again.archive)
