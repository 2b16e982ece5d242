"""What is begun over the API is bounded: it is processes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lazarus_pit.errors import WorldError
from lazarus_pit.web import operations
from lazarus_pit.web.operations import Asked, Operations


def test_so_much_is_under_way_at_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "AT_ONCE", 2)
    known, gate = Operations(), tmp_path / "gate"

    def do(key: str) -> str:
        argv = ("sh", "-c", f"until [ -e {gate} ]; do sleep 0.02; done")
        return known.do(Asked("ada", key, argv, b""), "wait", key, argv, secret=False)[0].state

    with ThreadPoolExecutor(2) as asking:
        begun = [asking.submit(do, key) for key in ("one", "two")]
        try:
            deadline = time.monotonic() + 30.0
            while len(known.latest(9)) < len(begun):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            with pytest.raises(WorldError, match="2 operations are under way"):
                do("three")
        finally:
            gate.touch()
        assert [one.result() for one in begun] == ["done", "done"]
    assert do("three") == "done"
