"""A companion that began and yet cannot be watched is not left behind beside its successor."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
from typing import TYPE_CHECKING, Any

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.daemon.companions import Companions

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from lazarus_pit.core.events import Told


def test_one_that_cannot_be_watched_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pit = PitPaths(tmp_path)
    pit.private.mkdir()
    told, begun = list["Told"](), list[subprocess.Popen[bytes]]()
    start = subprocess.Popen

    def noted(argv: list[str], **more: Any) -> subprocess.Popen[bytes]:
        begun.append(start(argv, **more))
        return begun[-1]

    def refused(_pid: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def begin() -> None:
        companions = Companions(
            asyncio.get_running_loop(), pit, {"sleeper": ["/bin/sleep", "1000"]}, told.append
        )
        monkeypatch.setattr(subprocess, "Popen", noted)
        monkeypatch.setattr(os, "pidfd_open", refused)
        companions.begin()
        try:
            assert [one.returncode is not None for one in begun] == [True]
        finally:
            for one in begun:
                one.kill()
                one.wait()
            companions.close()

    asyncio.run(begin())
    assert [one.data["why"] for one in told] == ["it cannot be started: Too many open files"]
