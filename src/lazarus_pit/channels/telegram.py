"""Telegram: buttons under each question, and the words of the contract (4.1) in the same chat.

Only the configured chat is heard, and in it only listed people if any are. How far we have heard
is written with the answer, before Telegram is told that we have it.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any, Self

from lazarus_pit.channels.base import (
    ChannelError,
    Heard,
    MessageRefusedError,
    Outcome,
    Receipt,
)
from lazarus_pit.channels.desk import Desk
from lazarus_pit.channels.secrets import secret
from lazarus_pit.channels.telegram_api import (
    HOPELESS_SECONDS,
    Bot,
    ChatLostError,
    ConflictError,
    MigratedError,
)
from lazarus_pit.channels.telegram_updates import (
    Ears,
    Handle,
    Message,
    Update,
    Webhook,
    receipt_of,
    updates_in,
)
from lazarus_pit.formats import channel_settings
from lazarus_pit.formats.digest import Digest, all_ended, ask_all
from lazarus_pit.formats.question import Ending, Question, Style, ask, ended
from lazarus_pit.formats.text import decode, one_line

log = logging.getLogger(__name__)

POLL_SECONDS = 50
"""How long Telegram keeps a request for updates if there are none."""
HASTY_SECONDS = 1.0
"""A server that says sooner that there are none does not wait as it was asked to: we do."""
BATCH = 50
FORGETFUL_SECONDS = 6 * 86_400.0
"""After a week without updates Telegram numbers them anew: an offset as old as this means nothing.
"""
CONFLICT_SECONDS = (2.0, 5.0, 10.0)
"""After a restart our own last request may still be there; who still answers 409 then is another.
"""
STRANGER_SECONDS = 60.0
"""How often a chat that is not ours, or a person who may not answer, is told so."""
MOST_TOLD = 10
"""Of them in that time: Telegram lets a bot say 20 things a minute in a group, and we must ask."""
_SPECIAL = re.compile(r"([_*\[\]()~`>#+\-=|{}.!\\])")
_IN_CODE = re.compile(r"([`\\])")


def escaped(text: str) -> str:
    """Return text that MarkdownV2 shows as it is."""
    return _SPECIAL.sub(r"\\\1", text)


MARKDOWN = Style(
    plain=escaped,
    strong=lambda text: f"*{escaped(text)}*",
    typed=lambda text: "`" + _IN_CODE.sub(r"\\\1", text) + "`",
)


class Telegram:
    """The channel."""

    name = "telegram"

    def __init__(self, settings: channel_settings.Telegram, desk: Desk) -> None:
        """Connect nothing yet.

        Raises:
            ConfigError: the token cannot be read, or is none.
        """
        token = secret(settings.bot_token, settings.bot_token_file, "[telegram] bot_token_file")
        self._bot = Bot(token, settings.api_url)
        self._configured = str(settings.chat_id)
        self._chat = self._configured
        self._allowed = frozenset(settings.allowed_users)
        self._desk = desk
        self._conflicts = 0
        self._told: dict[str, float] = {}

    async def __aenter__(self) -> Self:
        await self._bot.__aenter__()
        try:
            await self._bot.call("getMe")  # Says at once whether the token is right.
            notes = await self._desk.recall()
            self._chat = notes.get(f"chat {self._configured}", self._configured)
        except BaseException:
            await self._bot.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._bot.__aexit__()

    # ------------------------------------------------------------ to people

    async def carry(self, question: Question) -> Receipt:
        """Ask in the chat, with two buttons."""
        no = "✖ Deny" if question.asks else "✖ Skip"
        sent = await self._say(
            ask(question, time.time(), MARKDOWN),
            ask(question, time.time()),
            reply_markup={
                "inline_keyboard": [_buttons(question.id, (("✅ Approve", "a"), (no, "s")))]
            },
        )
        return Receipt(receipt_of(sent), float(sent.date))

    async def carry_all(self, digest: Digest) -> Receipt:
        """Ask about many, with two buttons for just these."""
        many = (("✅ Approve all", "A"), ("✖ Skip all", "S"))
        sent = await self._say(
            ask_all(digest, time.time(), MARKDOWN),
            ask_all(digest, time.time()),
            reply_markup={"inline_keyboard": [_buttons(digest.id, many)]},
        )
        return Receipt(receipt_of(sent), float(sent.date))

    async def settle(self, question: Question, ending: Ending, receipt: str) -> None:
        """Change the question to its outcome, and take its buttons away."""
        now = time.time()
        await self._change(
            receipt, ended(question, ending, now, MARKDOWN), ended(question, ending, now)
        )

    async def settle_all(self, digest: Digest, endings: Sequence[Ending], receipt: str) -> None:
        """Do so with a message about many."""
        marked = all_ended(digest, endings, MARKDOWN)
        await self._change(receipt, marked, all_ended(digest, endings))

    async def _change(self, receipt: str, marked: str, plain: str) -> None:
        chat, _, message = receipt.rpartition(":")
        where: dict[str, Any] = {
            "chat_id": _number_or_name(chat),
            "message_id": int(message),
            "reply_markup": {"inline_keyboard": []},
        }
        try:
            await self._marked("editMessageText", marked, plain, where)
        except MigratedError:  # Nobody can see the old group any more.
            return
        except ChatLostError:
            # The chat of today may be another one, which must not wait for this.
            if chat == self._chat:
                raise

    async def answer(self, heard: Heard, outcome: Outcome) -> None:
        """Tell who pressed or spoke what became of it."""
        to: Handle = heard.handle
        if to.press:
            words = one_line(outcome.words, 200)
            alert = not outcome.counts
            await self._bot.call(
                "answerCallbackQuery", callback_query_id=to.press, text=words, show_alert=alert
            )
        elif not heard.forbidden or self._may_tell(
            heard.by if str(to.chat) == self._chat else str(to.chat)
        ):
            await self._bot.call(
                "sendMessage",
                chat_id=to.chat,
                text=one_line(outcome.words, 2000),
                reply_parameters={"message_id": to.message, "allow_sending_without_reply": True},
            )

    async def _say(self, marked: str, plain: str, **more: Any) -> Message:
        more["link_preview_options"] = {"is_disabled": True}
        try:
            where = {"chat_id": _number_or_name(self._chat), **more}
            sent = await self._marked("sendMessage", marked, plain, where)
        except MigratedError as error:
            await self._moved(error.chat)
            where["chat_id"] = error.chat
            sent = await self._marked("sendMessage", marked, plain, where)
        return decode(sent, Message, "sendMessage")

    async def _marked(self, method: str, marked: str, plain: str, where: dict[str, Any]) -> bytes:
        """Say it in Markdown; where Telegram cannot read that, without."""
        try:
            return await self._bot.call(method, text=marked, parse_mode="MarkdownV2", **where)
        except MessageRefusedError as error:
            if "parse" not in str(error):
                raise
            log.warning("a message is sent without its markup: %s", error)
        return await self._bot.call(method, text=plain, **where)

    async def _moved(self, chat: int) -> None:
        """Follow the group, and ask there once more what is open: the old one is closed."""
        if self._chat == str(chat):
            return
        log.warning("the group %s has become the supergroup %d", self._chat, chat)
        self._chat = str(chat)
        await self._desk.note({f"chat {self._configured}": self._chat})
        await self._desk.ask_again()

    def _may_tell(self, whom: str) -> bool:
        now = time.monotonic()
        self._told = {one: at for one, at in self._told.items() if now - at < STRANGER_SECONDS}
        if whom in self._told or len(self._told) >= MOST_TOLD:
            return False
        self._told[whom] = now
        return True

    # ------------------------------------------------------------ from people

    async def listen(self) -> AsyncGenerator[Heard | None, None]:
        """Hear the chat."""
        hook = decode(await self._bot.call("getWebhookInfo"), Webhook, "getWebhookInfo")
        if hook.url:
            raise ChannelError(
                "a webhook is set for this bot: another program hears for it; use a bot of its own"
                " or call deleteWebhook",
                after=HOPELESS_SECONDS,
            )
        notes = await self._desk.recall()
        offset, heard_at = _offset(notes.get(self._offset_key, ""))
        patience = 0  # At first we only want to know whether we are heard at all.
        while True:
            if time.time() - heard_at > FORGETFUL_SECONDS:
                offset = 0
            asked_at = time.monotonic()
            updates = await self._updates(offset, patience)
            if patience and not updates and time.monotonic() - asked_at < HASTY_SECONDS:
                await asyncio.sleep(HASTY_SECONDS)
            patience = POLL_SECONDS
            unwritten: dict[str, str] = {}
            for update in updates:
                offset, heard_at = update.update_id + 1, time.time()
                unwritten = {self._offset_key: f"{offset} {heard_at:.0f}"}
                heard = await self._heard(update)
                if heard is not None:
                    yield heard._replace(notes=unwritten)
                    unwritten = {}
            if unwritten:  # Nothing but talk: once for all of it.
                yield Heard(None, "", 0.0, notes=unwritten)
            elif not updates:
                yield None

    @property
    def _offset_key(self) -> str:
        return f"offset {self._bot.id}"

    async def _updates(self, offset: int, patience: int) -> list[Update]:
        try:
            found = await self._bot.call(
                "getUpdates",
                waits=patience,
                offset=offset,
                limit=BATCH,
                timeout=patience,
                allowed_updates=["message", "callback_query"],
            )
        except ConflictError as error:
            after = [*CONFLICT_SECONDS, HOPELESS_SECONDS][min(self._conflicts, 3)]
            self._conflicts += 1
            raise ChannelError(
                f"another program hears for this bot, only one can ({error})", after=after
            ) from None
        self._conflicts = 0
        return updates_in(found)

    async def _heard(self, update: Update) -> Heard | None:
        """Return what somebody said if it may be an answer; whoever they are."""
        ears = Ears(self._chat, self._allowed)
        said = update.message
        if said is not None and said.migrate_to_chat_id and ears.is_ours(said.chat):
            await self._moved(said.migrate_to_chat_id)
            return None
        return ears.hear(update, time.time())


def _buttons(id_: str, choices: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"text": text, "callback_data": f"lp1:{letter}:{id_}"} for text, letter in choices]


def _number_or_name(chat: str) -> int | str:
    try:
        return int(chat)
    except ValueError:
        return chat


def _offset(noted: str) -> tuple[int, float]:
    """Return the next update, and when we heard of one; of a note that is none, the beginning."""
    number, _, at = noted.partition(" ")
    try:
        return int(number), float(at)
    except ValueError:
        return 0, 0.0
