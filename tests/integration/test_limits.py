"""Limits reached by real agents: each is held, each is told by its name, and the pit goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.pit import Pit, processes
from lazarus_pit.cells import store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.linux import cgroup
from lazarus_pit.sandboxes import limits as bounds

PROCESS = {"liveness": "process"}
SLEEP = "exec sleep 1000"


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path).start()
    yield pit
    pit.close()


@pytest.fixture(scope="module")
def counted() -> dict[str, Any]:
    """The controllers that can be used here."""
    tree, _ = cgroup.find_tree("test-controllers")
    found, _ = bounds.available(tree)
    if tree is not None:
        cgroup.remove_tree(tree)
    return dict(found)


def shell(pit: Pit, cell: CellPaths, name: str, script: str, **fields: Any) -> None:
    pit.spawn(cell, name, "/bin/sh", "-c", script, rules=PROCESS, **fields)


def limits_of(pit: Pit, cell: CellPaths, name: str, limit: str) -> str:
    health = pit.health(cell).get(name)
    return health.limits.get(limit, "") if health else ""


def in_force(pit: Pit, cell: CellPaths, name: str, limit: str) -> str:
    found: str = pit.wait(lambda: limits_of(pit, cell, name, limit), f"{limit} of {name}")
    return found


# ---------------------------------------------------------------- counted by cgroups


def test_a_memory_hog_is_killed_and_named(pit: Pit, counted: dict[str, Any]) -> None:
    if "memory" not in counted:
        pytest.skip("no memory controller here")
    cell = pit.cell()
    eat = "exec python3 -c 'x = bytearray(300 << 20); print(len(x))'"
    shell(pit, cell, "hog", f"sleep 0.2; {eat}", limits={"memory_mb": 48})
    told = pit.wait_event(cell, "limit_reached", "hog")
    assert told.data["limit"] == "memory_mb"
    assert (told.data["value"], told.data["action"]) == (48, "killed")
    died = pit.wait_event(cell, "agent_died", "hog")
    assert (told.seq or 0) < (died.seq or 0), "the cause comes before the death"


def test_the_memory_of_a_cell_is_shared(pit: Pit, counted: dict[str, Any]) -> None:
    if "memory" not in counted:
        pytest.skip("no memory controller here")
    cell = pit.cell(limits={"memory_mb": 64})
    hold = "exec python3 -c 'import time; x = bytearray(40 << 20); time.sleep(1000)'"
    for name in ("one", "two"):
        shell(pit, cell, name, hold)
    told = pit.wait_event(cell, "limit_reached")
    assert (told.agent, told.data["limit"], told.data["value"]) == (None, "memory_mb", 64)


def test_a_fork_bomb_is_bounded_and_named(pit: Pit, counted: dict[str, Any]) -> None:
    cell = pit.cell()
    bomb = "while true; do sleep 1000 & done"
    shell(pit, cell, "bomb", f"({bomb}) 2>/dev/null; {SLEEP}", limits={"pids": 30})
    if "pids" in counted:
        told = pit.wait_event(cell, "limit_reached", "bomb")
        assert (told.data["limit"], told.data["value"]) == ("pids", 30)
    assert "30 by " in in_force(pit, cell, "bomb", "pids")
    pit.wait(lambda: len(processes(cell.uuid)) > 20, "the bomb")
    assert len(processes(cell.uuid)) <= 31
    shell(pit, cell, "other", SLEEP)
    pit.wait_event(cell, "agent_ready", "other")


def test_who_is_slowed_down_for_long_is_named(pit: Pit, counted: dict[str, Any]) -> None:
    if "cpu" not in counted:
        pytest.skip("no cpu controller here")
    cell = pit.cell()
    shell(pit, cell, "a", "while :; do :; done", limits={"cpu_percent": 5})
    told = pit.wait_event(cell, "limit_reached", "a")
    assert (told.data["limit"], told.data["value"]) == ("cpu_percent", 5)
    assert told.data["action"] == "slowed"


def test_what_is_in_force_is_what_the_kernel_says(pit: Pit, counted: dict[str, Any]) -> None:
    cell = pit.cell()
    wanted = {"memory_mb": 64, "pids": 50, "cpu_percent": 40, "open_files": 128, "file_mb": 3}
    shell(pit, cell, "a", f"ulimit -n; ulimit -f; {SLEEP}", limits=wanted)
    units = {"memory_mb": "memory", "pids": "pids", "cpu_percent": "cpu"}
    for name, value in wanted.items():
        said = in_force(pit, cell, "a", name)
        if name in units and units[name] in counted:
            assert said == f"{value} by cgroup v{counted[units[name]].version}"
        elif name not in units:
            assert said == f"{value} for each process by rlimit"
        else:
            assert "rlimit" in said or "not in force" in said
    assert in_force(pit, cell, "a", "log_mb") == "64 by rotation"
    pit.wait(lambda: cell.log("a").read_text().split()[:1] == ["128"], "ulimit -n")


def test_nothing_of_a_limited_life_is_left_in_the_kernel(pit: Pit, counted: dict[str, Any]) -> None:
    cell = pit.cell(limits={"pids": 100})
    shell(pit, cell, "a", "exit 0", limits={"memory_mb": 64, "pids": 50, "cpu_percent": 40})
    pit.wait_event(cell, "agent_exited", "a")
    here = [
        path
        for controller in counted.values()
        for path in Path(controller.base).parent.glob(f"*/{cell.uuid}")
    ]
    assert here == []


# ---------------------------------------------------------------- of single processes


def test_who_stands_at_the_limit_of_descriptors_is_named(pit: Pit) -> None:
    cell = pit.cell()
    hold = """
import os, time
try:
    while True:
        os.open("/dev/null", os.O_RDONLY)
except OSError:
    time.sleep(1000)
"""
    pit.spawn(cell, "a", "python3", "-c", hold, rules=PROCESS, limits={"open_files": 100})
    pit.spawn(cell, "b", "sleep", "1000", rules=PROCESS, limits={"open_files": 100})
    told = pit.wait_event(cell, "limit_reached", "a")
    assert (told.data["limit"], told.data["value"]) == ("open_files", 100)
    assert told.data["action"] == "denied"
    assert not pit.events(cell, "limit_reached", "b")


def test_descriptors_and_files_end_at_their_limit(pit: Pit) -> None:
    cell = pit.cell()
    script = """
import os, resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
held = []
try:
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
except OSError as error:
    print("descriptors", 90 < len(held) <= 100, error.strerror, flush=True)
os.close(held.pop())
with open("big", "wb", buffering=0) as file:
    try:
        for _ in range(10):
            file.write(bytes(1 << 20))
            if file.tell() > 2 << 20: break
    except OSError as error:
        print("file", error.strerror, flush=True)
"""
    pit.spawn(
        cell,
        "a",
        "python3",
        "-c",
        script,
        rules={**PROCESS, "restart": "never"},
        limits={"open_files": 100, "file_mb": 2},
    )
    pit.wait_event(cell, "agent_exited", "a")
    pit.wait(lambda: "file" in cell.log("a").read_text(), "the log")
    said = cell.log("a").read_text()
    assert "descriptors True Too many open files" in said
    assert "file File too large" in said
    assert (cell.workspace / "big").stat().st_size == 2 << 20


def test_memory_that_looks_like_a_disk_ends_at_its_size(pit: Pit) -> None:
    cell = pit.cell()
    fill = "for top in /tmp /dev/shm; do head -c 8M /dev/zero >$top/f; wc -c <$top/f; done"
    shell(pit, cell, "a", f"{fill}; echo over; {SLEEP}", limits={"tmp_mb": 2})
    pit.wait_event(cell, "agent_started", "a")
    pit.wait(lambda: "over" in cell.log("a").read_text(), "it is filled")
    said = cell.log("a").read_text().splitlines()
    assert [word for word in said if word.isdigit()] == [str(2 << 20)] * 2
    assert sum("No space left" in line for line in said) == 2
    told = pit.wait_event(cell, "limit_reached", "a", limit="tmp_mb")
    assert (told.data["value"], told.data["action"]) == (2, "full")


# ---------------------------------------------------------------- the disk


FILL = "i=0; while true; do dd if=/dev/zero of=f$i bs=1M count=1 2>/dev/null; i=$((i+1)); done"


def test_who_fills_the_disk_is_frozen_told_and_thawed(pit: Pit) -> None:
    cell = pit.cell(limits={"disk_mb": 20})
    shell(pit, cell, "filler", f"trap 'exit 0' TERM; {FILL.replace('done', 'sleep 0.02; done')}")
    told = pit.wait_event(cell, "limit_reached")
    assert (told.agent, told.data["limit"], told.data["value"]) == (None, "disk_mb", 20)
    assert told.data["action"] == "frozen"
    pit.wait_event(cell, "agent_frozen", "filler")
    assert store.read_manifest(cell).status == "active", "people's wishes are people's"
    pit.wait(lambda: "stands still" in limits_of(pit, cell, "filler", "cell disk_mb"), "the state")
    for file in cell.workspace.iterdir():
        file.unlink()
    pit.wait_event(cell, "limit_cleared")
    pit.wait_event(cell, "agent_thawed", "filler")


def test_a_quota_that_is_raised_lets_go(pit: Pit) -> None:
    cell = pit.cell()
    shell(
        pit,
        cell,
        "a",
        f'dd if=/dev/zero of="$HOME/f" bs=1M count=8 2>/dev/null; {SLEEP}',
        limits={"disk_mb": 4},
    )
    shell(pit, cell, "b", SLEEP)
    told = pit.wait_event(cell, "limit_reached", "a")
    assert told.data["limit"] == "disk_mb"
    pit.wait_event(cell, "agent_frozen", "a")
    pit.want(cell, "a", limits={"disk_mb": 40})
    pit.wait_event(cell, "agent_thawed", "a")
    assert not pit.events(cell, "agent_frozen", "b")


def test_who_has_no_room_does_not_move_after_a_restart(pit: Pit) -> None:
    cell = pit.cell()
    count = "i=0; while true; do i=$((i+1)); echo $i >count.new; mv count.new count; done"
    fill = 'dd if=/dev/zero of="$HOME/f" bs=1M count=8 2>/dev/null'
    shell(pit, cell, "a", f"{fill}; {count}", limits={"disk_mb": 4})
    pit.wait_event(cell, "agent_frozen", "a")
    counted = (cell.workspace / "count").read_text()
    pit.kill9()
    pit.start()
    pit.wait_event(cell, "agent_adopted", "a")
    pit.wait_event(cell, "limit_reached", "a", count=2)
    pit.wait(lambda: "8 used" in limits_of(pit, cell, "a", "disk_mb"), "its disk is measured")
    assert (cell.workspace / "count").read_text() == counted
    assert not pit.events(cell, "agent_thawed")
    pit.kill9()
    (cell.home("a") / "f").unlink()
    pit.start()
    pit.wait_event(cell, "agent_thawed", "a")


HOLD = """
import mmap, os, sys, time
fd = os.open("gone", os.O_RDWR | os.O_CREAT)
os.unlink("gone")
os.write(fd, os.urandom(8 << 20))
if sys.argv[1] == "mapped":
    kept = mmap.mmap(fd, 8 << 20)
    os.close(fd)
time.sleep(1000)
"""


@pytest.mark.parametrize("how", ["open", "mapped"])
def test_a_file_without_a_name_is_no_way_round_the_quota(pit: Pit, how: str) -> None:
    if how == "mapped" and os.geteuid() != 0:
        pytest.skip("the kernel shows to root alone what is only mapped")
    cell = pit.cell()
    limits = {"disk_mb": 4}
    pit.spawn(cell, "a", "python3", "-c", HOLD, how, rules=PROCESS, limits=limits)
    pit.spawn(cell, "ab", "sleep", "1000", rules=PROCESS, limits=limits)
    told = pit.wait_event(cell, "limit_reached", "a")
    assert (told.data["limit"], told.data["action"]) == ("disk_mb", "frozen")
    pit.wait_event(cell, "agent_frozen", "a")
    assert os.listdir(cell.workspace) == []
    pit.want(cell, "a", desired="stop")
    pit.wait_event(cell, "limit_cleared", "a")
    assert not pit.events(cell, "limit_reached", "ab")


# ---------------------------------------------------------------- logs


def test_a_flooded_log_is_put_aside_and_named(pit: Pit) -> None:
    cell = pit.cell()
    shell(pit, cell, "flood", "exec yes 'the same line again'", limits={"log_mb": 1})
    shell(pit, cell, "quiet", f"echo hello; {SLEEP}")
    told = pit.wait_event(cell, "limit_reached", "flood", limit="log_mb")
    assert (told.data["value"], told.data["action"]) == (1, "rotated")
    pit.wait(lambda: "hello" in cell.log("quiet").read_text(), "the other's log")
    aside = cell.logs / "flood.log.1"
    pit.want(cell, "flood", desired="stop")
    pit.wait_event(cell, "agent_stopped", "flood")
    for file in (cell.log("flood"), aside):
        assert file.stat().st_size <= (1 << 20) + 64 * 1024
    lines = set(aside.read_bytes().split(b"\n"))
    assert lines <= {b"the same line again", b""}, "lines are whole"


def test_a_log_goes_on_when_daemon_and_pump_are_killed(pit: Pit) -> None:
    cell = pit.cell()
    count = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; "
    shell(pit, cell, "a", f"{count} {SLEEP}", limits={"log_mb": 1024})
    pit.wait(lambda: cell.log("a").exists() and cell.log("a").stat().st_size, "the first lines")
    (pump,) = pumps(pit)
    pit.kill9()
    os.kill(pump, 9)
    pit.start()
    pit.wait(lambda: b"line 2999\n" in cell.log("a").read_bytes(), "the last line")
    assert len(pit.events(cell, "agent_started", "a")) == 1
    assert pit.events(cell, "agent_died", "a") == []


def test_an_agent_can_neither_empty_nor_reach_its_log(pit: Pit) -> None:
    cell = pit.cell()
    script = """
import os
print("first", flush=True)
for fd in (1, 2):
    for do in (lambda: os.ftruncate(fd, 0), lambda: os.lseek(fd, 0, 0)):
        try:
            do()
        except OSError:
            continue
        print("done", flush=True)
print("last", flush=True)
"""
    pit.spawn(cell, "a", "python3", "-c", script, rules={**PROCESS, "restart": "never"})
    pit.wait(lambda: cell.log("a").exists() and "last" in cell.log("a").read_text(), "its words")
    assert cell.log("a").read_text() == "first\nlast\n"


def test_logs_are_followed_over_a_rotation(pit: Pit) -> None:
    cell = pit.cell()
    count = 'i=0; while [ $i -lt 60000 ]; do echo "a line of some length, $i"; i=$((i+1)); done'
    waits = "until [ -e start ]; do sleep 0.05; done"
    shell(
        pit, cell, "a", f"echo begins; {waits}; {count}; echo ends; {SLEEP}", limits={"log_mb": 1}
    )
    pit.wait(lambda: cell.log("a").exists() and cell.log("a").stat().st_size, "its first word")
    argv = ["-m", "lazarus_pit", "logs", f"{cell.uuid}/a", "--follow", "--config", str(pit.config)]
    with subprocess.Popen([sys.executable, *argv], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        try:
            assert reader.stdout.readline() == "begins\n"
            (cell.workspace / "start").touch()
            seen = list(iter(reader.stdout.readline, "ends\n"))
        finally:
            reader.kill()
    assert seen == [f"a line of some length, {number}\n" for number in range(60000)]
    assert (cell.logs / "a.log.1").exists()


def pumps(pit: Pit) -> list[int]:
    """The living pumps of this pit: those that complain into its file."""
    complaints = PitPaths(pit.root).companion_log("pump")
    return [
        pid for pid in processes("pump.py") if os.path.samefile(f"/proc/{pid}/fd/2", complaints)
    ]
