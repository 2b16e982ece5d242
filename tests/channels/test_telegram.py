"""A real pool asks on npm's Telegram; people answer there as that package's own client does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bot_contract
import botapi
from botapi import ADA, CHAT, MALLORY, TOKEN, RefusedError
from channels.npm_telegram import NpmTelegram, serving
from integration.pools import FarPool


@pytest.fixture(name="api")
def _api(tmp_path: Path) -> Iterator[NpmTelegram]:
    if bot_contract.contract() is None:
        pytest.skip(f"no {bot_contract.CONTRACT} to hold calls to")
    with serving(tmp_path / "npm.log") as api:
        yield api
    assert api.wrong == []


@pytest.fixture(name="pool")
def _pool(tmp_path: Path, api: NpmTelegram) -> Iterator[FarPool]:
    table = {"bot_token": TOKEN, "chat_id": CHAT, "api_url": api.url, "allowed_users": [7]}
    with FarPool(tmp_path, telegram=table) as pool:
        yield pool


def said(api: NpmTelegram, text: str) -> Callable[[], bool]:
    return lambda: any(text in one for one in api.texts())


def refuse(code: int, description: str, **parameters: int) -> Any:
    def refused(_: dict[str, Any]) -> Any:
        raise RefusedError(code, description, **parameters)

    return refused


def test_a_button_revives(pool: FarPool, api: NpmTelegram) -> None:
    pool.add("timmy", "ask")
    pool.start()
    api.until(said(api, "timmy is dead\nDead for: "))
    api.press("Approve", user=MALLORY)
    api.until(lambda: len(api.popups) == 1)
    assert "You may not answer here" in api.popups[0][1]
    assert pool.requests()[0].outcome == "open"
    api.press("Approve")
    api.until(said(api, "timmy is dead: approved by @ada 7 (telegram)"))
    pool.wait(lambda: "gateway_recovered" in pool.told(), "it is revived")
    assert len(pool.lives()) == 1


def test_words_answer_what_they_are_about(pool: FarPool, api: NpmTelegram) -> None:
    for name in ("timmy", "bob", "eve"):
        pool.add(name, "ask")
    pool.start()
    for name in ("timmy", "bob", "eve"):
        api.until(said(api, f"{name} is dead"))
    api.say("+1")
    api.until(said(api, "That could mean 3 requests"))
    api.say("don't revive timmy")
    api.say("revive timmy", chat=999)
    api.say("revive timmy", user=MALLORY)
    api.until(said(api, "You may not answer here"))
    about = next(one for one in api.messages.values() if "bob is dead" in one["text"])
    api.say("+1", reply_to_message=about)
    api.until(said(api, "bob is dead: approved"))
    api.say("SKIP Eve")
    api.until(said(api, "eve is dead: skipped"))
    api.say("skip bob")
    api.until(said(api, "bob: too late, approved by @ada 7 (telegram)"))
    pool.wait(lambda: "gateway_recovered" in pool.told("bob"), "bob is revived")
    outcomes = {one.subject: one.outcome for one in pool.requests()}
    assert outcomes == {"pool/timmy": "open", "pool/bob": "approved", "pool/eve": "denied"}
    assert ADA["id"] == 7


def test_trouble_is_waited_out(pool: FarPool, api: NpmTelegram) -> None:
    limit = refuse(429, "Too Many Requests: retry after 1", retry_after=1)
    conflict = refuse(409, "Conflict: terminated by other getUpdates request")
    api.faults["getMe"] = [botapi.dropped]
    api.faults["sendMessage"] = [limit, refuse(502, "Bad Gateway"), botapi.dropped]
    api.faults["getUpdates"] = [conflict, limit]
    pool.add("timmy", "ask")
    pool.start()
    api.until(said(api, "timmy is dead"))
    pool.kill9()
    api.press("Approve")  # Nobody hears it now.
    pool.start()
    api.until(said(api, "timmy is dead: approved"))
    pool.wait(lambda: "gateway_recovered" in pool.told(), "it is revived")
    assert len(pool.lives()) == 1


def test_a_name_may_be_anything(pool: FarPool, api: NpmTelegram) -> None:
    names = ["*_[](x)~`>#+-=|{}.!\\", "a\nb\r", "x" * 10_000, "\u202eevil"]
    for name in names:
        pool.add(name, "ask")
    pool.start()
    api.until(lambda: sum("is dead" in one for one in api.texts()) == len(names))
    for request in pool.requests():
        api.say(f"revive {request.id[:8]}")
    api.until(lambda: sum("is dead: approved" in one for one in api.texts()) == len(names))
