"""The file of the records: several connections of several processes do not harm it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lazarus_pit.errors import StoreError
from lazarus_pit.records import outbox
from lazarus_pit.records.database import opened_records

ELSEWHERE = """
import sys
from pathlib import Path
from lazarus_pit.records.database import opened_records
with opened_records(Path(sys.argv[1])) as db:
    print(db.execute("SELECT count(*) FROM outbox").fetchone()[0])
"""


def seen_elsewhere(path: Path) -> int:
    """Open the records in another process, look, and close them."""
    argv = [sys.executable, "-c", ELSEWHERE, str(path)]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def test_a_second_connection_takes_nothing_from_the_first(tmp_path: Path) -> None:
    """Whoever is the last to close the records throws their log away: only then may it."""
    path = tmp_path / "records.db"
    with opened_records(path) as first:
        outbox.add(first, "forge", "one", {"say": "1"})
        with opened_records(path) as second:
            outbox.add(second, "forge", "one", {"say": "2"})
        assert seen_elsewhere(path) == 2
        assert (tmp_path / "records.db-wal").exists()
        outbox.add(first, "forge", "one", {"say": "3"})
        assert seen_elsewhere(path) == 3
    assert seen_elsewhere(path) == 3


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    path.symlink_to("elsewhere")
    with pytest.raises(StoreError, match="not a regular file"), opened_records(path):
        pass
    assert not (tmp_path / "elsewhere").exists()
