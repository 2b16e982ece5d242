"""The dashboard and the guide to the metrics name what ``/metrics`` says, and no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit.formats import prometheus
from lazarus_pit.web import metrics
from lazarus_pit.web.shapes import Agent, Cell, Gateway

DOCS = Path(__file__).parents[2] / "docs"
BOARD: dict[str, Any] = json.loads((DOCS / "grafana" / "lazarus-pit.json").read_bytes())
GUIDE = (DOCS / "guides" / "metrics.md").read_text("utf-8")
ASKED = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
WORD = r"lazarus_[a-z_]+"


def said() -> dict[str, set[str]]:
    """Return the labels of each metric, of a fleet in which each occurs."""
    agent = Agent(
        name="scribe", role="developer", kind="agent", desired="run", state="running",
        phase="running", healthy=True, pid=7, heartbeat_age=1.5, revive_count=2, version="1",
        unread=0,
    )  # fmt: skip
    cell = Cell(
        uuid="u", name="pond", mission="", status="active", asleep=False, problem=None,
        agents=(agent,), version="1",
    )  # fmt: skip
    far = Gateway(name="timmy", phase="watched", reason="", dead_since=None, attempts=0)
    text = prometheus.render(metrics.families([cell], [far], up=True, readers=1, asked=1))
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(rf"^({WORD})(?:{{(.*)}})? ", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r"(\w+)=", labels))
    assert set(re.findall(rf"# TYPE ({WORD})", text)) == set(found)
    return found


@pytest.mark.parametrize("asked", ASKED)
def test_every_query_asks_for_what_there_is(asked: str) -> None:
    names = re.findall(WORD, asked)
    assert names
    for name in names:
        labels = re.findall(r"(\w+)=", asked)
        labels += [word for by in re.findall(r"by \((.*?)\)", asked) for word in by.split(", ")]
        assert set(labels) <= said()[name], name


def test_everything_is_shown_somewhere() -> None:
    assert {name for asked in ASKED for name in re.findall(WORD, asked)} == set(said())


def test_every_metric_is_explained_with_its_labels() -> None:
    rows = re.findall(rf"^\| `({WORD})` \|(.*?)\|", GUIDE, re.MULTILINE)
    assert {name: set(re.findall(r"\w+", labels)) for name, labels in rows} == said()


def test_panels_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        spots = {(at["x"] + dx, at["y"] + dy) for dx in range(at["w"]) for dy in range(at["h"])}
        assert not spots & taken, panel["title"]
        taken |= spots
