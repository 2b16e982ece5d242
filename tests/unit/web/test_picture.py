"""The picture of the fleet: right at every moment, and read again only where something changed."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cells.view import AgentView
from lazarus_pit.core.model import CellStatus, Role
from lazarus_pit.formats.manifest import Manifest, Member
from lazarus_pit.formats.state import Health, State
from lazarus_pit.web import fleet
from lazarus_pit.web.picture import Picture
from lazarus_pit.web.watch import Watch

HOSTILE = '"heartbeat_age":null,\\"heartbeat_age":null'


class Pit:
    """A root with cells, and a picture of it that says which agents it has read."""

    def __init__(self, root: Path) -> None:
        self.paths = PitPaths(root)
        self.paths.private.mkdir(parents=True)
        self.read: list[str] = []
        self.watch = Watch(self.paths)
        self.picture = Picture(self.paths, self.need, self.watch)

    def need(self, agent: AgentView) -> str:
        self.read.append(agent.name)
        return ""

    def cell(self, *names: str, created_at: str = "") -> CellPaths:
        members = tuple(
            Member(name=name, role=Role.DEVELOPER, command=("sleep", "1")) for name in names
        )
        wanted = Manifest(
            uuid=provision.new_uuid(),
            status=CellStatus.ACTIVE,
            mission=HOSTILE,
            name=f"cell of {names[0]}",
            agents=members,
            created_at=created_at,
        )
        return provision.create_cell(self.paths.root, wanted, provision.agent_owner())

    def say(self, cell: CellPaths, agent: str, said: str, last_seen: float | None = None) -> None:
        health = Health(healthy=True, status=said, last_seen=last_seen)
        state = State(
            cell_uuid=cell.uuid, daemon_pid=1, last_poll=1.0, agent_health={agent: health}
        )
        store.write_state(cell, state, durable=False)

    def look(self) -> list[dict[str, Any]]:
        """Return the cells as a request sees them; ``read`` holds who was read for it."""
        self.read.clear()
        found: list[dict[str, Any]] = json.loads(self.picture.encoded(time.time())[0])
        return found

    def version(self) -> str:
        return self.picture.encoded(time.time())[1]


@pytest.fixture
def pit(tmp_path: Path) -> Iterator[Pit]:
    made = Pit(tmp_path / "missions")
    yield made
    made.watch.close()


def settle(paths: CellPaths, agent: str) -> None:
    """Let an inbox be one that nothing has come into for a while."""
    long_ago = time.time() - 60
    os.utime(paths.inbox(agent), (long_ago, long_ago))


def test_shows_what_a_whole_read_shows(pit: Pit) -> None:
    cells = [pit.cell("ant", "bee"), pit.cell("cat")]
    pit.say(cells[0], "bee", HOSTILE)
    cells[0].heartbeat("bee").write_text("{}")
    shown = pit.look()
    assert [cell["uuid"] for cell in shown] == [cell.uuid for cell in sorted(cells, key=shown_at)]
    ages = [agent.pop("heartbeat_age") for cell in shown for agent in cell["agents"]]
    assert sorted(age is None for age in ages) == [False, True, True]
    whole = [
        json.loads(msgspec.json.encode(fleet.look(pit.paths.cell(cell["uuid"]), lambda _: "")))
        for cell in shown
    ]
    for cell in whole:
        for agent in cell["agents"]:
            del agent["heartbeat_age"]
    assert shown == whole


def test_the_oldest_cell_comes_first(pit: Pit) -> None:
    years = ["2021", "2019", "2023", "2020", "2022"]
    for year in years:
        pit.cell(f"of-{year}", created_at=f"{year}-01-01T00:00:00Z")
    assert [cell["agents"][0]["name"] for cell in pit.look()] == [
        f"of-{year}" for year in sorted(years)
    ]


def shown_at(paths: CellPaths) -> tuple[str, str]:
    return (store.read_manifest(paths).created_at, paths.uuid)


def test_what_was_written_before_the_question_is_in_the_answer_and_nothing_else_is_read(
    pit: Pit,
) -> None:
    cells = [pit.cell("ant"), pit.cell("bee")]
    for cell, name in zip(cells, ("ant", "bee"), strict=True):
        settle(cell, name)
    pit.look()
    pit.look()
    assert pit.read == []
    pit.say(cells[0], "ant", "reading")
    assert "reading" in [cell["agents"][0]["status"] for cell in pit.look()]
    assert pit.read == ["ant"]
    (cells[1].inbox("bee") / "mail").write_text("{}")
    assert sorted(cell["agents"][0]["unread"] for cell in pit.look()) == [0, 1]
    assert set(pit.read) == {"bee"}


def test_mail_that_comes_at_the_very_instant_of_a_look_is_counted_at_the_next(pit: Pit) -> None:
    cell = pit.cell("ant")
    inbox = cell.inbox("ant")
    now = time.time() + 60  # As if the look took place before the clock of the files had gone on.
    os.utime(inbox, (now, now))
    assert pit.look()[0]["agents"][0]["unread"] == 0
    (inbox / "mail").write_text("{}")
    os.utime(inbox, (now, now))
    assert pit.look()[0]["agents"][0]["unread"] == 1


def test_a_beat_changes_the_age_and_not_the_version(pit: Pit) -> None:
    cell = pit.cell("ant")
    settle(cell, "ant")
    pit.say(cell, "ant", "at it", last_seen=time.time() - 1000)
    before = pit.version()
    assert 999 < pit.look()[0]["agents"][0]["heartbeat_age"] < 2000
    cell.heartbeat("ant").write_text("{}")
    assert pit.look()[0]["agents"][0]["heartbeat_age"] < 500
    pit.say(cell, "ant", "at it", last_seen=time.time())
    assert pit.look()[0]["agents"][0]["heartbeat_age"] < 500
    assert pit.picture.cells()[0].agents[0].heartbeat_age is not None
    assert pit.version() == before
    pit.say(cell, "ant", "at something else")
    assert pit.version() != before


def test_cells_come_and_go_also_by_hand(pit: Pit) -> None:
    assert pit.look() == []
    made = pit.cell("ant")
    assert [cell["uuid"] for cell in pit.look()] == [made.uuid]
    kept = made.manifest.rename(made.cell / "kept")
    assert pit.look() == []
    kept.rename(made.manifest)
    assert [cell["uuid"] for cell in pit.look()] == [made.uuid]
    made.cell.rename(pit.paths.root / "elsewhere")
    assert pit.look() == []
    assert pit.picture.news().gone == [made.uuid]


def test_the_stream_is_told_what_a_request_has_found(pit: Pit) -> None:
    cell = pit.cell("ant")
    settle(cell, "ant")
    assert [one.uuid for one in pit.picture.news().cells] == [cell.uuid]
    heard: list[int] = []
    pit.picture.found = lambda: heard.append(1)
    pit.say(cell, "ant", "reading")
    pit.look()
    assert heard
    news = pit.picture.news()
    assert [one.agents[0].status for one in news.cells] == ["reading"]
    assert cell.uuid in news.places
    assert pit.picture.news().cells == []


def test_where_the_kernel_does_not_watch_everything_is_read(pit: Pit) -> None:
    cell = pit.cell("ant")
    settle(cell, "ant")
    pit.look()
    pit.watch.is_blind = True
    pit.look()
    assert pit.read == ["ant"]
