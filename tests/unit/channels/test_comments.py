"""Operators answer in the issue: who is listed, once, with a whole command, and nobody else."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from forge import REPO, TOKEN, Forge, serving
from lazarus_pit.cells.journal import append_events
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels.comments import Comments
from lazarus_pit.channels.forge import Forge as Client
from lazarus_pit.channels.incidents import Settings
from lazarus_pit.channels.serve import serve
from lazarus_pit.channels.telling import Teller
from lazarus_pit.channels.webhook import MAX_BYTES, listening
from lazarus_pit.formats.forge_settings import Gitea
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.records import approvals
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.database import opened_records


@pytest.fixture(name="forge")
def _forge() -> Iterator[Forge]:
    with serving() as forge:
        yield forge


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> PitPaths:
    pit = PitPaths(tmp_path)
    pit.private.mkdir()
    return pit


def die(pit: PitPaths, name: str, generation: int = 1) -> str:
    """A gateway dies and its revive is asked for; return the request's id."""
    stamp = to_rfc3339(time.time(), 3)
    died = Event(ts=stamp, event="gateway_died", agent=name, data={"dead_for": 300.0})
    append_events(pit.events, [died])
    now = time.time()
    with opened_records(pit.records) as db:
        return approvals.open_request(
            db, f"pool/{name}", generation, {}, expires=now + 300.0, now=now
        ).id


def request(pit: PitPaths, which: str) -> Request:
    with opened_records(pit.records) as db:
        found = approvals.find(db, which)
    assert found is not None
    return found


@asynccontextmanager
async def at_work(
    pit: PitPaths, forge: Forge, poll: float = 0.1, **more: Any
) -> AsyncIterator[None]:
    settings = Gitea(
        url=forge.url, repo=REPO, token=TOKEN, approvers=("Ada",), poll_interval=poll, **more
    )
    async with Client(forge.url, REPO, TOKEN) as client:
        teller = Teller(pit, client, Settings(asks_there=True), "far")
        makers = {"gitea": partial(Comments, settings, pit)}
        tasks = [asyncio.create_task(one) for one in (teller.run(), serve(pit, makers))]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def until(forge: Forge, number: int, words: str, times: int = 1) -> None:
    def said() -> bool:
        return sum(words in text for text in forge.texts(number)) == times

    await asyncio.to_thread(forge.until, lambda: number in forge.said and said())


def test_a_listed_user_answers_in_the_issue(pit: PitPaths, forge: Forge) -> None:
    async def live() -> None:
        which = die(pit, "timmy")
        async with at_work(pit, forge):
            await until(forge, 1, "`revive timmy`")
            forge.comment(1, "don't revive timmy")
            forge.comment(1, "revive timmy", by="mallory")
            await until(forge, 1, "You may not answer here")
            forge.comment(1, "revive timmy2")
            await until(forge, 1, "That message asks about timmy")
            forge.comment(1, "revive timmy", edited="2099-01-01T00:00:00Z")
            await until(forge, 1, "That comment was changed")
            assert request(pit, which).outcome == "open"
            forge.comment(1, " Revive  TIMMY\r\n")
            forge.comment(1, "skip timmy", by="ada")
            await until(forge, 1, "too late")
            found = request(pit, which)
            assert (found.outcome, found.by, found.via) == ("approved", "ada", "gitea")

    asyncio.run(live())


def test_each_request_is_asked_once_and_answered_in_its_own_issue(
    pit: PitPaths, forge: Forge
) -> None:
    async def live() -> None:
        first, second = die(pit, "timmy"), die(pit, "**x**\n@all `y`")
        async with at_work(pit, forge):
            await until(forge, 1, "Answer within")
            await until(forge, 2, "Answer within")
        async with at_work(pit, forge):  # Begun anew, as after a kill.
            hostile = next(one for one in forge.issues if "timmy" not in one["title"])["number"]
            forge.comment(hostile, "+1")
            await asyncio.to_thread(forge.until, lambda: request(pit, second).outcome == "approved")
            forge.comment(3 - hostile, "skip timmy")
            await asyncio.to_thread(forge.until, lambda: request(pit, first).outcome == "denied")
        asked = [text for number in (1, 2) for text in forge.texts(number) if "Answer" in text]
        assert len(asked) == 2
        assert not any(
            line.startswith(("@", "- [", "**x")) for text in asked for line in text.split("\n")
        )

    asyncio.run(live())


def test_a_call_of_the_forge_is_followed_by_a_look(pit: PitPaths, forge: Forge) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def live() -> None:
        which = die(pit, "timmy")
        hook = {"webhook_port": port, "webhook_secret": "secret"}
        async with at_work(pit, forge, 3600.0, **hook), httpx2.AsyncClient() as client:
            await until(forge, 1, "Answer within")
            forge.comment(1, "revive timmy")
            forge.comment(1, "skip timmy")
            signature = hmac.new(b"secret", b"", hashlib.sha256).hexdigest()
            headers = {"X-Gitea-Signature": signature}
            answer = await client.post(f"http://127.0.0.1:{port}/", headers=headers)
            assert answer.status_code == 204
            await until(forge, 1, "too late")
            assert request(pit, which).outcome == "approved"

    asyncio.run(live())


def test_a_webhook_that_cannot_be_heard_leaves_the_polling(pit: PitPaths, forge: Forge) -> None:
    async def live() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            hook = {"webhook_port": taken.getsockname()[1], "webhook_secret": "secret"}
            async with at_work(pit, forge, 0.1, **hook):
                await until(forge, 1, "Answer within")

    die(pit, "timmy")
    asyncio.run(live())


def test_whoever_knocks_at_the_webhook_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    async def live() -> None:
        settings = Gitea(webhook_secret="secret", webhook_port=0)  # noqa: S106 - a test's
        async with listening(settings, lambda: None) as port:
            for said in (b"garbage", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0") * 5:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(said + b"\r\n\r\n")
                assert (await reader.readline()).split()[1] in (b"400", b"401")
                writer.close()

    asyncio.run(live())
    assert [one.name for one in caplog.records] == ["lazarus_pit.channels.webhook"]


def test_a_webhook_says_that_now_is_a_good_time_to_look() -> None:
    async def live() -> None:
        rung: list[None] = []
        settings = Gitea(webhook_secret="secret", webhook_port=0)  # noqa: S106 - a test's
        async with (
            listening(settings, lambda: rung.append(None)) as port,
            httpx2.AsyncClient(trust_env=False) as client,
        ):

            async def post(body: bytes, header: str, signature: str, delivery: str) -> int:
                headers = {header: signature, "X-Gitea-Delivery": delivery}
                url = f"http://127.0.0.1:{port}/"
                return (await client.post(url, content=body, headers=headers)).status_code

            good = hmac.new(b"secret", b"{}", hashlib.sha256).hexdigest()
            assert await post(b"{}", "X-Gitea-Signature", good, "1") == 204
            assert await post(b"{}", "X-Hub-Signature-256", f"sha256={good}", "2") == 204
            assert len(rung) == 2
            assert await post(b"{}", "X-Gitea-Signature", good, "2") == 204
            assert await post(b"[]", "X-Gitea-Signature", good, "3") == 401
            assert await post(b"{}", "X-Gitea-Signature", "", "4") == 401
            assert await post(b"x" * (MAX_BYTES + 1), "X-Gitea-Signature", good, "5") == 413
            assert (await client.get(f"http://127.0.0.1:{port}/")).status_code == 405
            assert len(rung) == 2

    asyncio.run(live())
