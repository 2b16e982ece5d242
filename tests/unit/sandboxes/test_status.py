from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazarus_pit.sandboxes import status
from lazarus_pit.sandboxes.status import Report

BUBBLEWRAPS = b"""\
{ "child-pid": 4711, "net-namespace": 4026531840, "pid-namespace": 4026532184 }

{ "exit-code": 137 }

"""


def test_bubblewraps_own_words_are_understood() -> None:
    assert status.parse(BUBBLEWRAPS) == Report(
        child_pid=4711, pid_namespace=4026532184, exit_code=137
    )


def test_ours_are_too_and_the_later_line_counts() -> None:
    text = status.identity_line(0, 0) + status.identity_line(12, 345)
    assert status.parse(text) == Report(pid=12, start_time=345)


@pytest.mark.parametrize(
    "torn", [b"", b"{", b'{"exit-code"', b"[1]", b'{"exit-code": "7"}', b'{"exit-code": true}']
)
def test_what_is_torn_or_strange_says_nothing(torn: bytes) -> None:
    assert status.parse(torn) == Report()


@given(st.binary(max_size=200))
def test_no_bytes_are_an_error(garbage: bytes) -> None:
    status.parse(garbage)
    status.parse(b"[" * 5000 + garbage)


def test_a_file_is_read_with_a_bound_and_never_through_a_link(tmp_path: Path) -> None:
    path = tmp_path / "status"
    fd = status.create(str(path))
    os.write(fd, BUBBLEWRAPS)
    os.close(fd)
    assert status.read(str(path)).exit_code == 137
    assert path.stat().st_mode & 0o777 == 0o600
    (tmp_path / "link").symlink_to(path)
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "fifo", "nothing", "."):
        assert status.read(str(tmp_path / name)) == Report()
    path.write_bytes(b" " * 20_000 + BUBBLEWRAPS)
    assert status.read(str(path)) == Report()


def test_an_init_of_another_namespace_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "status"
    path.write_text(f'{{"child-pid": {os.getpid()}, "pid-namespace": 1}}')
    assert status.inner_init(str(path)) is None
    inode = os.stat("/proc/self/ns/pid").st_ino
    path.write_text(f'{{"child-pid": {os.getpid()}, "pid-namespace": {inode}}}')
    assert status.inner_init(str(path)) == os.getpid()
    assert status.inner_init("") is None
