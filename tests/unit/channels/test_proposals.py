"""An approved proposal becomes one cell, whoever dies when, and its issue is told once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from forge import LOST, REPO, TOKEN, Forge, serving
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.listing import list_cells
from lazarus_pit.cells.provision import agent_owner
from lazarus_pit.channels.forge import Forge as Client
from lazarus_pit.channels.proposals import LABEL, Proposals
from lazarus_pit.errors import LazarusError

PAGE = Path(__file__).parents[3].joinpath("examples", "mission-proposal.md").read_text()


@pytest.fixture(name="forge")
def _forge() -> Iterator[Forge]:
    with serving() as forge:
        yield forge


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> PitPaths:
    return PitPaths(tmp_path / "root")


def look(pit: PitPaths, forge: Forge) -> bool:
    """Look once, as a process that has just begun; whether all went well."""

    async def once() -> bool:
        async with Client(forge.url, REPO, TOKEN) as client:
            try:
                await Proposals(pit, client, REPO, agent_owner()).look()
            except LazarusError:
                return False
            return True

    return asyncio.run(once())


def approve(forge: Forge, page: str = PAGE) -> int:
    return forge.open("[MISSION] Pond", page.replace("\n", "\r\n"), [forge.label(LABEL)])


def test_what_nobody_approved_is_left_alone(pit: PitPaths, forge: Forge) -> None:
    """Where the label does not exist, a Gitea returns every issue."""
    forge.open("[MISSION] Not approved", PAGE)
    assert look(pit, forge)
    assert list_cells(pit.root) == []


def test_an_approved_proposal_becomes_a_cell_once(pit: PitPaths, forge: Forge) -> None:
    forge.open("[MISSION] Not approved", PAGE)
    number = approve(forge)
    assert look(pit, forge)
    assert look(pit, forge)
    (cell,) = list_cells(pit.root)
    assert cell.manifest is not None
    assert (cell.manifest.name, cell.manifest.mission) == ("pond", "Pond")
    assert (cell.manifest.repo, cell.manifest.gitea_issue) == (REPO, number)
    (said,) = forge.texts(number)
    assert f"`{cell.manifest.uuid}`" in said


@pytest.mark.parametrize("how", [LOST, 503])
def test_no_death_makes_two_cells_or_two_comments(tmp_path: Path, how: int) -> None:
    for number in range(2):  # The list, and the comment.
        with serving() as forge:
            pit = PitPaths(tmp_path / str(number))
            issue = approve(forge)
            forge.trouble = lambda *_, f=forge, n=number: how if len(f.asked) == n + 1 else None
            look(pit, forge)
            assert look(pit, forge)
            assert len(list_cells(pit.root)) == 1
            assert len(forge.texts(issue)) == 1


def test_a_cell_that_was_begun_is_not_begun_again(pit: PitPaths, forge: Forge) -> None:
    """Killed after the cell appeared and before that was written down."""
    approve(forge)
    assert look(pit, forge)
    (cell,) = list_cells(pit.root)

    async def forget() -> None:
        async with Client(forge.url, REPO, TOKEN) as client:
            box = Proposals(pit, client, REPO, agent_owner()).outbox
            query = "UPDATE channel_notes SET value = replace(value, 'done', 'begun')"
            assert await box.keep(lambda db: db.execute(query).rowcount) == 1

    asyncio.run(forget())
    assert look(pit, forge)
    assert list_cells(pit.root) == [cell]


def test_an_unreadable_proposal_is_told_once_where_it_is_wrong(pit: PitPaths, forge: Forge) -> None:
    number = approve(forge, PAGE.replace("— developer", "— dictator"))
    for _ in range(2):
        assert look(pit, forge)
    (said,) = forge.texts(number)
    assert "Agents Invited, line " in said
    assert list_cells(pit.root) == []
    forge.issues[number - 1]["body"] = PAGE
    assert look(pit, forge)
    assert len(list_cells(pit.root)) == 1
