"""The pump as a process of its own: real pipes, real files, real orders."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from launching import until
from lazarus_pit.linux import unix_sockets
from lazarus_pit.sandboxes import pump

PATIENCE = 20.0


class Running:
    """A pump and a line to it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        listener = unix_sockets.listen(str(place / "pump.sock"), 4)
        fd = listener.fileno()
        argv = [sys.executable, "-I", "-S", "-c", _BEGIN, pump.__file__, str(fd)]
        self.process = subprocess.Popen(argv, pass_fds=[fd], stderr=subprocess.PIPE)
        listener.close()
        self.line = unix_sockets.connect(str(place / "pump.sock"), PATIENCE)

    def attend(self, name: str, most: int = 0) -> int:
        """Have a new pipe emptied; return its end for writing."""
        pipe = self.place / f"{name}.pipe"
        if not pipe.exists():
            os.mkfifo(pipe)
        fd = os.open(pipe, os.O_RDWR | os.O_CLOEXEC)
        self.order(pipe, most)
        return fd

    def order(self, pipe: Path, most: int = 0) -> None:
        log = self.place / f"{pipe.stem}.log"
        self.line.send(json.dumps({"pipe": str(pipe), "log": str(log), "most": most}).encode())
        assert json.loads(self.line.recv(pump.MESSAGE)) == {"attended": str(pipe)}


_BEGIN = """
import os, runpy, sys
os.dup2(int(sys.argv[2]), 3)
runpy.run_path(sys.argv[1], run_name="__main__")
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    found = Running(tmp_path)
    try:
        yield found
    finally:
        found.line.close()
        found.process.kill()
        found.process.communicate()


def says(path: Path, content: bytes) -> None:
    until(lambda: path.exists() and path.read_bytes() == content, f"{content[:40]!r} in {path}")


def ends_with(path: Path, line: bytes) -> bool:
    """Whether a log ends so; for a moment, while it is put aside, it is not there."""
    try:
        return path.read_bytes().endswith(line)
    except FileNotFoundError:
        return False


def test_what_is_printed_is_in_the_log(running: Running, tmp_path: Path) -> None:
    fd = running.attend("a")
    os.write(fd, b"one\ntwo")
    says(tmp_path / "a.log", b"one\ntwo")
    os.close(fd)


def test_a_log_is_put_aside_between_lines(running: Running, tmp_path: Path) -> None:
    fd = running.attend("a", most=100_000)
    lines = [b"%049d\n" % number for number in range(6000)]
    for line in lines:
        os.write(fd, line)
    log, aside = tmp_path / "a.log", tmp_path / "a.log.1"
    until(lambda: ends_with(log, lines[-1]), "the last line")
    os.close(fd)
    assert log.stat().st_size <= 100_000
    assert 100_000 - pump.BLOCK < aside.stat().st_size <= 100_000 + 50
    kept = aside.read_bytes() + log.read_bytes()
    assert kept == b"".join(lines[-(len(kept) // 50) :])


def test_nobody_waits_for_one_who_floods(running: Running, tmp_path: Path) -> None:
    flood = running.attend("flood", most=100_000)
    os.set_blocking(flood, False)
    quiet = running.attend("quiet")
    sent, began = 0, time.monotonic()
    while time.monotonic() - began < 1.5:
        select.select([], [flood], [], 0.1)
        with contextlib.suppress(BlockingIOError):
            sent += os.write(flood, b"x" * (pump.BLOCK - 1) + b"\n")
    seconds = int(time.monotonic() - began) + 2
    assert sent <= seconds * pump.RATE + 2 * pump.BLOCK, "it is slowed down"
    os.write(quiet, b"hello\n")
    says(tmp_path / "quiet.log", b"hello\n")
    assert (tmp_path / "flood.log").stat().st_size <= 100_000 + 65_536
    os.close(flood)
    os.close(quiet)


def test_links_and_other_things_are_no_logs_and_no_pipes(running: Running, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"untouched")
    (tmp_path / "a.log").symlink_to(outside)
    fd = running.attend("a")
    os.write(fd, b"hostile\n")
    (tmp_path / "b.pipe").write_bytes(b"not a pipe")
    running.order(tmp_path / "b.pipe")
    (tmp_path / "c.pipe").symlink_to(tmp_path / "a.pipe")
    running.order(tmp_path / "c.pipe")
    running.line.send(b"[no order]")
    other = running.attend("d")
    os.write(other, b"goes on\n")
    says(tmp_path / "d.log", b"goes on\n")
    assert outside.read_bytes() == b"untouched"
    assert not (tmp_path / "b.log").exists()
    assert not (tmp_path / "c.log").exists()
    os.close(fd)
    os.close(other)


def test_a_log_that_was_replaced_is_opened_anew(running: Running, tmp_path: Path) -> None:
    fd = running.attend("a")
    os.write(fd, b"before\n")
    says(tmp_path / "a.log", b"before\n")
    (tmp_path / "a.log").rename(tmp_path / "elsewhere")
    os.write(fd, b"after\n")
    says(tmp_path / "a.log", b"after\n")
    assert (tmp_path / "elsewhere").read_bytes() == b"before\n"
    os.close(fd)


def test_the_pump_ends_with_the_last_pipe_and_line(running: Running) -> None:
    fd = running.attend("a")
    running.line.close()
    os.write(fd, b"still here\n")
    says(running.place / "a.log", b"still here\n")
    assert running.process.poll() is None, "somebody prints"
    os.close(fd)
    assert running.process.wait(PATIENCE) == 0


def test_a_new_daemon_finds_the_pump(running: Running, tmp_path: Path) -> None:
    fd = running.attend("a")
    running.line.close()
    running.line = unix_sockets.connect(str(tmp_path / "pump.sock"), PATIENCE)
    running.order(tmp_path / "a.pipe")
    os.write(fd, b"word\n")
    says(tmp_path / "a.log", b"word\n")
    os.close(fd)


def test_what_a_full_disk_does_not_take_is_said_later() -> None:
    """Without a file system of its own: the one device that is always full."""
    pipe = pump.Pipe(-1, "/dev/full", 0)
    pipe.out = os.open("/dev/full", os.O_WRONLY | os.O_CLOEXEC)
    pump._append(pipe, b"lost\n")
    assert pipe.lost == 5
    os.close(pipe.out)
    read, pipe.out = os.pipe()
    pump._append(pipe, b"kept\n")
    os.close(pipe.out)
    with open(read, "rb") as file:
        assert file.read() == b"[lazarus: 5 bytes were lost: the disk was full]\nkept\n"
