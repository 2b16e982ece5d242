"""A cell, its agents, and a clerk who is killed and replaced at will."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.model import CellStatus, Key, Role
from lazarus_pit.daemon.clerk import Clerk
from lazarus_pit.daemon.router import Answer, Desk, Router
from lazarus_pit.formats.envelope import Envelope
from lazarus_pit.formats.manifest import Manifest, Member

ROLES = {
    "ada": Role.COORDINATOR,
    "ben": Role.DEVELOPER,
    "cat": Role.REVIEWER,
    "obs": Role.OBSERVER,
}


class Office:
    """A cell, its agents, and a clerk who is killed and replaced at will."""

    def __init__(self, root: Path) -> None:
        members = tuple(Member(name=n, role=r, command=("true",)) for n, r in ROLES.items())
        wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE, agents=members)
        self.cell = provision.create_cell(root, wanted, provision.agent_owner())
        self.pit = PitPaths(root)
        self.agents: dict[Key, Agent] = {
            f"{self.cell.uuid}/{name}": Agent(key=f"{self.cell.uuid}/{name}") for name in ROLES
        }
        self.saves: list[tuple[str, Callable[[str], None]]] = []
        self.restart()

    def restart(self) -> None:
        self.clerk = Clerk(
            self.pit, self.agents, lambda _, note, told: self.saves.append((note, told))
        )
        self.router = Router(self.clerk.answer)

    def desk(self, sender: str) -> Desk:
        members = {member.name: member.role for member in self.manifest.agents}
        lives = dict.fromkeys(ROLES, 3)
        return Desk(f"{self.cell.uuid}/{sender}", self.cell, sender, members, lives)

    def ask(
        self, subject: str, sender: str = "ada", mail_id: str = "mail-0001", **more: Any
    ) -> Answer | None:
        said = Envelope(id=mail_id, to="pit", subject=subject, **more)
        return self.clerk.answer(self.desk(sender), said)

    def drop(self, subject: str, sender: str = "ada", **more: Any) -> None:
        said = {"id": "mail-0001", "to": "pit", "subject": subject} | more
        (self.cell.outbox(sender) / "1.json").write_text(json.dumps(said))

    def inbox(self, name: str) -> list[dict[str, Any]]:
        folder = self.cell.inbox(name)
        return [json.loads((folder / file).read_bytes()) for file in sorted(os.listdir(folder))]

    @property
    def manifest(self) -> Manifest:
        return store.read_manifest(self.cell)

    def member(self, name: str) -> Member:
        found = self.manifest.member(name)
        assert found is not None
        return found
