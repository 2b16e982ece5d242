"""What the API's document promises, asked for by schemathesis: no answer is a surprise."""

from __future__ import annotations

import os
import shutil
import time
from functools import partial
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from starlette.applications import Starlette

from integration.pit import Pit
from lazarus_pit.cells.journal import append_events
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.formats.journal import Event
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records
from lazarus_pit.web import keys
from lazarus_pit.web.door import LOOPBACK, Door
from lazarus_pit.web.operations import Operations
from lazarus_pit.web.routes import SPOTS, build
from lazarus_pit.web.spots import Server, Spot, Words

EXAMPLES = int(os.environ.get("LAZARUS_API_EXAMPLES", "3"))
"""For each route; `make test-api` asks for more."""
HOW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ASKED = [spot for spot in SPOTS if spot.kind != "text/event-stream"]
"""All but the stream, which never ends."""
KNOWN: dict[str, str] = {"name": "scribe", "receiver": "scribe"}
"""What paths name, so that not every answer is 404."""
BEARER: dict[str, str] = {}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The application behind its door, over what a pit without a daemon has on disk.

    Its commands are ``true``: what the real ones do is tested where they are.
    """
    pit = Pit(tmp_path_factory.mktemp("openapi"))
    cell = pit.cell(name="pond")
    pit.spawn(cell, "scribe", "true")
    cell.log("scribe").write_bytes(b"said\xff\n")
    paths = PitPaths(pit.root)
    append_events(paths.events, [Event(ts="2026-04-06T00:00:00Z", event="observer_doubted")])
    now = time.time()
    with opened_records(paths.records) as db:
        asked = approvals.open_request(db, "pool/far", 1, {}, expires=now + 900, now=now)
    KNOWN.update(uuid=cell.uuid, id=asked.id)
    words = Words(lambda *_: ["because"], lambda event: event.event, lambda _: "")
    app = build(Server(paths, words, (str(shutil.which("true")),), (), Operations(paths.records)))
    assert isinstance(app, Starlette)
    door = Door(app, partial(keys.bearer, paths), (*LOOPBACK, "testserver"))
    token, _ = keys.login(paths, keys.new_link(paths, "approver", "ada"))
    BEARER.update(Authorization=f"Bearer {token}")
    wanted = {"generation": {"with-security-parameters": False}}
    config = SchemathesisConfig.from_dict(wanted)
    return schemathesis.openapi.from_asgi("/openapi.json", door, config=config)


@schemathesis.hook
def map_path_parameters(_context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any]:
    """Name what is there, two times of three."""
    return {
        name: KNOWN.get(name, value) if len(str(value)) % 3 else value
        for name, value in (path_parameters or {}).items()
    }


@schemathesis.hook
def map_headers(_context: Any, headers: dict[str, Any] | None) -> dict[str, Any]:
    """Make no wish about a state: all would be about another."""
    return {name: value for name, value in (headers or {}).items() if name != "If-Match"}


def named(spot: Spot) -> str:
    return f"{spot.method} {spot.path}"


@pytest.mark.parametrize("spot", ASKED, ids=named)
def test_what_may_be_sent_is_answered_as_the_document_says(schema: Any, spot: Spot) -> None:
    ask(schema, spot, GenerationMode.POSITIVE)


@pytest.mark.parametrize("spot", [s for s in ASKED if s.query or s.takes is not None], ids=named)
def test_what_may_not_be_sent_is_refused(schema: Any, spot: Spot) -> None:
    ask(schema, spot, GenerationMode.NEGATIVE)


def ask(schema: Any, spot: Spot, mode: GenerationMode) -> None:
    operation = schema[spot.path][spot.method]
    cases = operation.as_strategy(generation_mode=mode)

    @HOW
    @given(case=cases)
    def asked(case: schemathesis.Case[Any]) -> None:
        # That the daemon is down is what /readyz says with 503.
        excluded: list[Any] = [not_a_server_error] if spot.codes else []
        case.call_and_validate(headers=BEARER, excluded_checks=excluded)

    asked()
