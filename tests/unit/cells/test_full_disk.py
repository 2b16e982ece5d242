"""A full disk: nothing is half written, nothing is lost, and it goes on when there is space."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from lazarus_pit.cells import files, journal
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.ledger import Ledger, open_ledger
from lazarus_pit.errors import StoreError
from lazarus_pit.formats.journal import Event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system"),
]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)],
        check=False,
        capture_output=True,
    )
    if made.returncode != 0:
        pytest.skip(f"no mounts here: {made.stderr.decode().strip()}")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(root: Path) -> Path:
    """Leave no free byte on the file system; return the file that takes them all."""
    ballast = root / "ballast"
    with ballast.open("wb") as file:
        size = 65_536
        while size:
            try:
                os.write(file.fileno(), b"x" * size)
            except OSError:
                size //= 2
    return ballast


def commit_until_full(ledger: Ledger, pad: int) -> int:
    """Commit turn after turn; return the first number that found no space."""
    for number in range(5000):
        try:
            ledger.commit({"a": number, f"key-{number}": "x" * pad})
        except StoreError as error:
            if "No space left on device" not in str(error):
                raise
            return number
    pytest.fail("the disk was never full")


def event(seq: int) -> Event:
    return Event(ts="2026-04-06T00:00:00Z", event="agent_died", seq=seq, data={"x": "y" * 500})


def test_the_ledger_has_space_of_its_own_and_then_loses_nothing(small: Path) -> None:
    ledger = open_ledger(small, "b").ledger
    ledger.commit({"a": 0})
    ballast = fill(small)
    failed = commit_until_full(ledger, 1000)
    assert failed > 500  # The space reserved ahead lets supervision go on.
    with pytest.raises(StoreError):
        ledger.commit({"a": failed + 1})
    assert ledger.path.read_bytes().endswith(b"\n")
    assert json.loads(ledger.entries["a"].record) == failed - 1
    ballast.unlink()
    ledger.commit({"b": 1})
    ledger.close()
    again = open_ledger(small, "b")
    assert again.reports == []
    assert json.loads(again.ledger.entries["a"].record) == failed + 1
    assert f"key-{failed}" in again.ledger.entries
    assert "b" in again.ledger.entries
    again.ledger.close()


def test_a_ledger_killed_on_a_full_disk_is_whole(small: Path) -> None:
    ledger = open_ledger(small, "b").ledger
    ballast = fill(small)
    failed = commit_until_full(ledger, 3000)
    ledger.close()  # As a kill would.
    again = open_ledger(small, "b")
    assert json.loads(again.ledger.entries["a"].record) == failed - 1
    assert again.reports == []
    again.ledger.close()
    assert ballast.exists()


def test_a_state_is_the_old_one_or_the_new_one(small: Path) -> None:
    path = small / "state.json"
    files.replace_file(path, b"old")
    ballast = fill(small)
    with pytest.raises(StoreError, match="No space left on device"):
        files.replace_file(path, b"new" * 10_000)
    assert path.read_bytes() == b"old"
    assert sorted(p.name for p in small.iterdir()) == ["ballast", "state.json"]
    ballast.unlink()
    files.replace_file(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_journal_gets_every_event_once_it_can(small: Path) -> None:
    path = small / "events.jsonl"
    journal.append_events(path, [event(0)])
    ballast = fill(small)
    pending = [event(number) for number in range(1, 41)]
    with pytest.raises(StoreError):
        journal.drain_events(path, pending)
    assert pending
    with pytest.raises(StoreError):
        journal.drain_events(path, pending)
    ballast.unlink()
    journal.drain_events(path, pending)
    found = [line.event.seq for line in journal.read_events(path) if line.event]
    assert found == list(range(41))


def test_a_read_only_disk_is_said_and_not_crashed_on(small: Path) -> None:
    ledger = open_ledger(small, "b").ledger
    ledger.commit({"a": 1})
    ledger.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
    with pytest.raises(StoreError, match="Read-only file system"):
        open_ledger(small, "b")
    with pytest.raises(StoreError, match="Read-only file system"):
        files.replace_file(PitPaths(small).daemon, b"x")
    assert files.append_lines(small / "events.jsonl", [b"x\n"]).written == 0
