"""Whole files, and files that a stranger has planted."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from lazarus_pit.cells import files
from lazarus_pit.errors import FormatError, StoreError

if TYPE_CHECKING:
    from pathlib import Path


def plant(path: Path, kind: str) -> None:
    """Put something hostile where a file should be."""
    secret = path.with_name("secret")
    secret.write_bytes(b"secret")
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "symlink":
            path.symlink_to(secret)
        case "dangling":
            path.symlink_to(path.with_name("nowhere"))
        case "loop":
            path.symlink_to(path)
        case "directory":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
        case "sparse":
            path.touch()
            os.truncate(path, 1024**3)
        case "hard link":
            path.hardlink_to(secret)
        case "device":
            path.symlink_to("/dev/zero")


HOSTILE = [
    "fifo",
    "symlink",
    "dangling",
    "loop",
    "directory",
    "socket",
    "sparse",
    "hard link",
    "device",
]


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.timeout(10)
def test_a_planted_file_is_refused_at_once_and_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "beat.json"
    plant(path, kind)
    with pytest.raises((FormatError, StoreError)) as caught:
        files.read_hostile(path, 4096, sole=True)
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)


def test_what_is_there_is_read_and_what_is_not_is_none(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.read_hostile(path, 5) is None
    path.write_bytes(b"12345")
    assert files.read_hostile(path, 5) == b"12345"
    with pytest.raises(FormatError, match="5 bytes, expected at most 4"):
        files.read_hostile(path, 4)


def test_a_file_of_the_kernel_that_states_no_size_is_bounded_too() -> None:
    from pathlib import Path  # noqa: PLC0415 - only a type elsewhere

    with pytest.raises(FormatError, match="more than 10 bytes"):
        files.read_hostile(Path("/proc/self/mountinfo"), 10)


@pytest.mark.parametrize("kind", ["fifo", "symlink", "dangling", "loop", "socket", "hard link"])
def test_a_replaced_file_takes_the_place_of_what_was_planted(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "state.json"
    plant(path, kind)
    files.replace_file(path, b"new", mode=0o640)
    assert not path.is_symlink()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o640
    assert path.with_name("secret").read_bytes() == b"secret"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["secret", "state.json"]


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    path.mkdir()
    (path / "x").touch()
    with pytest.raises(StoreError, match=r"state\.json: cannot be written"):
        files.replace_file(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["state.json"]
    with pytest.raises(StoreError):
        files.replace_file(tmp_path / "no" / "such", b"new")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
def test_what_root_writes_belongs_to_the_owner_of_its_directory(tmp_path: Path) -> None:
    os.chown(tmp_path, 4242, 4343)
    files.replace_file(tmp_path / "a", b"new")
    files.append_lines(tmp_path / "b", [b"x\n"])
    for name in ("a", "b"):
        found = (tmp_path / name).stat()
        assert (found.st_uid, found.st_gid) == (4242, 4343)


def test_a_fragment_becomes_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert files.append_lines(path, [b"one\n", b"two\n"]) == (2, None)
    with path.open("ab") as file:
        file.write(b'{"torn')
    assert files.append_lines(path, [b"three\n"], durable=True) == (1, None)
    assert path.read_bytes() == b'one\ntwo\n{"torn\nthree\n'


@pytest.mark.parametrize("kind", ["fifo", "symlink", "dangling", "directory", "socket"])
@pytest.mark.timeout(10)
def test_nothing_is_appended_to_what_was_planted(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "events.jsonl"
    plant(path, kind)
    done = files.append_lines(path, [b"x\n"])
    assert done.written == 0
    assert isinstance(done.error, StoreError)
    assert str(path) in str(done.error)
    assert (tmp_path / "secret").read_bytes() == b"secret"
    assert not (tmp_path / "nowhere").exists()
