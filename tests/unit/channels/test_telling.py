"""The journals are heard once each, from where they were left, and told to the forge."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from forge import REPO, TOKEN, Forge, serving
from lazarus_pit.cells.journal import append_events
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels.forge import Forge as Client
from lazarus_pit.channels.incidents import Settings
from lazarus_pit.channels.telling import PARTS, Part, Teller
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.records import carried
from lazarus_pit.records.database import opened_records

UUID = "0f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c11"
OTHER = "1f3c8d5e-2f64-4f0e-9d0a-6d2b7a3f1c12"


@pytest.fixture(name="forge")
def _forge() -> Iterator[Forge]:
    with serving() as forge:
        yield forge


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> PitPaths:
    pit = PitPaths(tmp_path)
    pit.private.mkdir()
    return pit


def write(pit: PitPaths, place: str, event: str, *, age: float = 0.0, **data: Any) -> None:
    path = pit.cell(place).events if place else pit.events
    path.parent.mkdir(parents=True, exist_ok=True)
    agent, cell = data.pop("agent", "timmy"), data.pop("cell", place or None)
    stamp = to_rfc3339(time.time() - age, 3)
    append_events(path, [Event(ts=stamp, event=event, cell=cell, agent=agent, data=data)])


def tell(pit: PitPaths, forge: Forge, *parts: Part) -> None:
    """Read and send once, as a process that has just begun."""

    async def once() -> None:
        async with Client(forge.url, REPO, TOKEN) as client:
            for part in parts or PARTS:
                teller = Teller(pit, client, Settings(), part)
                teller.take_in()
                assert await teller.send() == 0.0

    asyncio.run(once())


def test_each_death_is_told_once_and_what_is_long_past_is_not(pit: PitPaths, forge: Forge) -> None:
    write(pit, UUID, "agent_died", age=600.0, agent="long-gone")
    tell(pit, forge)
    assert forge.issues == []
    write(pit, UUID, "agent_died", reason="exited", exit="killed by SIGKILL", uptime=4.0)
    write(pit, "", "gateway_died", agent="far", dead_for=300.0)
    for _ in range(2):
        tell(pit, forge)
    assert sorted(one["title"] for one in forge.issues) == [
        "[pool] far: agent dead (300s)",
        "[pool] timmy: agent dead (0s)",
    ]
    write(pit, UUID, "agent_revived", source="heartbeat", took=0.5)
    write(pit, "", "gateway_recovered", agent="far", by="itself", dead_for=301.0)
    for _ in range(2):
        tell(pit, forge)
    assert {one["state"] for one in forge.issues} == {"closed"}
    assert sorted(len(forge.said[number]) for number in (1, 2)) == [1, 1]


def test_the_cells_and_the_gateways_may_have_tellers_of_their_own(
    pit: PitPaths, forge: Forge
) -> None:
    write(pit, UUID, "agent_died")
    write(pit, "", "gateway_died", agent="far")
    tell(pit, forge, "far")
    assert [one["title"] for one in forge.issues] == ["[pool] far: agent dead (0s)"]
    tell(pit, forge, "cells")
    assert len(forge.issues) == 2


def test_who_is_watched_no_more_has_no_open_issue(pit: PitPaths, forge: Forge) -> None:
    for uuid in (UUID, OTHER):
        write(pit, uuid, "agent_died")
    tell(pit, forge)
    shutil.rmtree(pit.cell(UUID).cell)
    write(pit, OTHER, "cell_archived", agent=None, by="ada")
    tell(pit, forge)
    assert [one["state"] for one in forge.issues] == ["closed", "closed"]
    said = sorted(text for number in (1, 2) for text in forge.texts(number))
    assert ("archived" in said[0], "destroyed" in said[1]) == (True, True)


def test_a_fork_brings_no_deaths_of_its_source(pit: PitPaths, forge: Forge) -> None:
    tell(pit, forge)
    write(pit, UUID, "agent_died", cell=OTHER)
    tell(pit, forge)
    assert forge.issues == []


def test_a_death_is_told_as_it_happens_and_an_outage_is_waited_out(
    pit: PitPaths, forge: Forge
) -> None:
    async def live() -> None:
        async with Client(forge.url, REPO, TOKEN) as client:
            teller = Teller(pit, client, Settings(), "cells")
            await asyncio.to_thread(teller.take_in)
            running = asyncio.create_task(teller.run())
            try:
                forge.trouble = lambda *_: 502
                write(pit, UUID, "agent_died")
                await asyncio.to_thread(forge.until, lambda: len(forge.asked) > 1)
                with opened_records(pit.records) as db:
                    assert "status 502" in carried.recall(db, "incidents-cells")["telling"]
                forge.trouble = lambda *_: None
                await asyncio.to_thread(forge.until, lambda: bool(forge.issues))
                write(pit, UUID, "agent_revived", source="heartbeat", took=0.5)
                await asyncio.to_thread(
                    forge.until, lambda: [one["state"] for one in forge.issues] == ["closed"]
                )
                with opened_records(pit.records) as db:
                    assert carried.recall(db, "incidents-cells")["telling"] == ""
            finally:
                running.cancel()
                await asyncio.wait([running])

    asyncio.run(live())
