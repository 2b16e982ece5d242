"""How much is kept on the disk: compared with what is really there, and not misled."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazarus_pit.cells.remove import remove_tree
from lazarus_pit.cells.usage import MovedError, is_within, measure
from lazarus_pit.linux import procfs

MUCH = 1 << 50


def total(*places: Path, enough: int = MUCH) -> int:
    *_, last = measure(places, enough)
    return last


def blocks(*paths: Path) -> int:
    return sum(max(path.lstat().st_blocks, 1) * 512 for path in paths)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Path]:
    top = tmp_path / "top"
    top.mkdir()
    yield top
    remove_tree(top)


def test_everything_counts_once(tree: Path) -> None:
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "file").write_bytes(bytes(100_000))
    (tree / "a" / "b" / "file").write_bytes(bytes(50_000))
    (tree / "a" / "same").hardlink_to(tree / "file")
    (tree / "hole").touch()
    os.truncate(tree / "hole", 1 << 40)
    everything = [tree, *(path for path in tree.rglob("*") if path.name != "same")]
    assert total(tree) == blocks(*everything)
    assert total(tree, tree / "a") >= total(tree)


def test_what_has_no_name_any_more_counts_as_long_as_it_is_held(tree: Path) -> None:
    (tree / "named").write_bytes(bytes(50_000))
    known = blocks(tree, tree / "named")
    with open(tree / "gone", "wb") as gone, open(tree / "named", "rb"):
        gone.write(bytes(200_000))
        gone.flush()
        os.fsync(gone.fileno())
        (tree / "gone").unlink()
        mine = os.fstat(gone.fileno())
        with open(os.dup(gone.fileno()), "wb"):  # Held twice, and one file.
            held = [*procfs.held(os.getpid())]
        nameless = [one for one in held if os.path.samestat(one, mine)]
        named = [one for one in held if one.st_nlink]
        assert len(nameless) >= 2
        *_, found = measure([tree], MUCH, nameless + named)
        assert found == known + mine.st_blocks * 512
        *_, found = measure([tree], 100_000, held)
        assert found > 100_000
    assert not [one for one in procfs.held(os.getpid()) if os.path.samestat(one, mine)]


def test_an_empty_file_is_not_free(tree: Path) -> None:
    for number in range(3000):
        (tree / str(number)).touch()
    assert 1 << 20 < total(tree, enough=1 << 20) < (1 << 20) + 1000


def test_no_link_is_followed(tree: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(bytes(10 << 20))
    (tree / "link").symlink_to(outside)
    (tree / "file").symlink_to(outside / "file")
    os.mkfifo(tree / "fifo")
    assert total(tree) < 1 << 20
    place = tmp_path / "place"
    place.symlink_to(outside)
    assert total(place) == 0


def test_no_depth_is_too_great(tree: Path) -> None:
    fd = os.open(tree, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    with open(os.open("deep", os.O_WRONLY | os.O_CREAT, dir_fd=fd), "wb") as file:
        file.write(bytes(1 << 20))
    os.close(fd)
    assert total(tree) >= (1 << 20) + 3000 * blocks(tree)


def test_a_walk_ends_as_soon_as_it_is_enough(tree: Path) -> None:
    for number in range(2000):
        (tree / str(number)).write_bytes(bytes(4096))
    assert 100_000 < total(tree, enough=100_000) < 200_000


def test_long_walks_take_breath(tree: Path) -> None:
    for number in range(1000):
        (tree / str(number)).touch()
    assert len(list(measure([tree], MUCH))) >= 3


def test_a_directory_that_moves_away_ends_the_walk(tree: Path, tmp_path: Path) -> None:
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "c").mkdir()
    for number in range(600):
        (tree / "a" / "b" / str(number)).touch()
    walk = measure([tree], MUCH)
    next(walk)  # In the midst of a/b.
    (tree / "a" / "b").rename(tree / "c" / "b")
    with pytest.raises(MovedError):
        list(walk)


def test_what_is_not_there_counts_nothing(tmp_path: Path) -> None:
    assert total(tmp_path / "none") == 0


def test_a_file_system_that_holds_less_needs_no_walk(tmp_path: Path) -> None:
    assert is_within(tmp_path, 1 << 60)
    assert not is_within(tmp_path, 0)
