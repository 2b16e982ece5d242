"""The gateway's guide names everything that an operator can set or read."""

import re
from pathlib import Path

from msgspec import structs

from lazarus_pit.gateway.hub import Tally
from lazarus_pit.gateway.options import LIMIT_FLAGS

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "gateway.md").read_text("utf-8")


def test_every_limit_is_explained() -> None:
    missing = [flag for flag, _, _ in LIMIT_FLAGS if f"`{flag}`" not in GUIDE]
    assert not missing


def test_no_flag_is_invented() -> None:
    known = {flag for flag, _, _ in LIMIT_FLAGS}
    known |= {"--token-file", "--origin", "--allow-host", "--health-host", "--health-port"}
    known |= {"--seconds", "--runs", "--realtime"}  # Of the bench that is quoted.
    assert set(re.findall(r"--[a-z-]+[a-z]", GUIDE)) <= known


def test_every_figure_of_health_is_explained() -> None:
    missing = [item.name for item in structs.fields(Tally) if f"`{item.name}`" not in GUIDE]
    assert not missing
