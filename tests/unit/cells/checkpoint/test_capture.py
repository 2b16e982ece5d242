"""Which entries are copied under the freeze, and which states an index must not trust."""

from __future__ import annotations

import mmap
import os
from collections.abc import Collection
from pathlib import Path

import pytest

from lazarus_pit.cells.checkpoint.below import OPEN_DIRECTORY
from lazarus_pit.cells.checkpoint.capture import (
    GRAIN_NS,
    Captured,
    changed,
    mapped_inodes,
    sure_rows,
)
from lazarus_pit.cells.checkpoint.compose import NOTHING, Draft
from lazarus_pit.cells.checkpoint.index import NEVER_SAME, Row
from lazarus_pit.cells.checkpoint.pieces import CHUNK
from lazarus_pit.cells.checkpoint.scan import Entry, scan

LONG_AFTER = 1 << 62


@pytest.fixture
def tree(tmp_path: Path) -> list[Entry]:
    (tmp_path / "file").write_text("a")
    (tmp_path / "twin").write_text("b")
    os.link(tmp_path / "twin", tmp_path / "twin2")
    fd = os.open(tmp_path, OPEN_DIRECTORY)
    found = scan(fd, ["file", "twin", "twin2"]).tree
    os.close(fd)
    return found


def draft(tree: list[Entry], **changes: Row) -> Draft:
    rows = {
        path: Row(state.st_ino, state.st_ctime_ns, 0, "twin" if path == "twin2" else "", b"", False)
        for path, state in tree
    }
    return NOTHING._replace(rows=rows | changes)


def copied(
    tree: list[Entry],
    known: Draft,
    mapped: Collection[int] = (),
    *,
    captured: Captured | None = None,
    since: int = LONG_AFTER,
) -> list[str]:
    none = Captured(lambda: -1)
    return [path for path, _ in changed(tree, known, captured or none, mapped, since)]


def test_what_is_as_it_was_is_not_copied(tree: list[Entry]) -> None:
    assert copied(tree, draft(tree)) == []


def test_what_differs_in_any_way_is_copied(tree: list[Entry]) -> None:
    row = draft(tree).rows["file"]
    for other in (
        row._replace(inode=1),
        row._replace(ctime_ns=1),
    ):
        assert copied(tree, draft(tree, file=other)) == ["file"]
    twin = draft(tree).rows["twin2"]._replace(link="")
    assert copied(tree, draft(tree, twin2=twin)) == ["twin2"]
    new = draft(tree)
    del new.rows["file"]
    assert copied(tree, new) == ["file"]
    assert copied(tree, draft(tree)._replace(torn={"twin"})) == ["twin"]
    inode = tree[1][1].st_ino
    assert copied(tree, draft(tree), {inode}) == ["twin", "twin2"]


def test_what_is_younger_than_the_clocks_tick_is_copied_again(tree: list[Entry]) -> None:
    newest = max(state.st_ctime_ns for _, state in tree)
    assert copied(tree, draft(tree), since=newest + GRAIN_NS) == []
    young = copied(tree, draft(tree), since=newest + GRAIN_NS - 1)
    assert young
    assert "twin2" in young


def test_what_was_copied_before_the_freeze_is_not_copied_again(
    tmp_path: Path, tree: list[Entry]
) -> None:
    fd = os.open(tmp_path, OPEN_DIRECTORY)
    captured = Captured(lambda: -1)
    links = {"twin2": "twin"}
    captured.take_running(fd, tree, links, LONG_AFTER)
    assert copied(tree, NOTHING, captured=captured) == []
    inode = tree[0][1].st_ino
    assert copied(tree, NOTHING, {inode}, captured=captured) == ["file"]
    newest = max(state.st_ctime_ns for _, state in tree)
    captured.take_running(fd, tree, links, newest + GRAIN_NS - 1)
    assert "twin2" in copied(tree, NOTHING, captured=captured)
    (tmp_path / "file").chmod(0o600)
    captured.take_running(fd, tree, links, LONG_AFTER)
    now = scan(fd, ["file", "twin", "twin2"]).tree
    assert copied(now, NOTHING, captured=captured) == ["file"]
    (tmp_path / "file").unlink()
    captured.take_running(fd, now, links, LONG_AFTER)
    assert copied(now, NOTHING, captured=captured) == ["file"]
    assert captured.left_out == []
    os.close(fd)


def test_no_room_for_a_copy_is_no_reason_to_leave_a_file_out(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(CHUNK + 1))
    fd = os.open(tmp_path, OPEN_DIRECTORY)
    tree = scan(fd, ["large"]).tree
    full = os.open("/dev/full", os.O_RDWR)
    captured = Captured(lambda: full)
    with pytest.raises(OSError, match="No space left"):
        captured.take(fd, tree, {})
    with pytest.raises(OSError, match="No space left"):
        captured.take_running(fd, tree, {}, LONG_AFTER)
    assert captured.left_out == []
    os.close(full)
    os.close(fd)


def test_an_index_trusts_no_state_that_may_be_older_than_it_looks() -> None:
    row = Row(7, 1000 + GRAIN_NS, 0, "", b"", False)
    rows = {
        "old": row,
        "young": row._replace(ctime_ns=1001 + GRAIN_NS),
        "map": row._replace(inode=8),
    }
    sure = sure_rows(rows, 1000 + 2 * GRAIN_NS, {8})
    assert [sure[name].ctime_ns for name in rows] == [row.ctime_ns, NEVER_SAME, NEVER_SAME]


def test_shared_writable_mappings_are_found(tmp_path: Path) -> None:
    (tmp_path / "shared").write_bytes(bytes(4096))
    (tmp_path / "private").write_bytes(bytes(4096))
    with (tmp_path / "shared").open("r+b") as shared, (tmp_path / "private").open("rb") as private:
        kept = mmap.mmap(shared.fileno(), 4096)
        read = mmap.mmap(private.fileno(), 4096, access=mmap.ACCESS_READ)
        found = mapped_inodes([os.getpid(), 0])
        assert os.fstat(shared.fileno()).st_ino in found
        assert os.fstat(private.fileno()).st_ino not in found
        kept.close()
        read.close()


def test_what_cannot_be_read_is_left_out_with_all_its_names(
    tmp_path: Path, tree: list[Entry]
) -> None:
    (tmp_path / "twin").unlink()
    fd = os.open(tmp_path, OPEN_DIRECTORY)
    captured = Captured(lambda: -1)
    captured.take(fd, tree, {"twin2": "twin"})
    os.close(fd)
    assert set(captured.paths) == {"file"}
    assert [one.path for one in captured.left_out] == ["twin", "twin2"]
    assert captured.left_out[0].why == "could not be read: no such file or directory"
