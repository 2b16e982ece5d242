from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY, Chain, open_regular, remove, split
from lazarus_pit.cells.checkpoint.restore import remove_tree


@pytest.fixture
def root(tmp_path: Path) -> int:
    return os.open(tmp_path, OPEN_DIRECTORY)


@pytest.mark.parametrize(
    ("path", "parts"),
    [("a", ("", "a")), ("a/", ("", "a")), ("a/b", ("a/", "b")), ("a/b/", ("a/", "b"))],
)
def test_a_path_parts_into_directory_and_name(path: str, parts: tuple[str, str]) -> None:
    assert split(path) == parts


def test_a_chain_opens_and_makes_directories(root: int, tmp_path: Path) -> None:
    with Chain(root, make=True) as chain:
        for path in ("a/b/c/", "a/d/", "", "e/"):
            opened = os.fstat(chain.fd(path))
            assert opened.st_ino == (tmp_path / path).stat().st_ino
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o700


def test_a_chain_follows_no_link(root: int, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with Chain(root) as chain, pytest.raises(OSError, match="Not a directory"):
        chain.fd("link/")


def test_only_a_regular_file_is_opened(root: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("yes")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("file")
    with Chain(root) as chain:
        fd, state = open_regular(chain, "file")
        os.close(fd)
        assert state.st_size == 3
        for name in ("fifo", "link", "none"):
            with pytest.raises(OSError):  # noqa: PT011 - each has an errno of its own
                open_regular(chain, name)


def test_removing_a_tree_follows_no_link_out_of_it(root: int, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("stay")
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "out").symlink_to(outside)
    (tree / "file").symlink_to(outside / "precious")
    remove(root, "tree")
    assert not tree.exists()
    assert (outside / "precious").read_text() == "stay"
    (tmp_path / "link").symlink_to(outside)
    remove(root, "link")
    assert not os.path.lexists(tmp_path / "link")
    assert (outside / "precious").exists()


def test_removing_what_is_not_there_is_no_error(root: int) -> None:
    remove(root, "nothing")


def test_a_tree_deeper_than_any_limit_is_removed(root: int, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    fd = os.open(tmp_path / "deep", OPEN_DIRECTORY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        inner = os.open("d", OPEN_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = inner
    os.close(fd)
    remove(root, "deep")
    assert not (tmp_path / "deep").exists()


def test_closed_directories_are_removed_by_their_owner(tmp_path: Path) -> None:
    closed = tmp_path / "tree" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").touch()
    closed.chmod(0o000)
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()
