"""The daemon and the commands against all that an agent can leave for them to find.

Nothing outside changes, nothing hangs, nothing is read without a bound, and who behaves is served
on. The agents are real and within real walls; what they plant is in ``hostile``.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration import hostile
from integration.pit import Pit, processes
from integration.typing_it import Typist
from launching import AGENT_UID
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.remove import remove_tree
from lazarus_pit.core.model import CellStatus, Role

KINDS = ("fifo", "link", "zero", "directory", "huge", "second", "brackets", "bytes", "number")
HIDDEN = "hunter2 of the outside"


class Scene:
    """A daemon, an outside that any walls must keep out, and what was there before."""

    def __init__(self, base: Path) -> None:
        base.chmod(0o755)
        self.outside = base / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text(HIDDEN)
        stolen = {"id": "stolen-000000", "to": "bob", "body": HIDDEN, "status": HIDDEN}
        for name in ("mail.json", "beat.json"):
            (self.outside / name).write_text(json.dumps(stolen))
        (self.outside / "sub").mkdir()
        (self.outside / "sub" / "file").write_text("x")
        if os.geteuid() == 0:
            for path in (self.outside, *self.outside.rglob("*")):
                os.chown(path, AGENT_UID, AGENT_UID)
        self.before = self.outsides_print()
        self.pit = Pit(base, liveness="process")
        self.type = Typist(self.pit.root, self.pit.config)

    def outsides_print(self) -> list[tuple[Any, ...]]:
        """All about the outside that could change but times of access."""
        prints: list[tuple[Any, ...]] = []
        for path in (self.outside, *sorted(self.outside.rglob("*"))):
            found = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(found.st_mode) else b""
            owner = (found.st_uid, found.st_gid)
            prints.append(
                (str(path), found.st_mode, owner, found.st_nlink, found.st_mtime, content)
            )
        return prints

    def spawn(self, cell: CellPaths, name: str, program: str, *words: str, **fields: Any) -> None:
        self.pit.spawn(cell, name, "python3", "-c", program, *words, **fields)

    def check(self) -> None:
        """The outside is as it was, and the daemon serves somebody new."""
        assert self.outsides_print() == self.before
        cell = self.pit.cell()
        self.pit.spawn(cell, "new", "sleep", "600")
        self.pit.wait_event(cell, "agent_ready", "new")

    def destroy(self, cell: CellPaths) -> None:
        """Take a cell to pieces by the commands, as people do."""
        assert self.type("cell", "archive", cell.uuid).code == 0
        said = self.type("cell", "destroy", cell.uuid)
        if token := re.search(r"--token (\S+)$", said.err.strip()):  # For what is no real work.
            said = self.type("cell", "destroy", cell.uuid, "--token", token[1])
        assert said.code == 0, said
        assert not cell.cell.exists()


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    scene.pit.start()
    try:
        yield scene
        scene.pit.close()
    finally:
        remove_tree(scene.pit.root)  # Nobody else can: it is too deep for most.


def test_what_is_planted_everywhere_harms_nothing(scene: Scene) -> None:
    cell = scene.pit.cell(name="pond", limits={"disk_mb": 500})
    plant = (hostile.PLANT, str(scene.outside), str(scene.pit.root))
    scene.spawn(cell, "ann", *plant)
    scene.pit.wait((cell.workspace / "planted").exists, "everything is planted")
    scene.spawn(cell, "rev", *plant, role=Role.REVIEWER)
    scene.pit.wait((cell.reviews / "planted").exists, "the reviews are planted too")
    scene.pit.wait(lambda: " used" in measured(scene.pit, cell), "the disk is measured")
    if os.geteuid() == 0:
        for name, kind in (("null", stat.S_IFCHR), ("disk", stat.S_IFBLK)):
            os.mknod(cell.workspace / name, kind | 0o666, os.makedev(1, 3))
    assert scene.type("checkpoint", "pond").code == 0
    assert scene.type("verify", "pond").code == 0
    archive = next(cell.checkpoints.glob("*.tar.gz"))
    with tarfile.open(archive) as tar:
        kinds = {member.type for member in tar}
    assert kinds <= {tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE}
    assert archive.stat().st_size < 8 << 20
    for words in (("status",), ("cell", "show", "pond"), ("why", "pond/ann"), ("logs", "pond/ann")):
        assert scene.type(*words).code == 0
    for mine in ("ran",):
        assert mine not in scene.pit.log.read_text()
    scene.pit.kill9()
    scene.pit.start()
    scene.pit.wait_event(cell, "agent_adopted", "ann")
    assert scene.type("revive", "pond/ann").code == 0
    scene.check()
    scene.destroy(cell)
    assert scene.outsides_print() == scene.before


def measured(pit: Pit, cell: CellPaths) -> str:
    health = pit.health(cell).get("ann")
    return health.limits.get("cell disk_mb", "") if health else ""


def test_mail_and_beats_that_turn_into_links_are_never_read_through(scene: Scene) -> None:
    cell = scene.pit.cell(name="pond")
    scene.pit.spawn(cell, "bob", "sleep", "600")
    scene.spawn(cell, "ann", hostile.RACE, str(scene.outside), rules={"liveness": "heartbeat"})
    scene.pit.wait(lambda: len(list(cell.inbox("bob").rglob("*.json"))) >= 100, "mail for bob")
    scene.pit.wait_event(cell, "heartbeat", "ann")
    assert scene.type("checkpoint", "pond").code == 0
    for path in cell.cell.rglob("*"):
        if path.suffix in (".json", ".jsonl", ".log") and path.is_file() and not path.is_symlink():
            assert HIDDEN not in path.read_text(errors="replace"), path
    scene.check()
    scene.destroy(cell)
    assert scene.outsides_print() == scene.before


def test_a_heartbeat_that_is_none_is_never_waited_for(scene: Scene) -> None:
    cell = scene.pit.cell(name="pond")
    for kind in KINDS:
        scene.spawn(cell, kind, hostile.BEAT, kind, str(scene.outside))
    for kind in KINDS:
        event = scene.pit.wait_event(cell, "heartbeat_unreadable", kind)
        assert HIDDEN not in json.dumps(event.data)
    scene.pit.wait(lambda: scene.pit.health(cell), "its state")
    assert HIDDEN not in cell.events.read_text() + cell.state.read_text()
    assert scene.type("status").code == 0
    assert scene.type("checkpoint", "pond").code == 0
    scene.check()
    scene.destroy(cell)
    assert scene.outsides_print() == scene.before


def test_a_directory_that_is_a_link_in_between_leads_nowhere(scene: Scene) -> None:
    cell = scene.pit.cell(name="pond", limits={"disk_mb": 500})
    for name in ("ann", "bob"):
        scene.spawn(cell, name, hostile.FLIP, str(scene.outside))
    scene.pit.wait((cell.workspace / "flipping").exists, "it flips")
    for _ in range(4):
        assert scene.type("checkpoint", "pond").code in (0, 75)
    for archive in cell.checkpoints.glob("*.tar.gz"):
        with tarfile.open(archive) as tar:
            names = tar.getnames()
        assert not [name for name in names if name.endswith(("secret", "sub", "sub/file"))]
    scene.check()
    # Taken to pieces while it flips: by hand, as after a daemon that lost sight of it.
    scene.destroy(cell)
    assert scene.outsides_print() == scene.before


def test_what_an_agent_says_is_harmless_where_it_is_shown(scene: Scene) -> None:
    cell = scene.pit.cell(name="pond")
    scene.spawn(cell, "ann", hostile.SHOUT)
    scene.pit.wait_event(cell, "heartbeat", "ann")
    scene.pit.wait(lambda: "forged" in cell.log("ann").read_text(errors="replace"), "the log")
    for words in (
        ("logs", "pond/ann"),
        ("logs", "pond/ann", "--json"),
        ("events", "pond"),
        ("events", "pond", "--json"),
        ("status",),
        ("status", "--json"),
        ("cell", "show", "pond"),
        ("why", "pond/ann"),
    ):
        said = scene.type(*words)
        assert said.code == 0, words
        assert said.out, words
        obeyed = [c for c in said.out if (ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160]
        assert obeyed == [], words
        assert "\u202e" not in said.out, words
        assert "\n forged line" not in said.out, words
        assert max(map(len, said.out.splitlines())) < 140_000, words
    log = scene.pit.log.read_text()
    assert "\x1b" not in log
    assert "\u202e" not in log
    scene.check()


def test_a_log_that_is_something_else_is_not_written(scene: Scene) -> None:
    cell = scene.pit.cell()
    cell.log("ann").symlink_to(scene.outside / "secret")
    os.mkfifo(cell.log("bob"))
    for name in ("ann", "bob"):
        scene.pit.spawn(cell, name, "sh", "-c", "echo overwritten; sleep 600")
    scene.pit.wait(
        lambda: (
            {
                e.agent
                for e in scene.pit.events(cell)
                if e.event in ("agent_start_failed", "agent_ready")
            }
            == {"ann", "bob"}
        ),
        "both are answered",
    )
    scene.check()


def test_agents_and_cells_cannot_harm_each_other(scene: Scene) -> None:
    victims, other = scene.pit.cell(name="pond"), scene.pit.cell(name="lake")
    silent = {"liveness": "heartbeat", "resurrect_after": 600, "heartbeat_stale_threshold": 300}
    for cell in (victims, other):
        scene.pit.spawn(
            cell, "bob", "sh", "-c", "lazarus beat --status own; sleep 600", rules=silent
        )
        scene.pit.wait_event(cell, "agent_ready", "bob")
        scene.pit.wait(lambda: scene.pit.health(cell).get("bob"), "its state")  # noqa: B023
    pid = scene.pit.health(victims)["bob"].pid
    assert pid is not None
    for cell, further in ((victims, other), (other, victims)):
        words = (str(scene.pit.root), str(pid), cell.uuid, further.uuid)
        scene.spawn(cell, "eve", hostile.ATTACK, *words, rules={"liveness": "heartbeat"})
    for cell in (victims, other):
        scene.pit.wait((cell.workspace / "attacked").exists, "the attack is over")
        assert json.loads((cell.workspace / "attacked").read_text()) == []
        scene.pit.wait_event(cell, "agent_ready", "eve")
        health = scene.pit.health(cell)
        assert (health["bob"].generation, health["bob"].status) == (1, "own")
        assert not scene.pit.events(cell, "agent_died")
        assert not list(cell.inbox("bob").rglob("*.json"))  # Lies go back to eve alone.
        assert json.loads(cell.manifest.read_text())["status"] == CellStatus.ACTIVE
    assert pid in processes(victims.uuid)
    scene.check()
