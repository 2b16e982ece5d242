"""A newcomer's first command, for root and for an ordinary user: real deaths, real returns."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

import ordinary_user
from integration.pit import processes
from integration.typing_it import process
from lazarus_pit.linux import cgroup

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="the agents work with git")


def check(out: str) -> None:
    assert re.search(r"\d ms  scribe died: its process ended \(signal 9", out)
    assert re.search(r"\d ms  scribe is back: generation 2", out)
    assert re.search(r"\d ms  indexer is hung: no beat for 4\.\d s", out)
    assert re.search(r"\d ms  indexer is back: generation 2", out)
    assert re.search(r"scribe, generation 2: \d+\. The ", out)
    assert re.search(r"indexer, generation 2: Index \d+ chapters", out)
    assert "none is missing, none was written twice" in out
    assert "Where to look" in out


def test_two_agents_die_and_come_back(tmp_path: Path) -> None:
    said = process("demo", env={"PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path), **_package()})
    assert said.code == 0, said.out + said.err
    check(said.out)
    assert processes(str(tmp_path)) == []
    assert list(tmp_path.glob("lazarus-demo-*/missions/*/workspace/guide/INDEX.md"))
    tree, _ = cgroup.find_tree(f"test-{os.getpid()}")
    if tree is not None:
        left = [
            path.name for path in Path(tree.path).parent.iterdir() if tmp_path.name in path.name
        ]
        cgroup.remove_tree(tree)
        assert left == []


@pytest.mark.root
@pytest.mark.skipif(not ordinary_user.can_run(), reason="needs root, unshare and setpriv")
def test_an_ordinary_user_sees_the_same() -> None:
    source = _package()["PYTHONPATH"]
    done = ordinary_user.run(
        ["env", f"PYTHONPATH={source}", sys.executable, "-B", "-m", "lazarus_pit", "demo"], 110
    )
    assert done.returncode == 0, done.stdout + done.stderr
    check(done.stdout)


def _package() -> dict[str, str]:
    return {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
