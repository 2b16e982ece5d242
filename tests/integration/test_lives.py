"""What a life leaves behind, and what survives whoever began it; real processes throughout."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from launching import Nest, begun, ending, own_tree, until
from lazarus_pit.core.model import Exit, Life
from lazarus_pit.linux import cgroup, procfs
from lazarus_pit.linux.cgroup import Tree
from lazarus_pit.sandboxes import lives
from lazarus_pit.sandboxes.base import Launch, Sandbox
from lazarus_pit.sandboxes.bubblewrap import Bubblewrap
from lazarus_pit.sandboxes.bwrap import find_bwrap
from lazarus_pit.sandboxes.living import find_living

SPAWNER = Path(__file__).with_name("spawner.py")

DETACH = (
    "setsid sh -c 'setsid sleep 1000 & setsid sleep 1000' </dev/null >/dev/null 2>&1 &"
    " while [ $(pgrep -c sleep) -lt 2 ]; do sleep 0.01; done; echo up;"
)
"""Leave two grandchildren in sessions of their own, with nothing of ours open."""


@pytest.fixture(params=["cgroup", "no cgroup"])
def tree(request: pytest.FixtureRequest) -> Iterator[Tree | None]:
    if request.param == "no cgroup":
        yield None
        return
    with own_tree() as tree:
        if tree is None:
            pytest.skip("no writable cgroup v2 here")
        yield tree


@pytest.fixture
def nest(tmp_path: Path) -> Nest:
    return Nest(tmp_path)


@pytest.fixture
def walls(tmp_path: Path, tree: Tree | None) -> Sandbox:
    bwrap, notes = find_bwrap()
    if bwrap is None:
        pytest.skip(f"no working bubblewrap: {notes}")
    return Bubblewrap(bwrap, str(tmp_path / "furniture"), tree)


def sleepers(life: Life) -> set[int]:
    """Processes of the life that sleep, by their numbers here."""
    return {pid for pid in lives.members(life) if _comm(pid) == "sleep"}


def _comm(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return ""


def test_detached_grandchildren_end_with_the_life(walls: Sandbox, nest: Nest) -> None:
    with begun(walls, nest.launch("sh", "-c", DETACH + "sleep 1000")) as life:
        until(lambda: "up" in nest.said())
        until(lambda: len(sleepers(life)) == 3)
        left = sleepers(life)
        lives.destroy(life)
        ending(life)
        until(lambda: lives.is_gone(life))
        # A process leaves its cgroup some instants before it is a zombie.
        until(lambda: not any(procfs.state(pid) not in (None, "Z") for pid in left))


def test_what_the_agent_left_running_is_still_its_life(walls: Sandbox, nest: Nest) -> None:
    """The monitor ends with the agent, the init of the sandbox with the last process in it."""
    with begun(walls, nest.launch("sh", "-c", DETACH + "exit 5")) as life:
        assert ending(life) == Exit(code=5)
        assert not lives.is_gone(life)
        assert len(sleepers(life)) == 2
        lives.destroy(life)
        until(lambda: lives.is_gone(life))


def test_without_walls_what_is_left_keeps_the_life_from_being_gone(nest: Nest) -> None:
    from lazarus_pit.sandboxes.bare import Bare  # noqa: PLC0415

    with own_tree() as tree:
        if tree is None:
            pytest.skip("no writable cgroup v2 here")
        nest.uid = None
        sandbox = Bare(str(nest.base / "furniture"), tree)
        script = "setsid sleep 1000 </dev/null >/dev/null 2>&1 & exit 5"
        with begun(sandbox, nest.launch("sh", "-c", script)) as life:
            assert ending(life) == Exit(code=5)
            assert not lives.is_gone(life)
            assert not lives.clean(life)
            assert not lives.is_alive(life)
            found = find_living(tree, lambda _u, _a, g: nest.status_file(g))
            assert [life.pid for life in found.values()] == [0]
            lives.destroy(life)
            until(lambda: lives.is_gone(life))
            assert lives.clean(life)


def test_the_monitors_end_alone_is_not_the_lifes(walls: Sandbox, nest: Nest) -> None:
    with begun(walls, nest.launch("sh", "-c", "echo up; sleep 1000")) as life:
        until(lambda: "up" in nest.said())
        os.kill(life.pid, signal.SIGKILL)
        assert ending(life) == Exit(signal=signal.SIGKILL)
        assert not lives.is_gone(life), "the agent still runs"
        lives.destroy(life)
        until(lambda: lives.is_gone(life))


def test_a_polite_end_spares_the_walls(walls: Sandbox, nest: Nest) -> None:
    with begun(walls, nest.launch("sh", "-c", "echo up; exec sleep 1000")) as life:
        until(lambda: "up" in nest.said())
        assert lives.terminate(life) == 1
        assert ending(life) == Exit(signal=signal.SIGTERM)


# ---------------------------------------------------------------- adoption


@contextlib.contextmanager
def begun_by_another(kind: str, tree: Tree | None, launch: Launch) -> Iterator[tuple[int, Life]]:
    """A life whose beginner is a process that can be killed, and the beginner's pid."""
    task = {
        "sandbox": kind,
        "scratch": str(Path(launch.log_file).parent.parent / "furniture"),
        "tree": tree,
        "launch": launch,
    }
    process = subprocess.Popen(
        [sys.executable, str(SPAWNER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    life = None
    try:
        process.stdin.write(msgspec.json.encode(task))
        process.stdin.close()
        life = msgspec.json.decode(process.stdout.readline(), type=Life)
        yield process.pid, life
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        if life is not None:
            lives.destroy(life)
            until(lambda: lives.is_gone(life))
            lives.clean(life)


@pytest.mark.parametrize("kind", ["bubblewrap", "none"])
def test_a_life_outlives_its_beginner_and_is_found_again(
    kind: str, tree: Tree | None, nest: Nest
) -> None:
    if kind == "none":
        nest.uid = None
    launch = nest.launch("sh", "-c", "echo up; while [ ! -e end ]; do sleep 0.01; done; exit 9")
    with begun_by_another(kind, tree, launch) as (beginner, life):
        until(lambda: "up" in nest.said())
        os.kill(beginner, signal.SIGKILL)
        until(lambda: procfs.state(beginner) in (None, "Z"))
        uids = frozenset({nest.uid} if nest.uid else ())
        found = find_living(tree, lambda _u, _a, g: nest.status_file(g), uids)
        mine = {name: life for name, life in found.items() if name[0] == nest.uuid}
        assert mine == {(nest.uuid, "alice", launch.generation): life}
        fd = lives.open_pidfd(life)
        assert fd is not None
        (nest.workspace / "end").touch()
        assert ending(life) == Exit(code=9)
        os.close(fd)


def test_the_exit_code_is_kept_while_nobody_looks(tree: Tree | None, nest: Nest) -> None:
    launch = nest.launch("sh", "-c", "echo up; while [ ! -e end ]; do sleep 0.01; done; exit 9")
    with begun_by_another("bubblewrap", tree, launch) as (beginner, life):
        until(lambda: "up" in nest.said())
        os.kill(beginner, signal.SIGKILL)
        (nest.workspace / "end").touch()
        until(lambda: procfs.start_time(life.pid) is None, "the reaping by somebody else")
        assert lives.exit_of(life) == Exit(code=9)
        assert lives.is_gone(life)


def test_an_agent_cannot_pass_for_another_life(walls: Sandbox, nest: Nest) -> None:
    """What is started inside with a forged environment is not taken for a life of its own."""
    script = "echo up; LAZARUS_AGENT=bob LAZARUS_GENERATION=99 exec sleep 1000"
    with begun(walls, nest.launch("sh", "-c", script)):
        until(lambda: "up" in nest.said())
        uids = frozenset({nest.uid} if nest.uid else ())
        found = find_living(None, lambda _u, _a, g: nest.status_file(g), uids)
        assert {name[1] for name in found if name[0] == nest.uuid} == {"alice"}


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("LAZARUS_CELL_UUID", "../../etc"),
        ("LAZARUS_AGENT", "../alice"),
        ("LAZARUS_GENERATION", "9" * 5000),
    ],
)
def test_a_forged_name_of_a_life_is_nobodys(name: str, found: str, nest: Nest) -> None:
    """Without walls and cgroups anybody may be named anything: no name of it becomes a path."""
    told = {
        "LAZARUS_CELL_UUID": nest.uuid,
        "LAZARUS_AGENT": "alice",
        "LAZARUS_GENERATION": "1",
    }
    with subprocess.Popen(["sleep", "1000"], env={**told, name: found}) as forger:
        try:
            until(lambda: _comm(forger.pid) == "sleep")
            seen = find_living(None, lambda *who: str(who))
            assert not any(who[0] in (nest.uuid, found) for who in seen)
        finally:
            forger.kill()


def test_an_empty_leaf_is_no_life(nest: Nest) -> None:
    with own_tree() as tree:
        if tree is None:
            pytest.skip("no writable cgroup v2 here")
        leaf = cgroup.make_leaf(tree, nest.uuid, "alice", 4)
        assert [found.generation for found in cgroup.leaves(tree)] == [4]
        assert find_living(tree, lambda _u, _a, g: nest.status_file(g)) == {}
        assert cgroup.remove_leaf(leaf)
