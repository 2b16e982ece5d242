"""Nostr end to end on loopback: a real relay, real records, a person with a key of their own."""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels import nostr, nostr_api
from lazarus_pit.channels import serve as serve_file
from lazarus_pit.channels.desk import Desk
from lazarus_pit.channels.nostr import Nostr, own_key
from lazarus_pit.channels.serve import serve
from lazarus_pit.errors import ConfigError, FormatError
from lazarus_pit.formats.channel_settings import Nostr as Settings
from lazarus_pit.records import approvals
from lazarus_pit.records.database import opened_records
from nostr_person import PATIENCE, Forgetful, Person, Relay, Rubbish
from postbox import in_loop


@pytest.fixture(name="pit")
def _pit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PitPaths:
    monkeypatch.setattr(serve_file, "FIRST_SECONDS", 0.02)
    monkeypatch.setattr(nostr_api, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(nostr_api, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(nostr_api, "RETRY_SECONDS", 0.2)
    return PitPaths(tmp_path)


def open_one(pit: PitPaths, name: str = "timmy", generation: int = 1) -> str:
    now = time.time()
    facts = {"died": now - 400.0, "attempts": 1, "mission": "Forge"}
    with opened_records(pit.records) as db:
        return approvals.open_request(
            db, f"pool/{name}", generation, facts, expires=now + 300.0, now=now
        ).id


def stands(pit: PitPaths, request: str) -> tuple[str, str]:
    with opened_records(pit.records) as db:
        found = approvals.find(db, request)
    assert found is not None
    return found.outcome, found.by


def receipts(pit: PitPaths, request: str) -> dict[str, str]:
    with opened_records(pit.records) as db:
        return approvals.receipts(db, request)


async def until_stands(pit: PitPaths, request: str, outcome: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while stands(pit, request)[0] != outcome:  # noqa: ASYNC110 - it lies on the disk
            await asyncio.sleep(0.01)


async def how_it_hears(pit: PitPaths) -> str:
    return (await Desk(pit, "nostr").recall()).get("hearing", "")


async def until_hears(pit: PitPaths, words: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while words not in await how_it_hears(pit):  # noqa: ASYNC110 - it lies on the disk
            await asyncio.sleep(0.01)


@asynccontextmanager
async def served(pit: PitPaths, person: Person, *urls: str, **more: Any) -> AsyncIterator[str]:
    """Serve the channel, and return our own name there."""
    settings = Settings(relays=urls, recipient_pubkey=person.npub, **more)
    task = asyncio.create_task(serve(pit, {"nostr": partial(Nostr, settings)}))
    try:
        yield own_key(settings, pit).npub
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


@in_loop
@pytest.mark.parametrize("dm", ["nip17", "nip04"])
async def test_asked_answered_and_told(pit: PitPaths, dm: str) -> None:
    async with Relay() as relay, Person(relay.url, wrapped=dm == "nip17") as ada:
        request = open_one(pit)
        async with served(pit, ada, relay.url, dm=dm) as us:
            question = await ada.read()
            assert question.by == us
            assert "timmy is dead" in question.text
            assert "revive timmy" in question.text
            await ada.say(us, "Revive  TIMMY")
            ending = await ada.read()
    assert stands(pit, request) == ("approved", ada.npub)
    assert "timmy is dead: approved" in ending.text
    assert ending.about == question.id


@in_loop
async def test_a_loose_word_must_answer_the_question(pit: PitPaths) -> None:
    async with Relay() as relay, Person(relay.url) as ada:
        first, second = open_one(pit), open_one(pit, "bob")
        async with served(pit, ada, relay.url) as us:
            questions = {"timmy" in one.text: one for one in (await ada.read(), await ada.read())}
            await ada.say(us, "+1")
            refused = await ada.read()
            assert "could mean 2 requests" in refused.text
            await ada.say(us, "don't revive timmy")
            await ada.say(us, "+1", questions[True].id)
            await until_stands(pit, first, "approved")
    assert stands(pit, second)[0] == "open"


@in_loop
async def test_only_the_person_is_heard(pit: PitPaths) -> None:
    async with Relay() as relay, Person(relay.url) as ada, Person(relay.url) as mallory:
        request = open_one(pit)
        async with served(pit, ada, relay.url) as us:
            question = await ada.read()
            await mallory.say(us, "revive timmy", as_=ada.keys.public_key())  # A forged rumor.
            await mallory.say(us, "revive timmy", question.id)
            assert (await mallory.read()).text == "You may not answer here. Nothing was changed."
            await ada.say(us, "skip timmy")
            await until_stands(pit, request, "denied")
    assert stands(pit, request) == ("denied", ada.npub)


@in_loop
async def test_what_was_said_while_nobody_served_is_heard_and_once(pit: PitPaths) -> None:
    async with Relay() as relay, Person(relay.url) as ada:
        request = open_one(pit)
        async with served(pit, ada, relay.url) as us:
            await ada.read()
        await ada.say(us, "revive timmy")
        async with served(pit, ada, relay.url):
            await until_stands(pit, request, "approved")
            assert "approved" in (await ada.read()).text
        again = open_one(pit, generation=2)
        async with served(pit, ada, relay.url):
            await ada.read()  # Asked anew: the word about the first life is not heard again.
            await ada.say(us, "skip timmy")
            await until_stands(pit, again, "denied")
            assert "skipped" in (await ada.read()).text
            assert len(await ada.letters()) == 4  # Two questions, two endings, no reply to old.


@in_loop
async def test_a_word_of_before_the_question_is_not_for_it(pit: PitPaths) -> None:
    async with Relay() as relay, Person(relay.url) as ada:
        request = open_one(pit)
        async with served(pit, ada, relay.url) as us:
            await ada.read()
            await ada.say(us, "revive timmy", at=time.time() - 3_600.0)
            assert "said before it was asked" in (await ada.read()).text
            assert stands(pit, request)[0] == "open"
            await ada.say(us, f"revive {request[:8]}", at=time.time() - 3_600.0)  # A slow clock.
            await until_stands(pit, request, "approved")


@in_loop
async def test_a_reply_to_the_question_counts_whatever_the_clocks_say(pit: PitPaths) -> None:
    async with Relay() as relay, Person(relay.url) as ada:
        first, second = open_one(pit), open_one(pit, "bob")
        async with served(pit, ada, relay.url) as us:
            questions = {"timmy" in one.text: one for one in (await ada.read(), await ada.read())}
            await ada.say(us, "+1", questions[True].id, at=time.time() - 3_600.0)
            await until_stands(pit, first, "approved")
    assert stands(pit, second)[0] == "open"


@in_loop
async def test_a_relay_that_is_down_is_no_outage(pit: PitPaths) -> None:
    async with Relay() as relay, Person(relay.url) as ada:
        open_one(pit)
        async with served(pit, ada, "ws://127.0.0.1:9", relay.url):
            assert "timmy" in (await ada.read()).text


@in_loop
async def test_a_relay_that_comes_back_is_heard(pit: PitPaths) -> None:
    async with Relay() as relay, Person(relay.url) as ada:
        open_one(pit)
        async with served(pit, ada, relay.url):
            await ada.read()
            port = relay.port
    async with served(pit, ada, f"ws://127.0.0.1:{port}") as us:
        request = open_one(pit, "bob")
        await until_hears(pit, "no relay")
        async with Relay(port) as relay, Person(relay.url) as other:
            other.keys, other.npub = ada.keys, ada.npub
            assert "bob" in (await other.read()).text
            await other.say(us, "revive bob")
            await until_stands(pit, request, "approved")


@in_loop
@pytest.mark.parametrize(
    ("says", "told"),
    [
        (None, "no relay is there"),
        ("", "does not answer as a relay does"),
        ("not json {", "does not answer as a relay does"),
        ('["EOSE"]', "does not answer as a relay does"),
        ('["CLOSED", ID, "restricted: go away"]', "refuses: 'restricted: go away'"),
    ],
)
async def test_what_is_no_relay_is_told_though_nobody_is_asked(
    pit: PitPaths, says: str | None, told: str
) -> None:
    async with Rubbish(says) as rubbish, Relay() as relay, Person(relay.url) as ada:
        async with served(pit, ada, rubbish.url):
            await until_hears(pit, told)
        request = open_one(pit)
        async with served(pit, ada, rubbish.url, relay.url) as us:  # It harms no other relay.
            await ada.read()
            await ada.say(us, "revive timmy")
            await until_stands(pit, request, "approved")
            assert await how_it_hears(pit) == ""


@in_loop
async def test_what_a_relay_took_and_did_not_say_so_is_sent_again_as_the_same(
    pit: PitPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nostr_api, "SEND_SECONDS", 0.2)
    request = open_one(pit)
    async with Forgetful() as relay, Relay() as elsewhere, Person(elsewhere.url) as ada:
        async with served(pit, ada, relay.url), asyncio.timeout(PATIENCE):
            while not receipts(pit, request):  # noqa: ASYNC110 - it lies on the disk
                await asyncio.sleep(0.01)
        first, second = relay.taken
        assert first == second


@in_loop
async def test_a_relay_that_asks_who_we_are_is_told(pit: PitPaths) -> None:
    async with Relay(asks_who=True) as relay, Person(relay.url) as ada:
        request = open_one(pit)
        async with served(pit, ada, relay.url) as us:
            await ada.read()
            await ada.say(us, "revive timmy")
            await until_stands(pit, request, "approved")


def test_our_own_key_is_made_once_and_is_ours_alone(pit: PitPaths) -> None:
    first = own_key(Settings(), pit)
    assert own_key(Settings(), pit).npub == first.npub
    assert stat.S_IMODE(pit.nostr_key.stat().st_mode) == 0o600
    assert [path.name for path in pit.private.iterdir()] == ["nostr.key"]
    assert own_key(Settings(secret_key=nostr_api.new_secret()), pit).npub != first.npub


def test_what_is_no_key_is_named_and_not_shown(pit: PitPaths, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[nostr\] secret_key: not a secret key") as caught:
        own_key(Settings(secret_key="nsec1hush"), pit)  # noqa: S106
    assert "hush" not in str(caught.value)
    (tmp_path / "nsec").write_text("nsec1hush")
    with pytest.raises(ConfigError, match=r"\[nostr\] secret_key_file") as caught:
        own_key(Settings(secret_key_file=str(tmp_path / "nsec")), pit)
    assert "hush" not in str(caught.value)
    for key, shown in (("bob", "'bob'"), ("11" * 32, "'1111"), ("nsec1hush", "a secret key")):
        with pytest.raises(ConfigError, match=rf"\[nostr\] recipient_pubkey: found {shown}"):
            Nostr(Settings(recipient_pubkey=key), Desk(pit, "nostr"))


def test_a_key_that_is_a_link_is_refused(pit: PitPaths, tmp_path: Path) -> None:
    pit.private.mkdir(parents=True)
    pit.nostr_key.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FormatError, match="symbolic link"):
        own_key(Settings(), pit)


def test_damaged_notes_say_nothing() -> None:
    assert nostr._seen("a@1 b@x c") == {"a": 1.0, "b": 0.0, "c": 0.0}
