"""Ask, answer, revive over Telegram: a real pool and a real daemon, killed between the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import botapi
from botapi import CHAT, TOKEN, BotApi
from integration.pit import ASKING, Pit
from integration.pools import FarPool
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records


@pytest.fixture(name="api")
def _api() -> Iterator[BotApi]:
    with botapi.serving(BotApi()) as api:
        yield api
    assert api.wrong == []


def table(api: BotApi) -> dict[str, Any]:
    return {"bot_token": TOKEN, "chat_id": CHAT, "api_url": api.url, "allowed_users": [7]}


def said(api: BotApi, text: str) -> Callable[[], bool]:
    return lambda: any(text in one for one in api.texts())


STEPS = {
    "asked": ("sendMessage", False),
    "asked, and we do not know": ("sendMessage", True),
    "answered": ("answerCallbackQuery", False),
    "shown, and we do not know": ("editMessageText", True),
}


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_any_step_it_revives_once_and_forgets_nothing(
    tmp_path: Path, api: BotApi, step: str
) -> None:
    method, done = STEPS[step]
    with FarPool(tmp_path, telegram=table(api)) as pool:
        pool.add("timmy", "ask")

        def killed(given: dict[str, Any]) -> Any:
            if done:
                getattr(api, f"_{method}")(given)
            pool.kill9()
            raise ConnectionError

        api.faults[method] = [killed]
        pool.start()
        if method != "sendMessage":
            api.until(said(api, "timmy is dead"))
            api.press("Approve")
        api.until(lambda: not api.faults[method])
        pool.start()
        api.until(said(api, "timmy is dead"))
        if method == "sendMessage":
            api.press("Approve")
        api.until(said(api, "timmy is dead: approved by @ada 7 (telegram)"))
        pool.wait(lambda: "gateway_recovered" in pool.told(), "it is revived")
        assert len(pool.lives()) == 1
        (request,) = pool.requests()
        assert (request.outcome, request.by, request.via) == ("approved", "@ada 7", "telegram")
        # Told twice only where Telegram had it and we could not know.
        assert len(api.texts()) == (2 if step == "asked, and we do not know" else 1)


def test_skipped_it_stays_dead_and_people_are_called(tmp_path: Path, api: BotApi) -> None:
    with FarPool(tmp_path, telegram=table(api)) as pool:
        pool.add("timmy", "ask")
        pool.start()
        api.until(said(api, "timmy is dead"))
        api.say("SKIP Timmy")
        api.until(said(api, "timmy is dead: skipped by @ada 7 (telegram)"))
        pool.wait(lambda: "gateway_escalated" in pool.told(), "people are called")
        assert pool.all_lives() == []


def test_a_pool_that_looks_only_once_asks_and_hears_too(tmp_path: Path, api: BotApi) -> None:
    with FarPool(tmp_path, telegram=table(api)) as pool:
        pool.add("timmy", "ask")
        pool.once_until(api.texts)
        api.say("revive timmy")
        pool.once_until(pool.lives)
        pool.once_until(said(api, "timmy is dead: approved by @ada 7"))
        assert len(pool.lives()) == 1


def test_the_daemon_asks_for_the_agents_of_its_cells(tmp_path: Path, api: BotApi) -> None:
    pit = Pit(tmp_path, **ASKING)
    with pit.config.open("a") as file:
        lines = (f"{key} = {value!r}" for key, value in table(api).items())
        file.write("[telegram]\n" + "\n".join(lines))
    try:
        pit.start()
        cell = pit.cell(name="pond")
        pit.spawn(cell, "scribe", "/bin/sh", "-c", _DIES_ONCE)
        api.until(said(api, "scribe is dead"))
        assert any("Mission: test" in text and "cell pond" in text for text in api.texts())
        pit.wait(lambda: _is_noted(pit), "the channel knows that it has asked")
        pit.kill9()  # And its channels end with it: who presses now is heard later.
        api.press("Approve")
        pit.start()
        api.until(said(api, "scribe is dead: approved by @ada 7 (telegram)"))
        pit.wait_event(cell, "approval_granted", "scribe", by="@ada 7", via="telegram")
        pit.wait_event(cell, "agent_revived", "scribe")
        assert (cell.workspace / "lives").read_text().split() == ["life", "life"]
        assert len(api.texts()) == 1
    finally:
        pit.close()


def _is_noted(pit: Pit) -> bool:
    with opened_records(PitPaths(pit.root).records) as db:
        return all(approvals.receipts(db, one.id) for one in approvals.everything(db))


_DIES_ONCE = (
    "lazarus beat; echo life >> lives; [ -e died ] || { touch died; sleep 0.2; exit 3; }; "
    "while :; do lazarus beat; sleep 0.2; done"
)
