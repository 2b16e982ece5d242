from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from launching import until
from lazarus_pit.linux import procfs


def test_a_name_may_hold_parentheses_and_spaces(tmp_path: Path) -> None:
    program = tmp_path / "a) S 1 (b"
    program.write_text("#!/bin/sh\nread line\n")
    program.chmod(0o755)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as process:
        until(lambda: b"a) S 1 (b" in Path(f"/proc/{process.pid}/stat").read_bytes())
        seen = procfs.stat(process.pid)
        assert seen is not None
        assert seen.ppid == os.getpid()
        assert seen.state in "SRD"
        assert procfs.is_same(process.pid, seen.start_time, procfs.boot_id())


def test_the_fields_are_counted_as_in_the_manual() -> None:
    after_name = [b"Z", *(str(number).encode() for number in range(4, 53))]
    seen = procfs.parse_stat(b"12 (x) " + b" ".join(after_name) + b"\n")
    assert seen == procfs.Stat(
        state="Z", ppid=4, session=6, ticks=14 + 15 + 16 + 17, start_time=22, exit_status=52
    )


def test_a_process_that_is_gone_says_nothing() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert procfs.stat(process.pid) is None
    assert procfs.start_time(process.pid) is None
    assert procfs.state(process.pid) is None
    assert procfs.pid_depth(process.pid) is None
    assert procfs.pid_namespace(process.pid) is None
    assert procfs.owner(process.pid) is None
    assert procfs.environ(process.pid, [b"PATH"]) == {}
    assert not procfs.is_same(process.pid, 1, procfs.boot_id())


def test_a_zombie_tells_how_it_ended() -> None:
    process = subprocess.Popen(["sh", "-c", "exit 7"])
    until(lambda: procfs.state(process.pid) == procfs.ZOMBIE)
    assert procfs.zombie_status(process.pid) == 7 << 8
    process.wait()
    assert procfs.zombie_status(process.pid) is None


def test_a_living_process_has_no_exit_status() -> None:
    assert procfs.zombie_status(os.getpid()) is None


def test_start_time_tells_two_processes_apart() -> None:
    assert procfs.is_same(os.getpid(), procfs.start_time(os.getpid()) or 0, procfs.boot_id())
    assert not procfs.is_same(os.getpid(), 1, procfs.boot_id())
    assert not procfs.is_same(os.getpid(), procfs.start_time(os.getpid()) or 0, "another boot")
    assert not procfs.is_same(0, 0, procfs.boot_id())


def test_descendants_are_found_at_any_depth() -> None:
    command = ["sh", "-c", "sh -c 'sleep 1000 & echo $!; wait' & wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        grandchild = int(process.stdout.readline())
        try:
            found = procfs.descendants([process.pid])
            assert grandchild in found
            assert process.pid not in found
            assert os.getpid() not in found
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_only_the_wanted_variables_are_returned() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, env={"A": "1=2", "B": "3"}) as process:
        until(lambda: procfs.environ(process.pid, [b"A", b"C"]) == {b"A": b"1=2"})


def test_our_own_namespace_is_depth_one() -> None:
    assert procfs.pid_depth(os.getpid()) == 1
    assert procfs.pid_namespace(os.getpid()) == os.stat("/proc/self/ns/pid").st_ino
    assert os.getpid() in set(procfs.pids())
