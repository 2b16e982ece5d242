"""Telegram end to end on loopback: a real server, real records, people who press and speak."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bot_contract
import botapi
from botapi import ADA, BOT, CHAT, MALLORY, TOKEN, BotApi, RefusedError
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels import serve as serve_file
from lazarus_pit.channels import telegram
from lazarus_pit.channels.base import ChannelError
from lazarus_pit.channels.choose import makers
from lazarus_pit.channels.desk import Desk
from lazarus_pit.channels.serve import serve
from lazarus_pit.channels.telegram import Telegram
from lazarus_pit.formats.channel_settings import Channels
from lazarus_pit.formats.channel_settings import Telegram as Settings
from lazarus_pit.formats.question import PLAIN, Question, ask
from lazarus_pit.records import approvals, carried
from lazarus_pit.records.database import opened_records
from postbox import in_loop


@pytest.fixture(name="pit")
def _pit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PitPaths:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(serve_file, "FIRST_SECONDS", 0.02)
    return PitPaths(tmp_path)


@pytest.fixture(name="api")
def _api() -> Iterator[BotApi]:
    with botapi.serving(BotApi()) as api:
        yield api
    assert api.wrong == []


def settings(api: BotApi, **more: Any) -> Settings:
    given: dict[str, Any] = {"bot_token": TOKEN, "chat_id": CHAT, "api_url": api.url} | more
    return Settings(**given)


def open_one(
    pit: PitPaths, subject: str = "pool/timmy", seconds: float = 300.0, generation: int = 1
) -> str:
    now = time.time()
    facts = {"died": now - 400.0, "attempts": 1, "mission": "Forge", "probes": {"tcp": "failed"}}
    with opened_records(pit.records) as db:
        return approvals.open_request(
            db, subject, generation, facts, expires=now + seconds, now=now
        ).id


def stands(pit: PitPaths, request: str) -> tuple[str, str]:
    with opened_records(pit.records) as db:
        found = approvals.find(db, request)
    assert found is not None
    return found.outcome, found.by


@asynccontextmanager
async def served(pit: PitPaths, api: BotApi, **more: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(serve(pit, makers(Channels(telegram=settings(api, **more)))))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


async def until(api: BotApi, text: str, count: int = 1) -> None:
    """Wait until so many messages of ours say this."""
    await asyncio.to_thread(
        api.until, lambda: sum(text in one for one in api.texts(api.chat)) >= count
    )


async def popped(api: BotApi, count: int = 1) -> list[str]:
    await asyncio.to_thread(api.until, lambda: len(api.popups) >= count)
    return [text for _, text in api.popups]


@in_loop
async def test_a_button_approves_and_the_message_shows_it(pit: PitPaths, api: BotApi) -> None:
    async with served(pit, api):
        request = open_one(pit)
        await until(api, "timmy is dead")
        (text,) = api.texts()
        for fact in ("Dead for: 7 min", "Mission: Forge", "revive timmy", "+1", "skip timmy"):
            assert fact in text
        api.press("Approve")
        assert await popped(api) == ["timmy: approved."]
        await until(api, "approved by @ada 7 (telegram)")
        api.press_raw(f"lp1:s:{request}", {"message_id": 1, "chat": {"id": CHAT}})
        assert (await popped(api, 2))[1] == "timmy: too late, approved by @ada 7 (telegram)."
    assert stands(pit, request) == ("approved", "@ada 7")
    assert all(not one["reply_markup"]["inline_keyboard"] for one in buttons(api))


def buttons(api: BotApi) -> list[dict[str, Any]]:
    return [one for one in api.messages.values() if "reply_markup" in one]


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ("revive timmy", "approved"),
        ("Revive Timmy", "approved"),
        ("/revive@lazarus_bot timmy", "approved"),
        ("+1", "approved"),
        ("SKIP timmy", "denied"),
    ],
)
def test_the_words_of_the_contract_4_1(pit: PitPaths, api: BotApi, said: str, outcome: str) -> None:
    @in_loop
    async def run() -> None:
        async with served(pit, api):
            request = open_one(pit)
            await until(api, "timmy is dead")
            api.say(said)
            await until(api, "by @ada 7 (telegram)")
            assert stands(pit, request)[0] == outcome
            replies = api.asked("sendMessage")[1:]
            assert [one["text"] for one in replies] in ([], [f"timmy: {_WORDS[outcome]}."])

    run()


_WORDS = {"approved": "approved", "denied": "skipped"}


@in_loop
async def test_nobody_else_and_nothing_else_is_an_answer(pit: PitPaths, api: BotApi) -> None:
    async with served(pit, api, allowed_users=(7, 8)):
        request = open_one(pit)
        await until(api, "timmy is dead")
        for talk in ("don't revive timmy", "revive", "please +1", "👍"):
            api.say(talk)
        api.say("revive timmy", forward_origin={"type": "hidden_user"})
        api.say("revive timmy", via_bot=BOT)
        api.say("revive timmy", user=BOT)
        api.happen(edited_message={"message_id": 1, "chat": {"id": CHAT}, "text": "+1"})
        api.happen(channel_post={"message_id": 1, "chat": {"id": CHAT}, "text": "+1"})
        api.happen(message={"message_id": "no number"})
        api.press("Approve", user=MALLORY)
        api.press("Approve", message=None)
        api.press("Approve", message={"message_id": 5, "chat": {"id": 999}})
        api.press_raw(f"lp1:a:{'0' * 16}", {"message_id": 5, "chat": {"id": CHAT}})
        api.press_raw("something else", {"message_id": 5, "chat": {"id": CHAT}})
        popups = await popped(api, 5)
        api.say("revive timmy", user=MALLORY)
        api.say("revive timmy2")
        api.say("+1", user=BOT | {"id": 1087968824}, sender_chat={"id": CHAT})
        api.say("+1", chat=999)
        for chat in range(999, 1014):  # A stranger is told once a minute, ten of them at most.
            api.say("+1", chat=chat)
            api.say("revive timmy", user=MALLORY)
        api.say("revive bob", chat=CHAT)
        await until(api, "Nobody called bob")
        assert stands(pit, request) == ("open", "")
    assert [one[:12] for one in popups] == [
        "You may not ",
        "This bot ans",
        "This bot ans",
        "That request",
        "That button ",
    ]
    texts = " ".join(api.texts()[1:])
    assert texts.count("You may not answer here") == 1  # Bots are not even replied to.
    assert "Nobody called timmy2" in texts
    assert "answer as yourself" in texts
    assert len(api.texts(999)) == 1
    assert len([one for one in api.asked("sendMessage") if one["chat_id"] != CHAT]) < 10


@in_loop
async def test_a_plus_among_several_must_answer_its_message(pit: PitPaths, api: BotApi) -> None:
    async with served(pit, api):
        both = [open_one(pit), open_one(pit, "pool/bob")]
        await until(api, "is dead", 2)
        api.say("+1")
        await until(api, "say one of: revive timmy, revive bob")
        ours = next(one for one in api.messages.values() if "bob is dead" in one["text"])
        api.say("+1", reply_to_message=ours)
        await until(api, "bob is dead: approved")
        api.say("+1", reply_to_message=ours)
        await until(api, "bob: too late, approved by @ada 7")
    assert [stands(pit, one)[0] for one in both] == ["open", "approved"]


@in_loop
async def test_whoever_ends_it_the_message_says_how(pit: PitPaths, api: BotApi) -> None:
    async with served(pit, api):
        first, _, _ = open_one(pit), open_one(pit, "pool/bob", 1.0), open_one(pit, "pool/eve")
        await until(api, "is dead", 3)
        with opened_records(pit.records) as db:
            approvals.decide(db, first, approved=False, by="eve", via="cli", now=time.time())
        open_one(pit, "pool/eve", generation=2)
        await until(api, "timmy is dead: skipped by eve (cli)")
        await until(api, "eve is dead: no answer is needed any more")
        await until(api, "bob is dead: nobody answered in time")


@in_loop
async def test_an_outage_and_a_limit_are_waited_out(pit: PitPaths, api: BotApi) -> None:
    api.faults["getMe"] = [botapi.dropped]
    api.faults["sendMessage"] = [_refuse(502, "Bad Gateway"), botapi.dropped]
    api.faults["getUpdates"] = [_refuse(429, "Too Many Requests", retry_after=1), botapi.dropped]
    async with served(pit, api):
        request = open_one(pit)
        await until(api, "timmy is dead")
        api.press("Approve")
        await until(api, "timmy is dead: approved")
    assert stands(pit, request)[0] == "approved"
    assert len(api.texts()) == 1


def _refuse(code: int, description: str, **parameters: int) -> Any:
    def refuse(_: dict[str, Any]) -> Any:
        raise RefusedError(code, description, **parameters)

    return refuse


@in_loop
async def test_what_telegram_asks_for_is_granted(pit: PitPaths, api: BotApi) -> None:
    limit = _refuse(429, "Too Many Requests", retry_after=17)
    conflict = _refuse(409, "Conflict: terminated by other getUpdates request")
    api.faults["getUpdates"] = [limit, *[conflict] * 5]
    desk = Desk(pit, "telegram")
    async with telegram.Telegram(settings(api), desk) as channel:
        afters = []
        for _ in range(6):
            with pytest.raises(ChannelError) as error:
                await anext(channel.listen())
            afters.append(error.value.after)
        assert "another program hears for this bot" in str(error.value)
    # Not looped on: a second program on the token is a matter for people.
    assert afters == [17.0, 2.0, 5.0, 10.0, 300.0, 300.0]


@in_loop
async def test_it_is_known_at_once_that_it_works(pit: PitPaths, api: BotApi) -> None:
    async with telegram.Telegram(settings(api), Desk(pit, "telegram")) as channel:
        assert await anext(channel.listen()) is None  # Reached, and nobody has spoken.
    assert [one["timeout"] for one in api.asked("getUpdates")] == [0]


@in_loop
async def test_a_webhook_is_said_and_left_alone(pit: PitPaths, api: BotApi) -> None:
    api.webhook = "https://elsewhere.example.org/"
    async with telegram.Telegram(settings(api), Desk(pit, "telegram")) as channel:
        with pytest.raises(ChannelError, match="a webhook is set") as error:
            await anext(channel.listen())
    assert error.value.after >= 300.0


@in_loop
async def test_a_supergroup_is_followed_and_asked_again(pit: PitPaths, api: BotApi) -> None:
    async with served(pit, api):
        first = open_one(pit)
        await until(api, "timmy is dead")
        api.chat = -100777
        api.faults["sendMessage"] = [
            _refuse(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=-100777)
        ]
        second = open_one(pit, "pool/bob")
        await until(api, "bob is dead")
        await until(api, "timmy is dead")
    async with served(pit, api):  # It is remembered.
        api.say("revive bob")
        api.say("revive timmy", chat=CHAT)  # The old group.
        await until(api, "bob is dead: approved")
    assert [stands(pit, one)[0] for one in (first, second)] == ["open", "approved"]


@in_loop
async def test_a_group_that_says_so_itself_is_followed(pit: PitPaths, api: BotApi) -> None:
    async with served(pit, api):
        open_one(pit)
        await until(api, "timmy is dead")
        old, api.chat = api.chat, -100777
        api.say("", chat=old, migrate_to_chat_id=-100777)
        await until(api, "timmy is dead")
        api.press("Approve")
        await until(api, "timmy is dead: approved")


@in_loop
async def test_how_far_we_heard_is_written_before_it_is_confirmed(
    pit: PitPaths, api: BotApi
) -> None:
    async with served(pit, api):
        open_one(pit)
        await until(api, "timmy is dead")
    # Telegram has it, we die before we confirm: it comes again, and changes nothing.
    api.say("revive timmy")
    (update,) = api.updates[-1:]
    async with served(pit, api):
        await until(api, "timmy is dead: approved")
    api.calls.clear()
    api.updates = [update]
    async with served(pit, api):
        await asyncio.to_thread(api.until, lambda: bool(api.asked("getUpdates")))
    assert api.asked("getUpdates")[0]["offset"] == update["update_id"] + 1
    assert api.updates == []


@in_loop
async def test_an_old_offset_is_not_trusted(pit: PitPaths, api: BotApi) -> None:
    desk = Desk(pit, "telegram")
    await desk.note({"offset 4242": f"999999 {time.time() - 8 * 86_400:.0f}"})
    async with telegram.Telegram(settings(api), desk) as channel:
        api.say("+1")
        heard = await anext(channel.listen())
    assert heard is not None
    assert api.asked("getUpdates")[0]["offset"] == 0


@in_loop
async def test_the_token_is_said_nowhere(
    pit: PitPaths, api: BotApi, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    api.faults["sendMessage"] = [botapi.dropped, _refuse(500, "Internal Server Error")]
    async with served(pit, api, bot_token="", bot_token_file=str(token)):
        open_one(pit)
        await until(api, "timmy is dead")
    secret = TOKEN.partition(":")[2]
    assert secret not in caplog.text
    with opened_records(pit.records) as db:
        assert secret not in "\n".join(db.iterdump())


@in_loop
async def test_a_wrong_token_is_said(pit: PitPaths, api: BotApi) -> None:
    with pytest.raises(ChannelError, match="401 Unauthorized: is the bot token right"):
        async with telegram.Telegram(settings(api, bot_token=TOKEN + "x"), Desk(pit, "telegram")):
            raise AssertionError


HOSTILE = ["*_[](x)~`>#+-=|{}.!\\", "a\nb\r\x1b[2J", "x" * 10_000, "\u202eevil", "`" * 300, "\\"]


@in_loop
async def test_no_name_breaks_a_message(pit: PitPaths, api: BotApi) -> None:
    async with served(pit, api):
        requests = []
        for count, name in enumerate(HOSTILE, 1):
            requests.append(open_one(pit, f"pool/{name}"))
            await until(api, "is dead", count)
        for request in requests:
            api.say(f"revive {request[:8]}")
        await until(api, "is dead: approved by", len(HOSTILE))
    assert "parse_mode" in api.asked("sendMessage")[0]
    assert not [one for one in api.asked("editMessageText") if "parse_mode" not in one]


@in_loop
async def test_many_deaths_are_one_message_with_buttons_for_just_these(
    pit: PitPaths, api: BotApi
) -> None:
    requests = [open_one(pit, f"pool/{name}") for name in HOSTILE]
    api.faults["sendMessage"] = [_refuse(429, "Too Many Requests", retry_after=1)]
    async with served(pit, api):
        requests += [open_one(pit, f"pool/g{number}") for number in range(50)]
        await until(api, "Answer within")
        (text,) = api.texts()
        asked = api.asked("sendMessage")[-1]
        assert "parse_mode" in asked
        many = int(text.split()[0])
        assert f"{many} agents are dead" in text
        assert "more (lazarus approvals)" in text
        for name in ("Mission: Forge", "evil", "Digest: "):
            assert name in text
        api.press("Approve all")
        assert await popped(api) == [f"{many} agents: approved."]
        await until(api, f"{many} agents are dead: approved by @ada 7 (telegram)")
    assert [stands(pit, one)[0] for one in requests[:many]] == ["approved"] * many
    assert set(asked["reply_markup"]["inline_keyboard"][0][0]) == {"text", "callback_data"}


@in_loop
async def test_a_chat_that_is_lost_holds_up_no_question_in_the_new_one(
    pit: PitPaths, api: BotApi
) -> None:
    async with served(pit, api):
        open_one(pit)
        await until(api, "timmy is dead")
        kicked = _refuse(403, "Forbidden: bot was kicked from the supergroup chat")
        api.faults["editMessageText"] = [kicked] * 100
        api.press("Approve")
        await popped(api)
    with opened_records(pit.records) as db:
        assert carried.unsettled(db, "telegram")
    api.chat = -1002
    async with served(pit, api, chat_id=-1002):
        open_one(pit, "pool/bob")
        await until(api, "bob is dead")
        with opened_records(pit.records) as db:
            assert carried.unsettled(db, "telegram") == []


@given(st.text(max_size=50) | st.sampled_from(HOSTILE), st.text(max_size=500))
def test_markdown_shows_the_plain_text(agent: str, mission: str) -> None:
    asked = Question("a" * 16, agent, "pond", mission, 1.0, 2, {"tcp": mission}, 9.0, "timmy")
    marked = ask(asked, 5.0, telegram.MARKDOWN)
    assert bot_contract.shown(marked) == ask(asked, 5.0, PLAIN)
    assert len(marked) <= 4096


@in_loop
async def test_what_cannot_be_parsed_is_sent_plain(pit: PitPaths, api: BotApi) -> None:
    api.faults["sendMessage"] = [_refuse(400, "Bad Request: can't parse entities: oh")]
    async with served(pit, api):
        open_one(pit)
        await until(api, "timmy is dead")
    assert "parse_mode" not in api.asked("sendMessage")[-1]


def test_the_contract_is_there_to_check_against() -> None:
    if bot_contract.contract() is None:
        pytest.skip(f"calls are not checked: {bot_contract.CONTRACT} is not there")
    assert bot_contract.violations("sendMessage", {"chat_id": 1, "text": "a"}) == []
    for bad in ({"text": "a"}, {"chat_id": 1, "text": ""}, {"chat_id": 1, "text": "a", "x": 1}):
        assert bot_contract.violations("sendMessage", bad) != []
    assert partial(bot_contract.violations, "getMee")({}) == ["getMee: no such method"]
    assert ADA["id"] != MALLORY["id"]


@in_loop
async def test_a_server_that_does_not_wait_is_not_asked_without_a_pause(
    pit: PitPaths, api: BotApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telegram, "HASTY_SECONDS", 0.2)
    api.faults["getUpdates"] = [lambda _: []] * 4
    async with (
        Telegram(settings(api), Desk(pit, "telegram")) as channel,
        contextlib.aclosing(channel.listen()) as heard,
    ):
        began = time.monotonic()
        for _ in range(4):
            assert await anext(heard) is None
        assert time.monotonic() - began >= 3 * 0.2  # At first it is not asked to wait.
