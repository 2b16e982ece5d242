"""Folders of archives: gone when their work is done, and swept when whoever worked was killed."""

from __future__ import annotations

from pathlib import Path

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.web import transit


def test_what_somebody_works_in_is_not_swept(tmp_path: Path) -> None:
    pit = PitPaths(tmp_path)
    transit.sweep(pit)  # Nothing is there at first.
    with transit.folder(pit) as place:
        place.archive.write_bytes(b"half")
        left = pit.transit / "left"
        left.mkdir()
        (left / "cell.tar.gz").write_bytes(b"half of another")
        transit.sweep(pit)
        assert list(pit.transit.iterdir()) == [place.path]
        assert place.archive.read_bytes() == b"half"
    assert list(pit.transit.iterdir()) == []
