"""The API's reference names every route, with the role that it needs, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from lazarus_pit.cli.app import VERBS
from lazarus_pit.web.routes import SPOTS

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text("utf-8")


def test_the_table_is_the_routes() -> None:
    rows = re.findall(r"^\| `(GET|POST) (\S+)` \| (\S+) \|", REFERENCE, re.MULTILINE)
    assert rows == [(spot.method, spot.path, spot.role or "\N{EN DASH}") for spot in SPOTS]


def test_every_command_is_a_route_or_has_its_reason() -> None:
    _, _, told = REFERENCE.partition("What each command is here:")
    table = told.partition("\n\nA cell is")[0]
    rows = re.findall(r"^\| (`[^|]+`) \| ([^|]+) \|$", table, re.MULTILINE)
    commands = [word for names, _ in rows for word in re.findall(r"`([^`]+)`", names)]
    assert sorted(commands) == sorted(VERBS)
    routes = {f"{spot.method} {spot.path}" for spot in SPOTS}
    named = {route for _, here in rows for route in re.findall(r"`((?:GET|POST) [^`]+)`", here)}
    assert named <= routes
    acting = {route for route in routes if route.startswith("POST /api/v1/")}
    assert acting - named == {"POST /api/v1/login"}
