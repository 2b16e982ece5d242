"""A look at a workspace in which things come and go meanwhile."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from lazarus_pit.core.model import Life
from lazarus_pit.daemon import looks
from lazarus_pit.daemon.looks import Sights, clock_offset

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_an_entry_that_goes_away_hides_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_text("work")
    scan, gone = os.scandir, list[str]()

    class Scan:
        """The real listing, in which the first entry is removed once it was listed."""

        def __init__(self, path: str) -> None:
            self.real = scan(path)

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            self.real.close()

        def __iter__(self) -> Any:
            for entry in self.real:
                if not gone:
                    gone.append(entry.path)
                    os.unlink(entry.path)
                yield entry

    monkeypatch.setattr(os, "scandir", Scan)
    life = Life(boot_id="", pid=0, start_time=0)
    sights = Sights("", "", str(tmp_path), (clock_offset(),))
    seen = looks._ages(life, sights, computing=None)
    assert gone
    assert seen.files_age is not None
    assert seen.files_age < time.monotonic()
