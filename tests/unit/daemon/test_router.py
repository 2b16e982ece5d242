"""The router on real directories, taken up at each step at which a forerunner may have died."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lazarus_pit.cells import mailbox, provision
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.daemon import router
from lazarus_pit.daemon.router import Desk, Router
from lazarus_pit.formats.envelope import parse_name
from lazarus_pit.formats.manifest import Kind, Manifest, Member

MEMBERS = {"ada": Role.COORDINATOR, "ben": Role.DEVELOPER, "cat": Role.REVIEWER}


@pytest.fixture
def cell(tmp_path: Path) -> CellPaths:
    people = tuple(Member(name=n, role=r, kind=Kind.HUMAN) for n, r in MEMBERS.items())
    wanted = Manifest(uuid=provision.new_uuid(), status=CellStatus.ACTIVE, agents=people)
    return provision.create_cell(tmp_path, wanted, provision.agent_owner())


def desk(cell: CellPaths, sender: str = "ada", **lives: int) -> Desk:
    return Desk(f"{cell.uuid}/{sender}", cell, sender, MEMBERS, lives)


def drop(cell: CellPaths, number: int, to: str = "ben", sender: str = "ada") -> None:
    said = {"id": f"mail-{number:04}", "to": to, "body": str(number)}
    (cell.outbox(sender) / f"{number:04}.json").write_text(json.dumps(said))


def bodies(folder: Path) -> list[str]:
    return [json.loads((folder / name).read_bytes())["body"] for name in sorted(os.listdir(folder))]


def route_all(cell: CellPaths, one: Router) -> None:
    while one.route([desk(cell)])[0].again is not None:
        pass


def died_before_anything(cell: CellPaths, whole: list[Path]) -> None:
    for path in whole:
        path.unlink()


def died_while_writing(cell: CellPaths, whole: list[Path]) -> None:
    for path in whole:
        torn = path.with_name(f".{path.name}")
        path.rename(torn)
        torn.write_bytes(torn.read_bytes()[:10])


def died_among_renames(cell: CellPaths, whole: list[Path]) -> None:
    died_while_writing(cell, whole[1:])


def died_before_removal(cell: CellPaths, whole: list[Path]) -> None:
    """Everything is delivered, and still lies in the outbox."""


def died_after_the_reader_was_done(cell: CellPaths, whole: list[Path]) -> None:
    mailbox.Box(cell, "ben").acknowledge([path.name for path in whole])


@pytest.mark.parametrize(
    "died",
    [
        died_before_anything,
        died_while_writing,
        died_among_renames,
        died_before_removal,
        died_after_the_reader_was_done,
    ],
)
def test_a_new_router_neither_loses_nor_doubles(
    cell: CellPaths, died: Callable[[CellPaths, list[Path]], None]
) -> None:
    for number in range(3):
        drop(cell, number, to="*")
    route_all(cell, Router())
    assert not os.listdir(cell.outbox("ada"))
    died(cell, sorted(cell.inbox("ben").iterdir()))
    for number in range(5):  # What lay in the outbox then, and what has come since.
        drop(cell, number, to="*")
    route_all(cell, Router())
    done = bodies(cell.done("ben")) if cell.done("ben").exists() else []
    assert done + bodies(cell.inbox("ben")) == ["0", "1", "2", "3", "4"]
    assert bodies(cell.inbox("cat")) == ["0", "1", "2", "3", "4"]
    assert not os.listdir(cell.outbox("ada"))


def test_a_slice_is_a_bound_and_the_rest_follows_in_order(cell: CellPaths) -> None:
    for number in range(router.SLICE + 5):
        drop(cell, number)
    one = Router()
    first = one.route([desk(cell)])[0]
    assert (first.delivered, first.again) == (router.SLICE, 0.0)
    route_all(cell, one)
    assert bodies(cell.inbox("ben")) == [str(number) for number in range(router.SLICE + 5)]


def test_one_broken_cell_holds_up_no_other(cell: CellPaths, tmp_path: Path) -> None:
    gone = CellPaths(tmp_path, provision.new_uuid())
    drop(cell, 1)
    broken, good = Router().route([desk(gone), desk(cell)])
    assert broken.again == router.PATIENCE
    assert good.delivered == 1
    assert not gone.cell.exists()


def test_lives_that_end_without_a_word_bury_a_mail(cell: CellPaths) -> None:
    drop(cell, 1)
    one = Router()
    one.route([desk(cell, ben=3)])
    assert one.sweep([desk(cell, "ben", ben=2 + router.LIVES)])[0].dead == []
    ((sort, _),) = one.sweep([desk(cell, "ben", ben=3 + router.LIVES)])[0].dead
    assert sort == "unacknowledged"
    assert parse_name(os.listdir(cell.dead("ben"))[0]).id == "mail-0001"
    assert "never read it" in bodies(cell.inbox("ada"))[0]
    assert not os.listdir(cell.inbox("ben"))
