from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lazarus_pit.linux import beneath


@pytest.fixture(params=["openat2", "walk"])
def below(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    """A directory, as an open descriptor; the second time the kernel does not know openat2."""
    if request.param == "walk":
        monkeypatch.setattr(beneath, "_OPENAT2", 0xFFFF)
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "in" / "deep").mkdir(parents=True)
    fd = os.open(tmp_path / "in", os.O_RDONLY)
    yield fd
    os.close(fd)


def refused(directory: int, name: str, limit: int = 4096) -> int | None:
    with pytest.raises(OSError, match=r".") as caught:
        beneath.read_small(directory, name, limit)
    return caught.value.errno


def test_a_small_file_is_read_whole(below: int, tmp_path: Path) -> None:
    (tmp_path / "in/deep/file").write_text("content")
    found = beneath.read_small(below, "deep/file", 7)
    assert found is not None
    assert found.data == b"content"
    assert found.mtime_ns == (tmp_path / "in/deep/file").stat().st_mtime_ns


def test_what_is_not_there_is_none(below: int) -> None:
    assert beneath.read_small(below, "nothing", 10) is None
    assert beneath.read_small(below, "deep/nothing", 10) is None


def test_too_much_is_refused_after_one_byte_more(below: int, tmp_path: Path) -> None:
    with open(tmp_path / "in/huge", "wb") as file:
        file.truncate(1 << 40)
    assert refused(below, "huge") == errno.EFBIG


def test_links_are_refused_at_every_step(below: int, tmp_path: Path) -> None:
    (tmp_path / "in/link").symlink_to("../outside")
    (tmp_path / "in/up").symlink_to("..")
    (tmp_path / "in/here").symlink_to("deep")
    (tmp_path / "in/deep/file").write_text("x")
    (tmp_path / "in/self").symlink_to("/proc/self/root/etc/passwd")
    for name in ("link", "self", "here/file", "up/outside"):
        assert refused(below, name) == errno.ELOOP


def test_the_way_out_is_closed(below: int) -> None:
    assert refused(below, "../outside") == errno.EXDEV
    assert refused(below, "deep/../../outside") == errno.EXDEV
    assert refused(below, "/etc/passwd") == errno.EXDEV


def test_a_fifo_holds_up_nobody(below: int, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in/fifo")
    assert refused(below, "fifo") == errno.EINVAL


def test_only_a_regular_file_with_one_name_is_read(below: int, tmp_path: Path) -> None:
    assert refused(below, "deep") == errno.EINVAL
    (tmp_path / "in/two").hardlink_to(tmp_path / "outside")
    assert refused(below, "two") == errno.EINVAL


def test_a_file_can_be_made_there(below: int, tmp_path: Path) -> None:
    fd = beneath.open_beneath(below, "new", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o640)
    os.write(fd, b"made")
    os.close(fd)
    assert (tmp_path / "in/new").read_text() == "made"
