"""Removing what a stranger has made."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lazarus_pit.cells.remove import empty_tree, remove_tree
from lazarus_pit.linux.rename import exchange

if TYPE_CHECKING:
    from collections.abc import Iterator


def dig(top: Path, depth: int) -> None:
    """Make directories nested deeper than any path can say."""
    fd = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("down", dir_fd=fd)
        below = os.open("down", os.O_RDONLY, dir_fd=fd)
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=below))
        os.close(fd)
        fd = below
    os.close(fd)


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A directory in memory where there is one: disks take their time over directories."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as place:
        yield Path(place)


def test_no_depth_is_too_great(in_memory: Path) -> None:
    tree = in_memory / "tree"
    tree.mkdir()
    dig(tree, 1200)
    (tree / ".removing-1").mkdir()  # A name that the remover itself would like to use.
    (tree / ".removing-1" / "x").touch()
    remove_tree(tree)
    assert list(in_memory.iterdir()) == []


def test_links_fifos_and_sockets_go_and_nothing_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    for place in (tree, tree / "a", tree / "a" / "b"):
        (place / "to-directory").symlink_to(outside)
        (place / "to-file").symlink_to(outside / "precious")
        (place / "to-itself").symlink_to("to-itself")
        os.mkfifo(place / "fifo")
    remove_tree(tree)
    assert not tree.exists()
    assert [path.name for path in outside.iterdir()] == ["precious"]
    link = tmp_path / "link"
    link.symlink_to(outside)
    with pytest.raises(OSError, match=r"Not a directory|Too many levels"):
        remove_tree(link)
    assert [path.name for path in outside.iterdir()] == ["precious"]


def test_a_directory_that_turns_into_a_link_in_between_leads_nowhere(tmp_path: Path) -> None:
    outside, tree = tmp_path / "outside", tmp_path / "tree"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub" / "precious").touch()
    for number in range(60):
        (tree / "flip" / "sub" / str(number)).mkdir(parents=True)
    (tree / "link").symlink_to(outside)
    for name in ("a", "b"):
        (tree / name / "c").mkdir(parents=True)
    fd, over = os.open(tree, os.O_RDONLY), threading.Event()

    def flip() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                exchange(fd, "flip", fd, "link")

    flipper = threading.Thread(target=flip)
    flipper.start()
    with contextlib.suppress(OSError):  # What was a directory may be none when it is entered.
        remove_tree(tree)
    over.set()
    flipper.join()
    os.close(fd)
    with contextlib.suppress(FileNotFoundError):
        remove_tree(tree)
    assert not tree.exists()
    assert (outside / "sub" / "precious").exists()


def test_directories_without_any_permission_go_too(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b" / "c").mkdir(parents=True)
    (tree / "a" / "b" / "file").touch()
    for path in (tree / "a" / "b", tree / "a"):
        path.chmod(0)
    remove_tree(tree)
    assert not tree.exists()


def test_one_name_can_stay(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("a", "cell.json", "z"):
        (tree / name).touch()
    empty_tree(tree, keep="cell.json")
    assert os.listdir(tree) == ["cell.json"]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a directory")
def test_what_is_mounted_inside_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "precious").touch()
    tree = tmp_path / "tree"
    (tree / "a" / "mounted").mkdir(parents=True)
    (tree / "cell.json").touch()
    mounted = str(tree / "a" / "mounted")
    made = subprocess.run(["mount", "--bind", str(home), mounted], check=False, capture_output=True)
    if made.returncode != 0:
        pytest.skip(f"no mounts here: {made.stderr.decode().strip()}")
    try:
        with pytest.raises(OSError, match=r"something is mounted there|busy"):
            empty_tree(tree, keep="cell.json")
        assert (home / "precious").exists()
        assert (tree / "cell.json").exists()
    finally:
        subprocess.run(["umount", "--lazy", mounted], check=True)
    remove_tree(tree)
    assert (home / "precious").exists()


def test_it_is_told_how_many_names_have_gone(in_memory: Path) -> None:
    tree = in_memory / "tree"
    for directory in ("a", "b/c"):
        (tree / directory).mkdir(parents=True)
    for number in range(2500):
        (tree / "a" / str(number)).touch()
    (tree / "b" / "c" / "file").touch()
    (tree / "cell.json").touch()
    gone: list[int] = []
    empty_tree(tree, "cell.json", gone.append)
    assert max(gone) == 1000
    assert sum(gone) == 2500 + 2, "c is counted where it was, and the file in it"
    assert [path.name for path in tree.iterdir()] == ["cell.json"]
