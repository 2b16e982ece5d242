"""The API's reference names every route, with the role that it needs, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from lazarus_pit.web.routes import SPOTS

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text("utf-8")


def test_the_table_is_the_routes() -> None:
    rows = re.findall(r"^\| `(GET|POST) (\S+)` \| (\S+) \|", REFERENCE, re.MULTILINE)
    assert rows == [(spot.method, spot.path, spot.role or "\N{EN DASH}") for spot in SPOTS]
