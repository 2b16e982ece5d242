"""The stream of a real pit: a killed agent is seen to die and to come back."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from integration.pit import Pit
from integration.website import agents_of, website
from lazarus_pit.cells.layout import PitPaths


class Frame(NamedTuple):
    id: str
    event: str
    data: dict[str, Any]


def frames(answer: httpx2.Response) -> Iterator[Frame]:
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        fields[name] = value
        if not line:
            if "event" in fields:
                yield Frame(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}


def test_an_agent_is_seen_killed_and_come_back(tmp_path: Path) -> None:
    pit = Pit(tmp_path, liveness="process").start()
    try:
        cell = pit.cell(name="pond")
        pit.spawn(cell, "scribe", "sleep", "600")
        pit.wait(lambda: (h := pit.health(cell).get("scribe")) and h.pid, "it lives")
        first = pit.health(cell)["scribe"]
        with website(pit) as site, site.by_socket() as client:
            told: list[Frame] = []
            with client.stream("GET", "/api/v1/stream") as answer:
                seen = frames(answer)
                told.append(next(seen))
                assert told[0].event == "hello"
                assert first.pid is not None
                os.kill(first.pid, signal.SIGKILL)
                for frame in seen:
                    told.append(frame)
                    if frame.event == "fleet" and frame.data["cells"]:
                        agent = agents_of(frame.data["cells"][0])["scribe"]
                        if agent["phase"] == "running" and agent["generation"] == 2:
                            break
                pit.kill9()  # No file says so.
                while not (told[-1].event == "fleet" and told[-1].data["daemon"]["up"] is False):
                    told.append(next(seen))
            pit.start()
            names = [f.data["event"] for f in told if f.event == "event"]
            assert names.index("agent_died") < names.index("agent_started")
            ids = [frame.id for frame in told]
            assert len(set(ids)) == len(ids)
            again = {"Last-Event-ID": told[0].id}
            with client.stream("GET", "/api/v1/stream", headers=again) as answer:
                replayed = frames(answer)
                assert [next(replayed).event for _ in told] == [f.event for f in told]
            lost = {"Last-Event-ID": "another-1"}
            with client.stream("GET", "/api/v1/stream", headers=lost) as answer:
                assert next(frames(answer)).event == "reset"
            metrics = client.get("/metrics").text
        assert "lazarus_up 1\n" in metrics
        assert f'lazarus_agents{{cell="{cell.uuid}",name="pond",phase="running"}} 1\n' in metrics
    finally:
        pit.close()


def test_requests_are_told_once_the_records_can_be_read_again(tmp_path: Path) -> None:
    pit = Pit(tmp_path)
    pit.cell(name="pond")
    records = PitPaths(pit.root).records
    with (
        website(pit) as site,
        site.by_socket() as client,
        client.stream("GET", "/api/v1/stream") as answer,
    ):
        seen = frames(answer)
        assert next(seen).event == "hello"
        records.mkdir()  # As a full disk: they cannot be opened.
        assert client.get("/api/v1/fleet").json()["approvals_problem"]
        records.rmdir()
        frame = next(frame for frame in seen if "approvals" in frame.data)
    assert frame.data["approvals"] == []
