"""Cells with a user each under a root daemon: what the kernel counts by user is not shared."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from integration.pit import Pit
from integration.typing_it import Typist
from launching import AGENT_UID
from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.remove import remove_tree
from lazarus_pit.cells.usage import walk
from lazarus_pit.core.model import Role

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: others have one user"),
]
PROCESS = {"liveness": "process"}
TELL = """
id -u; id -g
for file in workspace/made "$HOME/made" "$LAZARUS_OUTBOX/made"; do
    # By its descriptor: what lies in an outbox may have been carried away by then.
    cd "$LAZARUS_CELL" && { echo x >&3; stat -L -c %u /proc/self/fd/3; } 3>"$file"
done
lazarus beat --status fine && echo beaten
exec sleep 600
"""
DEEP = """python3 -c 'import os
for _ in range(1500): os.mkdir("d"); os.chdir("d")'
"""
TAKE = """
import ctypes, sys, time
libc = ctypes.CDLL(None)
most = int(sys.argv[1])
print("took", sum(libc.inotify_init() >= 0 for _ in range(most)), flush=True)
time.sleep(600)
"""


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    pit = Pit(tmp_path)
    with pit.config.open("a") as file:
        file.write("[isolation]\nusers = 3\n")
    pit.owner = provision.agent_owner(users=3)
    pit.start()
    yield pit
    pit.close()
    remove_tree(pit.root)  # Too deep for most.


def user_of(pit: Pit, cell: CellPaths, name: str) -> int:
    """Whom a life runs as, as the host sees it."""
    pit.wait_event(cell, "agent_ready", name)
    pid = pit.wait(lambda: (seen := pit.health(cell).get(name)) and seen.pid, "its pid")
    return os.stat(f"/proc/{pid}").st_uid


def said(pit: Pit, cell: CellPaths, name: str, word: str) -> str:
    pit.wait_event(cell, "agent_started", name)
    pit.wait(lambda: word in cell.log(name).read_text(), word)
    return cell.log(name).read_text()


def test_each_cell_has_a_user_of_its_own_and_sees_the_same(pit: Pit) -> None:
    cells = [pit.cell() for _ in range(4)]
    for cell in cells:
        pit.spawn(cell, "ann", "sh", "-c", TELL, rules=PROCESS)
    users = [user_of(pit, cell, "ann") for cell in cells]
    assert users == [AGENT_UID, AGENT_UID + 1, AGENT_UID + 2, AGENT_UID]  # The last one shares.
    for cell, uid in zip(cells, users, strict=True):
        words = said(pit, cell, "ann", "beaten").split()
        assert words == [str(AGENT_UID)] * 5 + ["beaten"]
        assert (cell.workspace / "made").stat().st_uid == uid
        pit.wait_event(cell, "heartbeat", "ann")
    pit.kill9()
    pit.start()
    for cell in cells:
        pit.wait_event(cell, "agent_adopted", "ann")
    pit.spawn(cells[1], "rev", "sh", "-c", "echo x >reviews/x; sleep 600", role=Role.REVIEWER)
    pit.wait((cells[1].reviews / "x").exists, "a review")
    assert (cells[1].reviews / "x").stat().st_uid == AGENT_UID + 1


def test_what_one_cell_uses_up_is_there_for_another(pit: Pit) -> None:
    most = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    if most > 10_000:
        pytest.skip(f"{most} instances of inotify are too many to take")
    greedy, other = pit.cell(), pit.cell()
    pit.spawn(greedy, "ann", "python3", "-c", TAKE, str(most + 10), rules=PROCESS)
    said(pit, greedy, "ann", "took")
    for cell in (greedy, other):
        pit.spawn(cell, "bob", "python3", "-c", TAKE, "1", rules=PROCESS)
    assert "took 0" in said(pit, greedy, "bob", "took"), "they count by user no more"
    assert "took 1" in said(pit, other, "bob", "took")


def test_a_forked_cell_has_a_user_of_its_own_and_all_its_work(pit: Pit) -> None:
    cell = pit.cell(name="pond")
    pit.spawn(cell, "ann", "sh", "-c", f"{DEEP} ln -sf / link; {TELL}", rules=PROCESS)
    said(pit, cell, "ann", "beaten")
    type_ = Typist(pit.root, pit.config)
    assert type_("checkpoint", "pond").code == 0
    uuid = type_("fork", "pond", "--name", "lake", "--start").out.split()[0]
    lake = CellPaths(pit.root, uuid)
    assert user_of(pit, lake, "ann") == AGENT_UID + 1
    assert "beaten" in said(pit, lake, "ann", "beaten")
    for top in (lake.workspace, lake.home("ann"), lake.outbox("ann")):
        for entry in walk(top):
            assert entry.found.st_uid == AGENT_UID + 1, entry
    assert os.stat("/").st_uid == 0
    assert type_("shell", "lake", "--command", "echo x >visited").code == 0
    assert (lake.workspace / "visited").stat().st_uid == AGENT_UID + 1
    assert type_("restore", "pond").code == 0
    assert cell.workspace.stat().st_uid == AGENT_UID
