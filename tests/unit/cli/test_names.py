"""A name means one cell or agent, or is refused with the choices."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cli.names import find_agent, find_cell
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.errors import FormatError, UsageError
from lazarus_pit.formats.manifest import Manifest, Member


@pytest.fixture
def pit(tmp_path: Path) -> PitPaths:
    return PitPaths(tmp_path / "missions")


def cell(pit: PitPaths, name: str | None, *agents: str, uuid: str = "") -> CellPaths:
    members = tuple(Member(name=agent, role=Role.DEVELOPER) for agent in agents)
    wanted = Manifest(
        uuid=uuid or provision.new_uuid(), status=CellStatus.ACTIVE, name=name, agents=members
    )
    return provision.create_cell(pit.root, wanted, provision.agent_owner())


def test_a_cell_by_uuid_prefix_and_name(pit: PitPaths) -> None:
    made = cell(pit, "pond")
    for text in (made.uuid, made.uuid[:6], made.uuid[:6].upper(), "pond"):
        assert find_cell(pit, text).paths == made


def test_a_name_wins_over_the_beginning_of_a_uuid(pit: PitPaths) -> None:
    other = cell(pit, None, uuid="abc00000-0000-4000-8000-000000000000")
    named = cell(pit, "abc")
    assert find_cell(pit, "abc").paths == named
    assert find_cell(pit, "abc0").paths == other


def test_what_means_several_is_refused_with_the_choices(pit: PitPaths) -> None:
    cell(pit, "one", uuid="abc00000-0000-4000-8000-000000000000")
    cell(pit, "two", uuid="abc11111-0000-4000-8000-000000000000")
    with pytest.raises(UsageError, match=r"means 2 cells: .*one.*two"):
        find_cell(pit, "abc")


def test_an_archived_namesake_does_not_make_a_name_ambiguous(pit: PitPaths) -> None:
    old = cell(pit, "pond")
    store.update_manifest(old, lambda m: replace(m, status=CellStatus.ARCHIVED))
    assert find_cell(pit, "pond").paths == old
    new = cell(pit, "pond")
    assert find_cell(pit, "pond").paths == new


def test_an_unknown_name_is_refused_with_the_nearest(pit: PitPaths) -> None:
    with pytest.raises(UsageError, match="there is none"):
        find_cell(pit, "pond")
    cell(pit, "pond")
    with pytest.raises(UsageError, match=r"no cell 'pand' .* there is .*pond"):
        find_cell(pit, "pand")
    cell(pit, "lake", "ada", "scribe")
    with pytest.raises(UsageError, match=r"there is lake/scribe, lake/ada$"):
        find_agent(pit, "lake/scribbler")


def test_an_agent_by_path_and_alone(pit: PitPaths) -> None:
    pond = cell(pit, "pond", "scribe", "indexer")
    lake = cell(pit, "lake", "scribe")
    assert find_agent(pit, "pond/scribe")[0] == pond
    assert find_agent(pit, f"{lake.uuid[:8]}/scribe")[0] == lake
    assert find_agent(pit, "indexer")[::2] == (pond, "indexer")
    with pytest.raises(UsageError, match=r"in 2 cells: say .*/scribe"):
        find_agent(pit, "scribe")
    with pytest.raises(UsageError, match=r"no agent 'lake/indexer'.*lake/scribe"):
        find_agent(pit, "lake/indexer")
    with pytest.raises(UsageError, match=r"no agent 'scrib'.*scribe"):
        find_agent(pit, "scrib")


def test_a_cell_that_cannot_be_read_is_named_and_harms_no_other(pit: PitPaths) -> None:
    broken = cell(pit, "broken")
    cell(pit, "pond", "scribe")
    broken.manifest.write_text("{")
    assert find_agent(pit, "scribe").name == "scribe"
    with pytest.raises(FormatError, match=r"cell\.json"):
        find_cell(pit, broken.uuid[:8])


def test_hostile_names_are_shown_inert(pit: PitPaths) -> None:
    with pytest.raises(UsageError) as refused:
        find_agent(pit, "\x1b[2J")
    assert str(refused.value).isprintable()
