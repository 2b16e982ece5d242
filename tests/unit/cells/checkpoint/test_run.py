"""The parent of a checkpoint worker."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import Process
from pathlib import Path

import pytest

from lazarus_pit.cells.checkpoint.run import Still, run
from lazarus_pit.cells.checkpoint.unpack import UnpackRequest
from lazarus_pit.cells.checkpoint.worker import Order
from lazarus_pit.errors import UsageError


def test_a_worker_that_has_failed_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill at its end takes its exit status from whoever waits, and asyncio complains aloud."""
    killed: list[int] = []
    monkeypatch.setattr(Process, "kill", lambda process: killed.append(process.pid))
    request = UnpackRequest(archive=str(tmp_path / "none"), target=str(tmp_path / "tree"))
    with pytest.raises(UsageError, match="none"):
        asyncio.run(run(Order(request=request), Still(), lambda _: None))
    assert killed == []
