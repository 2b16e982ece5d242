"""What the daemon makes of a manifest that a person has misspelt."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lazarus_pit.cells import provision
from lazarus_pit.core.events import Enlisted, Told
from lazarus_pit.core.model import CellStatus, Role, Rules
from lazarus_pit.daemon.roster import Roster
from lazarus_pit.formats.manifest import Manifest, Member

if TYPE_CHECKING:
    from pathlib import Path


def test_a_misspelt_rule_is_told_once_and_the_others_hold(tmp_path: Path) -> None:
    member = Member(
        name="timmy",
        role=Role.DEVELOPER,
        command=("true",),
        rules={"resurect_after": 9, "kill_grace": 7},
    )
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE, agents=(member,))
    cell = provision.create_cell(tmp_path, wanted, provision.agent_owner())
    told: list[Told] = []
    roster = Roster(tmp_path, Rules(), told.append)
    ((key, fact),) = roster.read(cell.uuid)
    assert key == f"{cell.uuid}/timmy"
    assert isinstance(fact, Enlisted)
    assert (fact.rules.kill_grace, fact.rules.resurrect_after) == (7, 120)
    assert roster.read(cell.uuid) == []
    (line,) = told
    assert (line.event, line.data) == ("rules_unknown", {"names": ["timmy: rules.resurect_after"]})
