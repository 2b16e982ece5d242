from __future__ import annotations

import os
import select
import signal
import subprocess

import pytest

from launching import PATIENCE, until
from lazarus_pit.core.model import Exit
from lazarus_pit.linux import pidfd, procfs

ENDINGS = [("exit 0", Exit(code=0)), ("exit 78", Exit(code=78)), ("kill -9 $$", Exit(signal=9))]


@pytest.mark.parametrize(("script", "expected"), ENDINGS)
def test_an_own_child_is_collected(script: str, expected: Exit) -> None:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", script], {})
    fd = pidfd.open_pid(pid)
    assert fd is not None
    select.select([fd], [], [], PATIENCE)
    assert pidfd.exit_of(fd, pid) == expected
    assert procfs.state(pid) is None
    os.close(fd)


def test_a_running_process_has_no_exit_yet() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        fd = pidfd.open_pid(process.pid)
        assert fd is not None
        assert pidfd.exit_of(fd, process.pid) is None
        assert not pidfd.has_ended(fd)
        os.close(fd)


@pytest.mark.parametrize(("script", "expected"), ENDINGS)
def test_a_strangers_end_is_known_before_and_after_it_was_collected(
    script: str, expected: Exit
) -> None:
    """The parent is a shell: it tells its child's pid, lets it end, and collects it when told."""
    parent_script = (
        f"sh -c 'read go; {script}' <&3 & echo $!; exec 3<&-; read collect; wait; echo; read end"
    )
    ear, mouth = os.pipe()
    with subprocess.Popen(
        ["bash", "-c", f"exec 3<&{ear}; {parent_script}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[ear],
    ) as parent:
        os.close(ear)
        assert parent.stdin is not None
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        fd = pidfd.open_pid(pid)
        assert fd is not None
        assert pidfd.exit_of(fd, pid) is None
        os.write(mouth, b"go\n")
        until(lambda: pidfd.has_ended(fd))
        assert pidfd.exit_of(fd, pid) == expected
        parent.stdin.write(b"collect\n")
        parent.stdin.flush()
        parent.stdout.readline()
        until(lambda: procfs.state(pid) is None)
        assert pidfd.exit_of(fd, pid) in (expected, Exit())  # Kept by the kernel from 6.15 on.
        assert not pidfd.send_signal(fd, signal.SIGKILL)
        os.close(fd)
        os.close(mouth)
        parent.stdin.close()


def test_no_descriptor_for_nobody() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert pidfd.open_pid(process.pid) is None
    assert pidfd.open_pid(-1) is None
    assert pidfd.open_pid(0) is None


def test_a_signal_reaches_the_process() -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        fd = pidfd.open_pid(process.pid)
        assert fd is not None
        assert pidfd.send_signal(fd, signal.SIGTERM)
        assert process.wait() == -signal.SIGTERM
        os.close(fd)
