from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from launching import own_tree, until
from lazarus_pit.linux import cgroup
from lazarus_pit.linux.cgroup import Tree


@pytest.fixture
def tree() -> Iterator[Tree]:
    with own_tree() as tree:
        if tree is None:
            pytest.skip("no writable cgroup v2 here")
        yield tree


@pytest.fixture
def leaf(tree: Tree) -> str:
    return cgroup.make_leaf(tree, "cell", "some.agent", 3)


def born_in(tree: Tree, leaf: str, *argv: str) -> subprocess.Popen[bytes]:
    with cgroup.visiting(tree, leaf):
        return subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["23 1 0:2 / /sys rw - sysfs sysfs rw"], None),
        (
            ["9 1 0:2 / /sys/fs/cgroup rw shared:4 - cgroup2 cgroup2 rw,nsdelegate"],
            "/sys/fs/cgroup",
        ),
        (
            [
                "9 1 0:2 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
                "9 1 0:2 / /sys/fs/cgroup/unified rw - cgroup2 none rw",
            ],
            "/sys/fs/cgroup/unified",
        ),
        (["9 1 0:2 / /odd\\040place rw - cgroup2 none rw"], "/odd place"),
    ],
    ids=["none", "unified", "hybrid", "space"],
)
def test_the_mount_is_found(lines: list[str], expected: str | None, tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text("\n".join(lines) + "\n")
    assert cgroup.mount_point(str(tmp_path / "mountinfo")) == expected


def test_our_own_path_is_that_of_version_2(tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("8:pids:/other\n0::/user.slice/a:b\n")
    assert cgroup.own_path(str(tmp_path / "cgroup")) == "/user.slice/a:b"
    (tmp_path / "cgroup").write_text("8:pids:/other\n")
    assert cgroup.own_path(str(tmp_path / "cgroup")) == "/"


def test_a_leaf_says_whose_it_is(tree: Tree, leaf: str) -> None:
    (found,) = cgroup.leaves(tree)
    assert found == (leaf, "cell", "some.agent", 3)


def test_what_is_no_leaf_is_passed_over(tree: Tree) -> None:
    stranger = f"{tree.path}/cell/no-generation"
    os.makedirs(stranger)
    assert [*cgroup.leaves(tree)] == []
    os.rmdir(stranger)
    os.rmdir(os.path.dirname(stranger))


def test_a_child_is_born_in_the_leaf_and_we_come_back(tree: Tree, leaf: str) -> None:
    before = Path("/proc/self/cgroup").read_text()
    with born_in(tree, leaf, "sleep", "1000") as child:
        assert cgroup.pids(leaf) == [child.pid]
        assert Path("/proc/self/cgroup").read_text() == before
        cgroup.kill(leaf)


def test_we_come_back_from_a_failed_visit(tree: Tree, leaf: str) -> None:
    with pytest.raises(FileNotFoundError):
        born_in(tree, leaf, "/no/such/program")
    assert cgroup.pids(leaf) == []


def test_kill_ends_all_and_empties_the_leaf(tree: Tree, leaf: str) -> None:
    script = "trap '' TERM; setsid sleep 1000 & sleep 1000"
    with born_in(tree, leaf, "sh", "-c", script) as child:
        until(lambda: len(cgroup.pids(leaf)) == 3)
        assert cgroup.is_populated(leaf)
        assert not cgroup.remove_leaf(leaf)
        cgroup.kill(leaf)
        assert cgroup.wait_until_empty(leaf, 20)
        assert child.wait() == -signal.SIGKILL
    assert not cgroup.is_populated(leaf)
    assert cgroup.remove_leaf(leaf)
    assert not os.path.exists(os.path.dirname(leaf)), "the cell's directory goes with the last"


def test_freeze_stands_still_until_thaw(tree: Tree, leaf: str) -> None:
    with born_in(tree, leaf, "sh", "-c", "while :; do :; done"):
        until(lambda: (cgroup.cpu_usec(leaf) or 0) > 0)
        assert cgroup.freeze(leaf)
        assert cgroup.is_frozen(leaf)
        used = cgroup.cpu_usec(leaf)
        os.sched_yield()
        assert cgroup.cpu_usec(leaf) == used
        assert cgroup.thaw(leaf)
        assert not cgroup.is_frozen(leaf)
        until(lambda: (cgroup.cpu_usec(leaf) or 0) > (used or 0))
        cgroup.freeze(leaf)
        cgroup.kill(leaf)  # Works on the frozen.


def test_a_leaf_that_is_gone_is_empty(tree: Tree, leaf: str) -> None:
    assert cgroup.remove_leaf(leaf)
    assert cgroup.remove_leaf(leaf)
    assert cgroup.pids(leaf) == []
    assert not cgroup.is_populated(leaf)
    assert cgroup.cpu_usec(leaf) is None
    assert cgroup.wait_until_empty(leaf, 0)
    cgroup.kill(leaf)


def test_waiting_ends(tree: Tree, leaf: str) -> None:
    with born_in(tree, leaf, "sleep", "1000"):
        assert not cgroup.wait_until_empty(leaf, 0.01)
        cgroup.kill(leaf)
