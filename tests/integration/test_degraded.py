"""A daemon on a machine without bubblewrap: Landlock holds its agents, and it says so."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit
from integration.typing_it import Typist
from launching import open_way
from lazarus_pit.sandboxes import bwrap, landlock

HIDING = 'for name in $HIDDEN; do mount --bind /dev/null "$name"; done; exec "$@"'
"""In a mount namespace of its own, so that nobody else misses it."""

ATTEMPT = """
for path in "$1/secret" "$1/cells" /etc/shadow; do cat "$path" && echo "read $path"; done
for path in "$1/new" "$LAZARUS_CELL/cell.json" /usr/new; do
    echo x >"$path" && echo "wrote $path"
done
kill -CONT "$2" && echo signalled
cat "/proc/$2/environ" && echo traced
echo over; exec sleep 600
"""


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("needs root and unshare(1)")
    if fault := landlock.why_not():
        pytest.skip(fault)
    open_way(tmp_path)
    pit = Pit(tmp_path)
    programs = " ".join(found.path for found in bwrap._candidates())
    pit.within = ("unshare", "--mount", "env", f"HIDDEN={programs}", "sh", "-c", HIDING, "sh")
    pit.start()
    yield pit
    pit.close()


@pytest.mark.root
def test_without_bubblewrap_landlock_holds_and_is_named(pit: Pit, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o755)
    (outside / "secret").write_text("hunter2")
    (outside / "secret").chmod(0o666)
    outside.chmod(0o777)
    cell = pit.cell(name="pond")
    victim = str(os.getpid())
    process = {"liveness": "process"}
    pit.spawn(cell, "ann", "sh", "-c", ATTEMPT, "sh", str(outside), victim, rules=process)
    pit.wait_event(cell, "agent_started", "ann")
    pit.wait(lambda: "over" in cell.log("ann").read_text(), "the attempts")
    said = cell.log("ann").read_text()
    for word in ("hunter2", "read ", "wrote ", "signalled", "traced"):
        assert word not in said, said
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    type_ = Typist(pit.root, pit.config)
    assert "sandbox landlock" in type_("status").out
    pit.wait(
        lambda: (seen := pit.health(cell).get("ann")) and seen.sandbox == "landlock", "its state"
    )
    assert "Landlock alone: modes, owners, times" in pit.log.read_text()
