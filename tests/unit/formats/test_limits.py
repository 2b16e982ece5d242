"""Limits as people write them: layers, the cell's share, and what is refused."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import manifest
from lazarus_pit.formats.limits import Limits, check_limit, limits_of_agent, limits_of_cell


def test_an_agents_own_limits_win_over_its_cells_over_the_configurations() -> None:
    base = Limits(open_files=100, log_mb=3, memory_mb=1000)
    found = limits_of_agent(base, {"open_files": 200, "log_mb": 5}, {"log_mb": 7})
    assert (found.open_files, found.log_mb, found.memory_mb) == (200, 7, 1000)


def test_what_a_cell_takes_as_a_whole_is_not_what_each_agent_takes() -> None:
    layer = {"memory_mb": 900, "disk_mb": 50, "pids": 40, "cpu_percent": 150, "tmp_mb": 9}
    each = limits_of_agent(Limits(disk_mb=70), layer, {})
    assert (each.memory_mb, each.disk_mb, each.pids, each.cpu_percent, each.tmp_mb) == (
        0,
        0,
        0,
        0,
        9,
    )
    whole = limits_of_cell(Limits(memory_mb=1, pids=9), layer)
    assert (whole.memory_mb, whole.disk_mb, whole.pids, whole.cpu_percent) == (900, 50, 40, 150)
    assert (whole.open_files, whole.log_mb, whole.tmp_mb) == (0, 0, 0)


def test_a_quota_of_the_configuration_is_every_cells() -> None:
    assert limits_of_cell(Limits(disk_mb=70), {}).disk_mb == 70
    assert limits_of_cell(Limits(disk_mb=70), {"disk_mb": 0}).disk_mb == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("memory_mb", 1),
        ("memory_mb", -1),
        ("memory_mb", 1.5),
        ("memory_mb", True),
        ("pids", "many"),
        ("pids", 7),
        ("open_files", 3),
        ("log_mb", 1 << 40),
        ("memroy_mb", 512),
    ],
)
def test_what_is_no_limit_is_named(name: str, value: Any) -> None:
    with pytest.raises(FormatError, match=rf"{name}.*expected"):
        check_limit(name, value)


@pytest.mark.parametrize("at", ["limits", "agents[0].limits"])
def test_a_manifest_names_the_place_of_a_wrong_limit(at: str) -> None:
    cell: dict[str, Any] = {
        "uuid": str(uuid.uuid4()),
        "status": "active",
        "agents": [{"name": "a", "role": "developer"}],
    }
    (cell if at == "limits" else cell["agents"][0])["limits"] = {"memroy_mb": 512}
    with pytest.raises(FormatError) as caught:
        manifest.parse(json.dumps(cell).encode())
    assert str(caught.value).startswith(f"{at}.memroy_mb: no such limit")
