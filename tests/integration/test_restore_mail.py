"""Mail at a restore: none is lost, none is delivered twice to who has not gone back in time."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import pytest

from integration import saving
from lazarus_pit.cells import provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.daemon.router import Desk, Router
from lazarus_pit.formats.envelope import parse_name
from lazarus_pit.formats.manifest import Kind, Manifest, Member

MEMBERS = {"ada": Role.COORDINATOR, "ben": Role.DEVELOPER}
Way = Literal["restore", "undo"]


class Bus:
    """A cell with a person, an agent and a router that runs all the while."""

    def __init__(self, root: Path) -> None:
        people = (
            Member(name="ada", role=Role.COORDINATOR, kind=Kind.HUMAN),
            Member(name="ben", role=Role.DEVELOPER),
        )
        wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE, agents=people)
        self.cell: CellPaths = provision.create_cell(root, wanted, provision.agent_owner())
        self.router = Router()

    def send(self, body: str, sender: str, to: str) -> None:
        said = {"id": f"mail-000{body}", "to": to, "body": body}
        (self.cell.outbox(sender) / f"{body}.json").write_text(json.dumps(said))

    def route(self) -> None:
        for sender in MEMBERS:
            desk = Desk(f"{self.cell.uuid}/{sender}", self.cell, sender, MEMBERS, {})
            while self.router.route([desk])[0].again is not None:
                pass
            self.router.sweep([desk])

    def read(self, name: str, *bodies: str) -> None:
        """Acknowledge these mails."""
        files = [
            f
            for f in os.listdir(self.cell.inbox(name))
            if parse_name(f).id.removeprefix("mail-000") in bodies
        ]
        (self.cell.outbox(name) / f"{bodies[0]}-ack-1.json").write_text(json.dumps({"ack": files}))

    def inbox(self, name: str) -> list[str]:
        return sorted(
            parse_name(file).id.removeprefix("mail-000")
            for file in os.listdir(self.cell.inbox(name))
        )


@pytest.mark.parametrize("way", ["restore", "undo"])
def test_a_restored_agent_gets_again_what_it_read_since(tmp_path: Path, way: Way) -> None:
    bus = Bus(tmp_path)
    for body in ("m1", "m2", "m3"):
        bus.send(body, "ada", "ben")
    bus.send("r1", "ben", "ada")
    bus.route()
    bus.read("ben", "m1")
    bus.route()
    bus.read("ben", "m2")  # Not yet heard when the cell is saved: it comes once more.
    saved = saving.save(bus.cell.cell)
    bus.route()
    bus.send("m4", "ada", "ben")
    bus.send("m5", "ada", "ben")
    bus.send("r2", "ben", "ada")
    bus.route()
    bus.read("ben", "m3", "m4")
    bus.read("ada", "r1")
    bus.route()
    assert bus.inbox("ben") == ["m5"]
    bus.send("m6", "ada", "ben")  # In flight: neither delivered nor known to the checkpoint.
    bus.read("ben", "m5")
    if way == "restore":
        done = saving.restore(bus.cell.cell, saved.archive, bus.cell.restoring)
        assert done.reopened == 3, "m2, m3 and m4: what was said of m5 nobody has heard"
    else:
        undone = saving.undo(bus.cell.cell, saved.archive)
        assert "3 mails read since wait in their inboxes again" in undone.notes
    bus.route()
    assert bus.inbox("ben") == ["m2", "m3", "m4", "m5", "m6"]
    assert bus.inbox("ada") == ["r2"], "a person remembers; what was sent stays sent, once"
    bus.read("ben", "m2", "m3", "m4", "m5", "m6")
    bus.route()
    assert bus.inbox("ben") == []


def test_mail_that_is_kept_nowhere_any_more_comes_out_of_the_checkpoint(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    bus.send("m1", "ada", "ben")
    bus.route()
    saved = saving.save(bus.cell.cell)
    (file,) = os.listdir(bus.cell.inbox("ben"))
    os.unlink(bus.cell.inbox("ben") / file)
    saving.restore(bus.cell.cell, saved.archive, bus.cell.restoring)
    assert bus.inbox("ben") == ["m1"]
    (bus.cell.inbox("ben") / file).unlink()
    undone = saving.undo(bus.cell.cell, saved.archive)
    assert "1 mails that waited then are kept no more" in undone.notes
