"""The life of a cell on the disk: contract rows 1.2, 1.6, 1.9, 1.10, 2.4 and 2.7."""

from __future__ import annotations

import json
import os
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from lazarus_pit.cells import journal, listing, provision, store
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.errors import FormatError, RefusedError, StoreError
from lazarus_pit.formats.manifest import Kind, Manifest, Member

if TYPE_CHECKING:
    from pathlib import Path

OWNER = provision.agent_owner()
TIMMY = Member(name="timmy", role=Role.DEVELOPER, command=("true",))


def create(root: Path, **fields: Any) -> CellPaths:
    wanted = Manifest(
        uuid=provision.new_uuid(), status=CellStatus.ACTIVE, mission="Write", created_by="ann"
    )
    return provision.create_cell(root, replace(wanted, **fields), OWNER)


def told(cell: CellPaths) -> list[str]:
    return [line.event.event for line in journal.read_events(cell.events) if line.event]


def test_a_cell_is_born_whole_1_2_1_6(tmp_path: Path) -> None:
    cell = create(tmp_path, agents=(TIMMY,))
    for path in (cell.workspace, cell.checkpoints, cell.inbox("timmy"), cell.outbox("timmy")):
        assert path.is_dir()
    assert told(cell) == ["cell_created", "agent_joined"]
    first, second = (json.loads(line) for line in cell.events.read_text().splitlines())
    assert (first["by"], first["uuid"]) == ("ann", cell.uuid)
    assert (second["agent"], second["role"]) == ("timmy", "developer")
    assert store.read_manifest(cell).agents[0].joined_at.endswith("Z")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([".lazarus-pit", cell.uuid])
    assert list((tmp_path / ".lazarus-pit" / "new").iterdir()) == []


def test_a_cell_is_not_born_twice(tmp_path: Path) -> None:
    cell = create(tmp_path)
    before = cell.manifest.read_bytes()
    with pytest.raises(RefusedError, match="there is such a cell already"):
        provision.create_cell(tmp_path, Manifest(uuid=cell.uuid, status=CellStatus.ACTIVE), OWNER)
    assert cell.manifest.read_bytes() == before


def test_a_birth_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be created"):
        create(tmp_path / "file")
    with pytest.raises(FormatError):
        create(tmp_path, agents=(TIMMY, TIMMY))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="gives directories to another user")
def test_under_root_the_agents_own_four_places_and_no_more_1_10(tmp_path: Path) -> None:
    cell = create(tmp_path, agents=(TIMMY,))
    theirs = {
        path.relative_to(cell.cell).as_posix()
        for path in cell.cell.rglob("*")
        if path.stat().st_uid == provision.AGENT_ID
    }
    assert theirs == {
        "workspace",
        "bus/outbox/timmy",
        ".lazarus/home/timmy",
        ".lazarus/run/timmy/hb",
    }


def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        cell = create(tmp_path, agents=(TIMMY,))
    finally:
        os.umask(old)
    modes = {
        cell.cell: 0o755,
        cell.manifest: 0o644,
        cell.workspace: 0o770,
        cell.published("timmy"): 0o755,
        cell.beats("timmy"): 0o700,
        cell.home("timmy"): 0o700,
        cell.statuses("timmy"): 0o700,
        cell.checkpoints: 0o700,
    }
    assert {path: path.stat().st_mode & 0o777 for path in modes} == modes


def test_members_join_and_leave_1_6(tmp_path: Path) -> None:
    cell = create(tmp_path)
    provision.add_member(cell, TIMMY, OWNER)
    human = Member(name="ann", role=Role.COORDINATOR, kind=Kind.HUMAN)
    provision.add_member(cell, human, OWNER)
    assert cell.inbox("ann").is_dir()
    assert not cell.home("ann").exists()
    with pytest.raises(RefusedError, match="timmy is a member already"):
        provision.add_member(cell, TIMMY, OWNER)
    provision.remove_member(cell, "timmy")
    with pytest.raises(RefusedError, match="there is no member timmy"):
        provision.remove_member(cell, "timmy")
    assert [member.name for member in store.read_manifest(cell).agents] == ["ann"]
    assert cell.home("timmy").is_dir()
    assert told(cell) == ["cell_created", "agent_joined", "agent_joined", "agent_left"]


def test_what_stands_in_a_members_place_is_not_given_away(tmp_path: Path) -> None:
    cell = create(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    cell.home("timmy").symlink_to(outside)
    before = outside.stat()
    provision.add_member(cell, TIMMY, OWNER)
    assert (outside.stat().st_uid, outside.stat().st_mode) == (before.st_uid, before.st_mode)


ALLOWED = {
    ("active", "frozen"): "cell_frozen",
    ("active", "archived"): "cell_archived",
    ("frozen", "active"): "cell_thawed",
    ("frozen", "archived"): "cell_archived",
    ("archived", "destroyed"): "cell_destroyed",
}


@pytest.mark.parametrize(("old", "new"), list(product(CellStatus, CellStatus)))
def test_only_the_tables_transitions_1_9(tmp_path: Path, old: CellStatus, new: CellStatus) -> None:
    cell = create(tmp_path, status=old)
    if (old, new) in ALLOWED:
        assert provision.move_cell(cell, new, by="ann").status is new
        assert told(cell)[-1] == ALLOWED[old, new]
    else:
        why = "already" if old is new else f"and cannot become {new}, only"
        with pytest.raises(RefusedError, match=f"is {old} {why}"):
            provision.move_cell(cell, new)
        assert store.read_manifest(cell).status is old
        assert told(cell) == ["cell_created"]


def test_nobody_joins_what_has_ended(tmp_path: Path) -> None:
    cell = create(tmp_path)
    provision.move_cell(cell, CellStatus.ARCHIVED)
    said = "is archived: nothing in it changes any more"
    with pytest.raises(RefusedError, match=said):
        provision.add_member(cell, TIMMY, OWNER)
    with pytest.raises(RefusedError, match=said):
        provision.remove_member(cell, "timmy")
    assert not cell.run("timmy").exists()


def test_only_an_archived_cell_is_destroyed_unless_forced_1_9(tmp_path: Path) -> None:
    cell = create(tmp_path)
    with pytest.raises(RefusedError, match="is active and cannot become destroyed"):
        provision.destroy_cell(cell)
    assert cell.workspace.is_dir()
    provision.destroy_cell(cell, force=True)
    assert not cell.cell.exists()
    other = create(tmp_path)
    provision.move_cell(other, CellStatus.ARCHIVED)
    provision.destroy_cell(other)
    assert not other.cell.exists()


def test_a_destruction_that_was_cut_short_is_finished(tmp_path: Path) -> None:
    cell = create(tmp_path, status=CellStatus.DESTROYED)
    provision.destroy_cell(cell)
    assert not cell.cell.exists()


def test_destroying_changes_nothing_in_any_home_1_10(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter").write_text("dear")
    before = {path: path.stat() for path in (home, home / "letter")}
    member = Member(name="timmy", role=Role.DEVELOPER, home=str(home))
    cell = create(tmp_path / "root", agents=(member,))
    (cell.workspace / "link").symlink_to(home)
    (cell.home("timmy") / "link").symlink_to(home / "letter")
    provision.destroy_cell(cell, force=True)
    for path, stat in before.items():
        now = path.stat()
        assert (now.st_mtime_ns, now.st_ctime_ns, now.st_mode) == (
            stat.st_mtime_ns,
            stat.st_ctime_ns,
            stat.st_mode,
        )


def test_every_cell_is_listed_and_others_are_passed_over_2_4_2_7(tmp_path: Path) -> None:
    root = tmp_path / "root"
    assert listing.list_cells(root) == []
    cells = [create(root, status=status) for status in CellStatus]
    broken = create(root)
    broken.manifest.write_bytes(b"{")
    (root / "lost+found").mkdir()
    (root / provision.new_uuid()).mkdir()  # No cell.json.
    (root / "file").touch()
    found = {listed.paths.uuid: listed for listed in listing.list_cells(root)}
    assert set(found) == {cell.uuid for cell in [*cells, broken]}
    assert list(found) == sorted(found)
    assert found[broken.uuid].manifest is None
    assert "cell.json: manifest: " in found[broken.uuid].problem
    with pytest.raises(StoreError, match="cannot be listed"):
        listing.list_cells(root / "file")


@pytest.mark.timeout(10)
def test_a_hostile_manifest_is_listed_as_unreadable(tmp_path: Path) -> None:
    cells = [create(tmp_path) for _ in range(3)]
    for cell in cells:
        cell.manifest.unlink()
    os.mkfifo(cells[0].manifest)
    cells[1].manifest.symlink_to("/etc/passwd")
    cells[2].manifest.touch()
    os.truncate(cells[2].manifest, 1024**3)
    problems = {listed.paths.uuid: listed.problem for listed in listing.list_cells(tmp_path)}
    assert "a FIFO" in problems[cells[0].uuid]
    assert "a symbolic link" in problems[cells[1].uuid]
    assert "1073741824 bytes" in problems[cells[2].uuid]


def test_a_misspelt_rule_is_found_for_a_warning() -> None:
    member = Member(name="timmy", role=Role.DEVELOPER, rules={"resurect_after": 1, "restart": "x"})
    wanted = Manifest(
        uuid=provision.new_uuid(), status=CellStatus.ACTIVE, agents=(member,), rules={"cool": 1}
    )
    assert listing.odd_rules(wanted) == ["rules.cool", "timmy: rules.resurect_after"]
