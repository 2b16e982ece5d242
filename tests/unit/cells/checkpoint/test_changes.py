"""Hearing of changes: nothing that happens in the tree goes unheard."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lazarus_pit.cells.checkpoint import ears
from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY
from lazarus_pit.cells.checkpoint.changes import Before, open_inodes
from lazarus_pit.cells.checkpoint.ears import FOLLOW, Ear, ear_for
from lazarus_pit.cells.checkpoint.scan import Entry, LeftOut, scan

PARTS = ["workspace"]
NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Iterator[int]:
    work = tmp_path / "workspace"
    (work / "dir" / "inner").mkdir(parents=True)
    (work / "dir" / "file").write_text("one")
    (work / "dir" / "twin").write_text("two")
    (work / "dir" / "inner" / "leaf").write_text("three")
    os.link(work / "dir" / "twin", work / "other-twin")
    fd = os.open(tmp_path, OPEN_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture(params=FOLLOW)
def ear(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ear]:
    heard = ear_for(str(tmp_path), [request.param])
    if heard is None:
        pytest.skip(f"{request.param} is not allowed here")
    yield heard
    heard.close()


def through_a_twin(work: Path) -> None:
    (work / "other-twin").write_text("changed")


def through_a_new_name(work: Path) -> None:
    (work / "made").mkdir()
    os.link(work / "dir" / "file", work / "made" / "name")
    (work / "made" / "name").write_text("changed")


def attributes(work: Path) -> None:
    (work / "dir" / "file").chmod(0o600)
    os.utime(work / "dir" / "inner", ns=(1, 1))


def moved_and_replaced(work: Path) -> None:
    (work / "dir").rename(work / "away")
    (work / "dir").mkdir()
    (work / "dir" / "file").mkdir()
    (work / "away" / "inner" / "new").write_text("new")


def swapped_parts(work: Path) -> None:
    work.rename(work.with_name("old"))
    work.mkdir()
    (work / "fresh").write_text("fresh")


def removed(work: Path) -> None:
    (work / "dir" / "inner" / "leaf").unlink()
    (work / "dir" / "inner").rmdir()
    (work / "other-twin").unlink()


def grown(work: Path) -> None:
    (work / "a" / "b" / "c").mkdir(parents=True)
    (work / "a" / "b" / "c" / "deep").write_text("deep")
    (work / "link").symlink_to("dir")
    os.mkfifo(work / "dir" / "pipe")


def gone_with_a_twin(work: Path) -> None:
    shutil.rmtree(work / "dir")


def moved_out_with_a_twin(work: Path) -> None:
    (work / "dir").rename(work.with_name("outside"))


def made_anew(work: Path) -> None:
    """On ext4 the new directory has the inode of the old one."""
    shutil.rmtree(work / "dir" / "inner")
    (work / "dir" / "inner").mkdir()
    (work / "dir" / "inner" / "new").write_text("new")


def replaced_by_a_file(work: Path) -> None:
    shutil.rmtree(work / "dir" / "inner")
    (work / "dir" / "inner").write_text("a file")


def unlooked(tree: list[Entry]) -> list[tuple[str, tuple[int, ...]]]:
    """The entries without the time of the last look at them, which a look itself moves."""
    return [(path, (*state[:7], state.st_mtime_ns, state.st_ctime_ns)) for path, state in tree]


@pytest.mark.root
@pytest.mark.parametrize(
    "change",
    [
        gone_with_a_twin,
        moved_out_with_a_twin,
        made_anew,
        replaced_by_a_file,
        through_a_twin,
        through_a_new_name,
        attributes,
        moved_and_replaced,
        swapped_parts,
        removed,
        grown,
    ],
)
def test_what_was_heard_and_what_was_seen_make_the_whole(
    root: int, ear: Ear, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    before = Before(root, scan(root, PARTS, ear.attend), PARTS, [])
    change(tmp_path / "workspace")
    names = ear.names()
    assert names is not None
    merged = before.merged(before.look(names, ()))
    now = scan(root, PARTS)
    assert unlooked(merged.tree) == unlooked(now.tree)
    assert sorted(merged.left_out) == sorted(now.left_out)


@contextmanager
def ordinary(*paths: Path) -> Iterator[None]:
    """Be an ordinary user, who owns these paths."""
    if os.geteuid() != 0:
        yield
        return
    for path in paths:
        os.chown(path, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("mode", [0, 0o400, 0o100])
def test_a_directory_that_is_closed_to_us_is_left_out(root: int, tmp_path: Path, mode: int) -> None:
    ear = ear_for(str(tmp_path), ["inotify"])
    assert ear is not None
    before = Before(root, scan(root, PARTS, ear.attend), PARTS, [])
    (tmp_path / "workspace" / "dir" / "file").write_text("changed")
    (tmp_path / "workspace" / "dir").chmod(mode)
    with ordinary(tmp_path, tmp_path / "workspace", tmp_path / "workspace" / "dir"):
        names = ear.names()
        assert names is not None
        merged = before.merged(before.look(names, ()))
        now = scan(root, PARTS)
    ear.close()
    (tmp_path / "workspace" / "dir").chmod(0o700)
    assert unlooked(merged.tree) == unlooked(now.tree)
    assert merged.left_out == now.left_out
    assert now.left_out == [LeftOut("workspace/dir/", "permission denied")]


@pytest.mark.root
def test_only_what_changed_is_looked_at(root: int, ear: Ear, tmp_path: Path) -> None:
    before = Before(root, scan(root, PARTS, ear.attend), PARTS, [])
    (tmp_path / "workspace" / "dir" / "file").write_text("changed")
    names = ear.names()
    assert names is not None
    assert set(before.look(names, ()).entries) == {"workspace/dir/", "workspace/dir/file"}


@pytest.mark.parametrize("way", FOLLOW)
def test_too_much_to_hear_is_said(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(ears, "_MOST_EVENTS", 3)
    ear = ear_for(str(tmp_path), [way])
    if ear is None:
        pytest.skip(f"{way} is not allowed here")
    scan(root, PARTS, ear.attend)
    for number in range(9):
        (tmp_path / "workspace" / f"f{number}").touch()
    assert ear.names() is None
    ear.close()


def test_watches_are_left_for_others(
    root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = tmp_path / "max_user_watches"
    few.write_text("12\n")
    monkeypatch.setattr(ears, "_WATCHES", few)
    ear = ear_for(str(tmp_path), ["inotify"])
    assert ear is not None
    scan(root, PARTS, ear.attend)
    assert ear.names() is None
    ear.close()


def test_an_overflow_is_said(root: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ear = ear_for(str(tmp_path), ["inotify"])
    assert ear is not None
    scan(root, PARTS, ear.attend)
    most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    one, two = (tmp_path / "workspace" / name for name in ("one", "two"))
    for _ in range(most // 2 + 1):
        one.touch()
        two.touch()
    assert ear.names() is None
    ear.close()


def test_inodes_that_a_process_has_open_are_suspects(tmp_path: Path) -> None:
    with (tmp_path / "held").open("w") as held:
        assert os.fstat(held.fileno()).st_ino in open_inodes([os.getpid()])
    assert open_inodes([0]) == set()


def test_where_there_is_nothing_to_hear_there_is_no_ear() -> None:
    assert ear_for("/no/such/place", ["fanotify"]) is None
    assert ear_for("/", []) is None
