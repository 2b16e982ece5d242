"""All that we ask of a forge, and all that the stand-in answers, is as the forge's document says.

What the quick suite proves against the stand-in alone thereby holds for Gitea and Forgejo as far as
their documents go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from channels.prism import contract, prism, sliced
from forge import REPO, TOKEN, Forge, serving
from lazarus_pit.channels import incidents
from lazarus_pit.channels.forge import Forge as Client
from lazarus_pit.channels.forge import ForgeRefusedError
from lazarus_pit.channels.incidents import Close, Open, Say
from lazarus_pit.channels.outbox import Outbox
from lazarus_pit.records import outbox
from lazarus_pit.records.database import opened_records

Factory = pytest.TempPathFactory
TITLE = "[pool] timmy: agent dead (312s)"


class Held(NamedTuple):
    """A forge, and where it is held to its document."""

    forge: Forge
    url: str


@pytest.fixture(name="held", scope="module", params=["gitea", "forgejo"])
def _held(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Held]:
    place = tmp_path_factory.mktemp(request.param)
    spec = sliced(contract(request.param), place / "spec.json")
    with serving() as forge, prism(spec, forge.url, place / "prism.log") as url:
        yield Held(forge, url)


def test_every_call_and_every_answer_is_as_documented(held: Held) -> None:
    async def calls() -> None:
        async with Client(held.url, REPO, TOKEN) as client:
            label = await client.label("resurrection-pool", "8a2be2", "made")
            assert await client.label("resurrection-pool", "8a2be2", "made") == label
            issue = await client.open("[pool] x: agent dead (1s)", "<!-- y -->\nbody", [label])
            long_ago = "2020-01-01T00:00:00Z"
            made = await client.comment(issue.number, "said")
            assert [one.id for one in await client.comments(issue.number)] == [made.id]
            assert made.id in [one.id for one in await client.comments_since(long_ago)]
            await client.set_state(issue.number, "closed")
            found = await client.issue(issue.number)
            assert found is not None
            assert found.state == "closed"
            every = await client.issues(state="all", label="resurrection-pool")
            assert issue.number in [one.number for one in every]
            assert await client.issue(10_000) is None

    asyncio.run(calls())


def test_a_life_is_told_on_the_last_of_many_pages(held: Held, tmp_path: Path) -> None:
    for number in range(120):
        held.forge.open(f"[pool] timmy{number}: agent dead (1s)")
    records = tmp_path / "records.db"
    with opened_records(records) as db:
        for action in (
            Open("[pool] timmy:", TITLE, "it died", "again", reopen=False),
            Say("failed"),
            Close("back", close=True),
            Open("[pool] timmy:", TITLE, "it died", "again", reopen=True),
        ):
            outbox.add(db, "q", "pool/timmy", incidents.to_object(action))

    async def deliver() -> None:
        async with Client(held.url, REPO, TOKEN) as client:
            await Outbox(records, client, "q").deliver()

    asyncio.run(deliver())
    (issue,) = (one for one in held.forge.issues if one["title"] == TITLE)
    assert issue["state"] == "open"
    assert held.forge.texts(issue["number"]) == ["failed", "back", "again"]


def test_the_proxy_would_refuse_what_is_not_documented(held: Held) -> None:
    """Gitea wants label ids: the very check that these tests rest on."""

    async def wrong() -> None:
        async with Client(held.url, REPO, TOKEN) as client:
            client._github = True  # Labels by name.
            label = await client.label("resurrection-pool", "8a2be2", "made")
            before = len(held.forge.asked)
            with pytest.raises(ForgeRefusedError) as caught:
                await client.open("t", "b", [label])
            assert caught.value.status == 422
            assert len(held.forge.asked) == before  # It never got through.

    asyncio.run(wrong())
