"""The bytes of pieces, index and list."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import pytest
from isal import isal_zlib

from lazarus_pit.cells.checkpoint import index, manifest
from lazarus_pit.cells.checkpoint.compose import Sink
from lazarus_pit.cells.checkpoint.diff import Change, differences
from lazarus_pit.cells.checkpoint.index import Index, Row
from lazarus_pit.cells.checkpoint.pieces import (
    HEAD,
    DamagedError,
    Piece,
    Segment,
    Unzip,
    join_crc,
    tail,
    unfold,
)
from lazarus_pit.cells.checkpoint.share import share_out
from lazarus_pit.errors import FormatError


def archive_of(path: Path, parts: list[bytes]) -> tuple[list[Piece], bytes]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    sink = Sink(0, fd)
    pieces = []
    for part in parts:
        sink.add(part)
        pieces += sink.segment()
    os.close(fd)
    crc = raw_size = 0
    for piece in pieces:
        crc = join_crc(crc, piece)
        raw_size += piece.raw_size
    return pieces, HEAD + path.read_bytes() + tail(crc, raw_size)


def test_joined_pieces_are_one_ordinary_gzip_member(tmp_path: Path) -> None:
    parts = [b"first" * 1000, os.urandom(5000), b"x", bytes(3_000_000)]
    pieces, whole = archive_of(tmp_path / "spill", parts)
    raw = b"".join(parts)
    assert gzip.decompress(whole)[: len(raw)] == raw
    engine = zlib.decompressobj(31)
    assert engine.decompress(whole).rstrip(b"\0") == raw.rstrip(b"\0")
    assert engine.eof
    assert engine.unused_data == b""
    with (tmp_path / "spill").open("rb") as file:
        assert b"".join(unfold(file.fileno(), piece) for piece in pieces) == raw


@pytest.mark.parametrize("at", [0, 3, 500])
def test_a_flipped_bit_in_a_piece_is_found(tmp_path: Path, at: int) -> None:
    path = tmp_path / "spill"
    pieces, _ = archive_of(path, [os.urandom(2000)])
    rotten = bytearray(path.read_bytes())
    rotten[at] ^= 0x10
    path.write_bytes(rotten)
    with path.open("rb") as file, pytest.raises(DamagedError, match="the piece at byte 0"):
        unfold(file.fileno(), pieces[0])


@pytest.mark.parametrize("size", [0, 1, 1 << 20, 5_000_000])
def test_any_gzip_stream_is_read(tmp_path: Path, size: int) -> None:
    raw = (b"abcdefg" * (size // 7 + 1))[:size]
    (tmp_path / "gz").write_bytes(gzip.compress(raw))
    with (tmp_path / "gz").open("rb") as file:
        assert b"".join(iter(Unzip(file.fileno(), size), b"")) == raw


def test_a_bomb_is_stopped(tmp_path: Path) -> None:
    (tmp_path / "gz").write_bytes(gzip.compress(bytes(50_000_000)))
    with (tmp_path / "gz").open("rb") as file, pytest.raises(FormatError, match="more bytes than"):
        list(iter(Unzip(file.fileno(), 4_000_000), b""))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"plain text",
        gzip.compress(b"cut short" * 1000)[:-9],
        gzip.compress(b"wrong sum" * 1000)[:-8] + bytes(8),
    ],
    ids=["empty", "text", "short", "sum"],
)
def test_no_sound_gzip_stream_is_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "gz").write_bytes(raw)
    with (tmp_path / "gz").open("rb") as file, pytest.raises(FormatError, match="gzip"):
        list(iter(Unzip(file.fileno(), 1 << 30), b""))


def sample() -> Index:
    rows = {
        "workspace/": Row(1, 1 << 60, 0, "", b"d" * 32, False),
        "workspace/\udcff\n": Row((1 << 64) - 1, index.NEVER_SAME, 0, "", b"e" * 32, True),
        "workspace/z": Row(3, 5, 1, "workspace/\udcff\n", b"f" * 32, False),
    }
    pieces = [Piece(0, 10, 5, 6, 7, 8), Piece(0, 15, 1 << 40, 2, 3, (1 << 32) - 1)]
    return Index(1 << 41, rows, [Segment(2, pieces[:1]), Segment(1, pieces)], pieces[1:])


def test_an_index_comes_back_as_it_was() -> None:
    assert index.decode(index.encode(sample())) == sample()
    empty = Index(0, {}, [], [])
    assert index.decode(index.encode(empty)) == empty


@pytest.mark.parametrize("cut", [0, 1, 20, 60])
def test_a_damaged_index_is_refused(cut: int) -> None:
    with pytest.raises(FormatError, match="index"):
        index.decode(index.encode(sample())[:cut])


def test_an_index_that_points_past_its_end_is_refused() -> None:
    short = sample()._replace(segments=sample().segments[:1])
    with pytest.raises(FormatError, match="past its end"):
        index.decode(index.encode(short))


def test_an_index_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "VERSION", 2)
    newer = index.encode(sample())
    monkeypatch.undo()
    with pytest.raises(FormatError, match="version 2, expected 1"):
        index.decode(newer)
    assert isal_zlib.decompress(newer)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("a", b"./a"),
        ("d/", b"./d"),
        ("a b", b"./a\\040b"),
        ("n\nl", b"./n\\012l"),
        ("#*?[\\", b"./\\043\\052\\077\\133\\134"),
        ("\udcff", b"./\\377"),
    ],
)
def test_names_are_escaped_as_mtree_does(path: str, name: bytes) -> None:
    assert manifest.name_of(path) == name


def test_work_is_shared_out_by_weight_and_in_order() -> None:
    tasks = [9, 1, 1, 1, 9, 1]
    shares = share_out(tasks, lambda task: task, 2)
    assert [task for share in shares for task in share] == tasks
    assert [sum(share) for share in shares] == [11, 11]
    assert share_out([], lambda _: 1, 4) == []
    assert share_out([1], lambda task: task, 4) == [[1]]


def test_two_lists_are_compared() -> None:
    file = b"type=file mode=%b time=%b size=1 sha256=%b"
    old = {
        b"./gone": b"type=dir mode=0755 time=1.0",
        b"./same": file % (b"0644", b"1.0", b"aa"),
        b"./text": file % (b"0644", b"1.0", b"aa"),
        b"./mode": file % (b"0644", b"1.0", b"aa"),
        b"./time": file % (b"0644", b"1.0", b"aa"),
    }
    new = {
        b"./new": b"type=dir mode=0755 time=1.0",
        b"./same": file % (b"0644", b"1.0", b"aa"),
        b"./text": file % (b"0600", b"2.0", b"bb"),
        b"./mode": file % (b"0600", b"2.0", b"aa"),
        b"./time": file % (b"0644", b"2.0", b"aa"),
    }
    found = {one.path: one.change for one in differences(old, new)}
    assert found == {
        "gone": Change.REMOVED,
        "mode": Change.MODE,
        "new": Change.ADDED,
        "text": Change.CHANGED,
        "time": Change.TOUCHED,
    }
