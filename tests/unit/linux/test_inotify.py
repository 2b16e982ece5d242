from __future__ import annotations

import errno
import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazarus_pit.linux.inotify import (
    IN_CLOSE_WRITE,
    IN_IGNORED,
    IN_MOVED_TO,
    IN_Q_OVERFLOW,
    Event,
    Inotify,
)


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    one = Inotify()
    yield one
    one.close()


def test_nothing_pending_is_an_empty_list(inotify: Inotify, tmp_path: Path) -> None:
    inotify.add(str(tmp_path), IN_MOVED_TO)
    assert inotify.read() == []


def test_a_renamed_file_is_one_event_with_its_name(inotify: Inotify, tmp_path: Path) -> None:
    watch = inotify.add(str(tmp_path), IN_MOVED_TO)
    (tmp_path / "new").write_text("beat")
    (tmp_path / "new").rename(tmp_path / "alice.json")
    assert inotify.read() == [(watch, IN_MOVED_TO, b"alice.json")]


def test_names_need_not_be_text(inotify: Inotify, tmp_path: Path) -> None:
    watch = inotify.add(os.fsencode(tmp_path), IN_CLOSE_WRITE)
    name = b"\xff\xfe x\n"
    with open(os.path.join(os.fsencode(tmp_path), name), "wb"):
        pass
    assert inotify.read() == [(watch, IN_CLOSE_WRITE, name)]


def test_a_batch_larger_than_one_read_comes_whole(inotify: Inotify, tmp_path: Path) -> None:
    watch = inotify.add(str(tmp_path), IN_CLOSE_WRITE)
    names = [f"{number:0200d}".encode() for number in range(3000)]  # About 700 KiB of events.
    for name in names:
        os.close(os.open(os.path.join(os.fsencode(tmp_path), name), os.O_CREAT | os.O_WRONLY))
    assert inotify.read() == [(watch, IN_CLOSE_WRITE, name) for name in names]


def test_a_directory_that_goes_takes_its_watch(inotify: Inotify, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    watch = inotify.add(str(gone), IN_MOVED_TO)
    gone.rmdir()
    assert inotify.read() == [(watch, IN_IGNORED, b"")]
    inotify.remove(watch)


def test_what_cannot_be_watched_is_named(inotify: Inotify, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        inotify.add(str(tmp_path / "nowhere"), IN_MOVED_TO)


def test_an_overflow_is_told(inotify: Inotify, tmp_path: Path) -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 50_000:
        pytest.skip(f"a queue of {limit} events is too long to fill")
    inotify.add(str(tmp_path), IN_CLOSE_WRITE)
    for number in range(limit + 10):  # Alternating, since equal neighbours are merged.
        os.close(os.open(tmp_path / str(number % 2), os.O_CREAT | os.O_WRONLY))
    last: Event = inotify.read()[-1]
    assert last[:2] == (-1, IN_Q_OVERFLOW)


def test_one_is_closed_for_good() -> None:
    inotify = Inotify()
    inotify.close()
    inotify.close()
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        inotify.add("/", IN_MOVED_TO)
    assert caught.value.errno == errno.EBADF


FLOOD = """
import os, sys
events = b"".join(n.to_bytes(4, "little") + bytes(12) for n in range(4096))
while True:
    os.write(1, events)
"""


def test_a_flood_that_is_faster_than_the_reader_has_an_end(inotify: Inotify) -> None:
    """What comes while it reads is the next read's: else nobody else would have a turn."""
    ear, mouth = os.pipe2(os.O_NONBLOCK)
    os.set_blocking(mouth, True)
    room = fcntl.fcntl(ear, fcntl.F_SETPIPE_SZ, 1 << 20)
    queue, inotify.fd = inotify.fd, ear  # As fast as a pipe: no kernel tells of files so fast.
    with subprocess.Popen([sys.executable, "-c", FLOOD], stdout=mouth) as flood:
        try:
            signal.setitimer(signal.ITIMER_REAL, 20)
            while struct.unpack("i", fcntl.ioctl(ear, termios.FIONREAD, bytes(4)))[0] < room:
                os.sched_yield()
            seen = inotify.read()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            flood.kill()
            os.close(mouth)
            os.close(ear)
            inotify.fd = queue
    assert len(seen) == room // 16
