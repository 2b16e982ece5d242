"""What a channel could not do comes again, what it did does not; none waits for another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels import serve as serving
from lazarus_pit.channels.desk import AT_ONCE, Desk
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records
from postbox import Post, PostChannel, in_loop


@pytest.fixture(name="pit")
def _pit(tmp_path: Path) -> PitPaths:
    return PitPaths(tmp_path)


def ask(pit: PitPaths, subject: str = "pool/timmy", seconds: float = 300.0) -> str:
    now = time.time()
    with opened_records(pit.records) as db:
        return approvals.open_request(db, subject, 1, {}, expires=now + seconds, now=now).id


def decide(pit: PitPaths, request: str) -> None:
    with opened_records(pit.records) as db:
        approvals.decide(db, request, approved=True, by="eve", via="cli", now=time.time())


def noted(pit: PitPaths, table: str) -> int:
    with opened_records(pit.records) as db:
        (found,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608 - our own
    return int(found)


@asynccontextmanager
async def served(pit: PitPaths, **posts: Post) -> AsyncIterator[None]:
    makers = {name: partial(PostChannel, post=post) for name, post in posts.items()}
    task = asyncio.create_task(serving.serve(pit, makers))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - what is waited for lies on the disk
            await asyncio.sleep(0.01)


@in_loop
async def test_what_is_asked_is_carried_as_it_is_asked(pit: PitPaths) -> None:
    post = Post()
    async with served(pit, post=post):
        await until(lambda: post.tries > 0)
        request = ask(pit)
        await post.until(1, "sent")
        decide(pit, request)
        await post.until(1, "endings")
    assert post.endings == {"1": "approved"}
    async with served(pit, post=post):  # And after a restart nothing of it again.
        ask(pit, "pool/bob")
        await post.until(2, "sent")
    assert [one.agent for one in post.sent.values()] == ["timmy", "bob"]
    assert post.endings == {"1": "approved"}


@in_loop
async def test_a_request_whose_time_is_over_is_shown_so(pit: PitPaths) -> None:
    post = Post()
    async with served(pit, post=post):
        ask(pit, seconds=0.3)
        await post.until(1, "endings")
    assert post.endings == {"1": "expired"}


@in_loop
async def test_an_answer_is_heard_and_replied_to(pit: PitPaths) -> None:
    post = Post()
    async with served(pit, post=post):
        request = ask(pit)
        await until(lambda: carried_all(pit, "post"))
        post.say("+1")
        post.say("+1")
        await post.until(2, "replies")
        await post.until(1, "endings")
    assert [one.counts for one in post.replies] == [True, False]
    with opened_records(pit.records) as db:
        found = approvals.find(db, request)
    assert found is not None
    assert (found.outcome, found.by, found.via) == ("approved", "ada", "post")


@in_loop
async def test_an_outage_of_one_is_no_outage_of_the_other(
    pit: PitPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "LAST_SECONDS", 0.05)
    monkeypatch.setattr(serving, "FIRST_SECONDS", 0.05)
    down, up = Post(), Post()
    down.up = False
    async with served(pit, down=down, up=up):
        ask(pit)
        await up.until(1, "sent")
        await until(lambda: down.tries > 3)
        assert (await Desk(pit, "down").recall())["asking"] == "nobody at home"
        down.up = True
        await down.until(1, "sent")


@in_loop
@pytest.mark.parametrize("table", ["deliveries", "settlements"])
async def test_what_the_records_cannot_note_is_told_once(
    pit: PitPaths, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """A full disk lets us read what there is to tell, and refuses that it was told."""
    monkeypatch.setattr(serving, "LAST_SECONDS", 0.05)
    monkeypatch.setattr(serving, "FIRST_SECONDS", 0.05)
    request, post = ask(pit), Post()
    refusals: list[str] = []
    with opened_records(pit.records) as db:
        full = "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        db.execute(f"CREATE TRIGGER full BEFORE INSERT ON {table} {full}")
    told = serving._Served._failed

    async def failed(served: serving._Served, what: str, why: str) -> None:
        refusals.append(why)
        await told(served, what, why)

    monkeypatch.setattr(serving._Served, "_failed", failed)
    async with served(pit, post=post):
        await post.until(1, "sent")
        if table == "settlements":
            decide(pit, request)
        await until(lambda: len([one for one in refusals if "disk is full" in one]) > 3)
        with opened_records(pit.records) as db:
            db.execute("DROP TRIGGER full")
        if table == "deliveries":
            decide(pit, request)
        await post.until(1, "endings")
        await until(lambda: noted(pit, table) == 1)
    assert post.told == {"sent": 1, "endings": 1}


@in_loop
async def test_a_message_that_is_refused_stands_in_nobodys_way(pit: PitPaths) -> None:
    post = Post()
    post.refuses = {"timmy"}
    ask(pit)
    ask(pit, "pool/bob")
    async with served(pit, post=post):
        await post.until(1, "sent")
    assert [one.agent for one in post.sent.values()] == ["bob"]


@in_loop
async def test_a_message_that_must_wait_stands_in_nobodys_way(pit: PitPaths) -> None:
    post = Post()
    post.not_yet = {"timmy"}
    ask(pit)
    ask(pit, "pool/bob")
    async with served(pit, post=post):
        await post.until(1, "sent")
        assert [one.agent for one in post.sent.values()] == ["bob"]
        post.not_yet.clear()
        await post.until(2, "sent")
    assert [one.agent for one in post.sent.values()] == ["bob", "timmy"]


@in_loop
async def test_many_that_must_wait_hold_up_nobody_behind_them(pit: PitPaths) -> None:
    post = Post()
    post.not_yet = {f"stuck{number}" for number in range(AT_ONCE)}
    for name in sorted(post.not_yet):
        ask(pit, f"pool/{name}")
    ask(pit, "pool/bob")
    async with served(pit, post=post):
        await post.until(1, "sent")
        assert [one.agent for one in post.sent.values()] == ["bob"]
        post.not_yet.clear()
        await post.until(AT_ONCE + 1, "sent")


@in_loop
async def test_what_cannot_be_shown_as_ended_holds_up_no_question(pit: PitPaths) -> None:
    post = Post()
    async with served(pit, post=post):
        request = ask(pit)
        await until(lambda: carried_all(pit, "post"))
        post.unchangeable = True
        decide(pit, request)
        ask(pit, "pool/bob")
        await post.until(2, "sent")
        assert post.endings == {}
        post.unchangeable = False
        await post.until(1, "endings")


@in_loop
async def test_many_are_asked_in_their_order(pit: PitPaths) -> None:
    post = Post()
    wanted = [f"g{number}" for number in range(2 * AT_ONCE + 1)]
    for name in wanted:
        ask(pit, f"pool/{name}")
    assert (await Desk(pit, "post").work()).more
    async with served(pit, post=post):
        await post.until(len(wanted), "sent")
    assert [one.agent for one in post.sent.values()] == wanted


@in_loop
async def test_looking_does_not_wake_those_who_look(pit: PitPaths) -> None:
    ask(pit)
    stirring = serving.Stirring(pit)
    try:
        stirred = stirring.event()
        stirred.clear()
        await Desk(pit, "post").work()
        await asyncio.sleep(0)
        await Desk(pit, "post").recall()
        await asyncio.sleep(0)
        assert not stirred.is_set()
        await Desk(pit, "post").note({"a": "b"})
        async with asyncio.timeout(10):
            await stirred.wait()
    finally:
        stirring.close()


def carried_all(pit: PitPaths, channel: str) -> bool:
    with opened_records(pit.records) as db:
        return all(channel in approvals.receipts(db, one.id) for one in approvals.everything(db))
