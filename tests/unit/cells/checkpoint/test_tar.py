"""What we write, the standard library's reader understands; and what it says back is the same."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from lazarus_pit.cells.checkpoint import tar, untar
from lazarus_pit.cells.checkpoint.untar import Stream, next_member
from lazarus_pit.errors import FormatError


def state_of(tmp_path: Path, mtime_ns: int) -> os.stat_result:
    path = tmp_path / "file"
    path.write_bytes(b"")
    path.chmod(0o640)
    os.utime(path, ns=(0, mtime_ns))
    return path.stat()


def read_by_library(raw: bytes) -> tarfile.TarInfo:
    with tarfile.open(fileobj=io.BytesIO(raw + bytes(1024)), mode="r:") as archive:
        member = archive.next()
    assert member is not None
    return member


def stream(raw: bytes) -> Stream:
    return Stream(iter([raw, b"", b""]).__next__)


@pytest.mark.parametrize("when", [0, 1, -1, 1_500_000_000_123_456_789, -2_000_000_001, 1 << 62])
def test_every_instant_comes_back_to_the_nanosecond(tmp_path: Path, when: int) -> None:
    assert tar.time_of(tar.time_text(when)) == when
    head = tar.member_head("a", state_of(tmp_path, min(when, 1 << 60)), tar.REGULAR)
    found = next_member(stream(head))
    assert found is not None
    assert found.mtime_ns == min(when, 1 << 60)


@pytest.mark.parametrize("name", ["a", "x" * 100, "x" * 101, "d/" * 120 + "f", "ü\udcff\n"])
def test_names_of_any_length_and_bytes(tmp_path: Path, name: str) -> None:
    raw = tar.member_head(name, state_of(tmp_path, 7), tar.REGULAR)
    assert read_by_library(raw).name == name
    found = next_member(stream(raw))
    assert found is not None
    assert (found.path, found.mode) == (name, 0o640)


@pytest.mark.parametrize("target", ["short", "t" * 100, "t" * 101, "/".join("abc" * 200)])
def test_link_targets_of_any_length(tmp_path: Path, target: str) -> None:
    record = tar.Record(b"linkpath", target.encode())
    raw = tar.member_head("link", state_of(tmp_path, 0), tar.SYMLINK, records=[record])
    member = read_by_library(raw)
    assert member.issym()
    assert member.linkname == target
    found = next_member(stream(raw))
    assert found is not None
    assert found.target == target


def test_attribute_names_are_escaped(tmp_path: Path) -> None:
    record = tar.xattr_record("user.a=b%c", b"\x00=\n")
    raw = tar.member_head("x", state_of(tmp_path, 0), tar.REGULAR, records=[record])
    found = next_member(stream(raw))
    assert found is not None
    assert found.xattrs == {"user.a=b%c": b"\x00=\n"}


def test_a_size_beyond_the_header_goes_into_a_record(tmp_path: Path) -> None:
    raw = tar.member_head("big", state_of(tmp_path, 0), tar.REGULAR, 1 << 40)
    found = next_member(stream(raw))
    assert found is not None
    assert found.size == 1 << 40


@pytest.mark.parametrize("length", range(80, 110))
def test_a_record_counts_the_digits_of_its_own_length(tmp_path: Path, length: int) -> None:
    record = tar.Record(b"comment", b"v" * length)
    raw = tar.member_head("r", state_of(tmp_path, 0), tar.REGULAR, records=[record])
    assert read_by_library(raw).pax_headers["comment"] == "v" * length


def damaged(at: int, text: bytes, tmp_path: Path) -> bytes:
    raw = bytearray(tar.member_head("victim", state_of(tmp_path, 0), tar.REGULAR, 5))
    raw[at : at + len(text)] = text
    return bytes(raw)


@pytest.mark.parametrize(
    ("at", "text"),
    [(124, b"-0000000001"), (124, b"zzzz"), (100, b"rwx"), (136, b"9"), (108, b"-1")],
)
def test_a_header_with_nonsense_is_refused_by_name(tmp_path: Path, at: int, text: bytes) -> None:
    with pytest.raises(FormatError, match="victim: its header"):
        next_member(stream(damaged(at, text, tmp_path)))


@pytest.mark.parametrize(
    "body", [b"5 a=\n", b"99 path=x\n", b"x path=y\n", b"0 a=b\n", b"-3 a=b\n", b"12path=x\n"]
)
def test_a_broken_extended_header_is_refused(tmp_path: Path, body: bytes) -> None:
    head = bytearray(tar.plain_head("pax", len(body), 0))
    head[156:157] = tar.PAX
    after = tar.member_head("a", state_of(tmp_path, 0), tar.REGULAR)
    raw = bytes(head) + body + tar.padding(len(body)) + after
    if body == b"5 a=\n":
        assert next_member(stream(raw)) is not None
        return
    with pytest.raises(FormatError, match="extended header"):
        next_member(stream(raw))


@pytest.mark.parametrize(
    "text", [b"", b"x\n", b"2\n0\n5\n", b"1\n-1\n3\n", b"1\n0\n99\n", b"2\n0\n4\n2\n4\n", b"-1\n"]
)
def test_a_sparse_map_that_points_outside_is_refused(text: bytes) -> None:
    raw = text + tar.padding(len(text)) + bytes(512)
    member = untar.Found("s", tar.REGULAR, 0o600, 0, 0, 0, "", 520, 8, True, {})
    with pytest.raises(FormatError, match="s: its sparse map"):
        untar.read_map(stream(raw), member)


def test_an_archive_that_ends_early_is_refused(tmp_path: Path) -> None:
    raw = tar.member_head("a", state_of(tmp_path, 0), tar.REGULAR, 100)
    view = stream(raw + b"short")
    member = next_member(view)
    assert member is not None
    with pytest.raises(FormatError, match="ends inside a member"):
        view.read(member.size)
