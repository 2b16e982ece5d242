"""What an update of Telegram's means: who said what, where, and whether they may.

An update is a stranger's until all of that is known; nothing here changes anything.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct, field

from lazarus_pit.channels.base import Heard
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import reply
from lazarus_pit.formats.reply import Word
from lazarus_pit.formats.text import decode, one_line

_BUTTON = re.compile(r"lp1:([asAS]):([0-9a-f]{16})\Z")
_COMMAND = re.compile(r"(/\w{1,32})@\w{1,64}", re.ASCII)

_NOT_HERE = "This bot answers to another chat. Nothing was changed."
_NOT_YOU = "You may not answer here. Nothing was changed."
_NOBODY = "Who speaks for a whole chat is nobody; answer as yourself. Nothing was changed."
_NO_BUTTON = "That button is of no use any more. Nothing was changed."


class User(Struct, frozen=True):
    """A person, or a bot."""

    id: int
    is_bot: bool = False
    first_name: str = ""
    username: str = ""


class Chat(Struct, frozen=True):
    """Where something was said."""

    id: int
    username: str = ""


class Message(Struct, frozen=True):
    """Something that was said."""

    message_id: int
    chat: Chat
    date: int = 0
    text: str = ""
    from_: User | None = field(default=None, name="from")
    sender_chat: Chat | None = None
    via_bot: User | None = None
    forward_origin: dict[str, Any] | None = None
    reply_to_message: Message | None = None
    external_reply: dict[str, Any] | None = None
    forum_topic_created: dict[str, Any] | None = None
    migrate_to_chat_id: int = 0


class Press(Struct, frozen=True):
    """A button that was pressed."""

    id: str
    from_: User = field(name="from")
    message: Message | None = None
    data: str = ""


class Update(Struct, frozen=True):
    """One thing that happened."""

    update_id: int
    message: Message | None = None
    callback_query: Press | None = None


class _Numbered(Struct, frozen=True):
    update_id: int


class Webhook(Struct, frozen=True):
    """What else hears for this bot."""

    url: str = ""


class Handle(NamedTuple):
    """Where a reply goes: under a button, or below a message."""

    press: str
    chat: int
    message: int


class Ears(NamedTuple):
    """Who is heard."""

    chat: str
    """The one chat: its id, or ``@name``."""
    allowed: frozenset[int]
    """Who of it; empty: everybody."""

    def hear(self, update: Update, now: float) -> Heard | None:
        """Return what somebody said if it may be an answer, whoever they are."""
        if update.callback_query is not None:
            return self._pressed(update.callback_query, now)
        return None if update.message is None else self._spoken(update.message)

    def _spoken(self, said: Message) -> Heard | None:
        word = reply.read(_COMMAND.sub(r"\1", said.text, count=1))
        if word is None or said.via_bot or said.forward_origin:  # Not their own words.
            return None
        if said.from_ is None or (said.from_.is_bot and said.sender_chat is None):
            return None
        about = ""
        if said.external_reply is not None:
            about = "another chat"
        elif said.reply_to_message is not None and not said.reply_to_message.forum_topic_created:
            about = receipt_of(said.reply_to_message)
        return Heard(
            word,
            _person(said.from_),
            said.date + 0.999,  # Telegram says only the second.
            about,
            forbidden=self._forbidden(said.chat, said.from_, said.sender_chat),
            handle=Handle("", said.chat.id, said.message_id),
        )

    def _pressed(self, press: Press, now: float) -> Heard:
        chat = press.message.chat if press.message else None
        button = _BUTTON.match(press.data)
        forbidden = self._forbidden(chat, press.from_, None)
        letter, id_ = button.groups() if button else ("", "")
        return Heard(
            Word(letter in ("a", "A"), None),
            _person(press.from_),
            now,
            request=id_ if letter.islower() else "",
            digest=id_ if letter.isupper() else "",
            forbidden=forbidden or ("" if button else _NO_BUTTON),
            handle=Handle(press.id, 0, 0),
        )

    def _forbidden(self, chat: Chat | None, user: User, speaks_for: Chat | None) -> str:
        if chat is None or not self.is_ours(chat):
            return _NOT_HERE
        if speaks_for is not None:
            return _NOBODY
        return _NOT_YOU if self.allowed and user.id not in self.allowed else ""

    def is_ours(self, chat: Chat) -> bool:
        """Whether this is the chat that is asked."""
        named = f"@{chat.username}".casefold() == self.chat.casefold() if chat.username else False
        return str(chat.id) == self.chat or named


def receipt_of(message: Message) -> str:
    """Return what we know a message by."""
    return f"{message.chat.id}:{message.message_id}"


def updates_in(found: bytes) -> list[Update]:
    """Return the updates in an answer; of one that we cannot read, its number alone.

    Raises:
        FormatError: it is no list of updates.
    """
    return [_update(bytes(one)) for one in decode(found, list[msgspec.Raw], "getUpdates")]


def _update(one: bytes) -> Update:
    try:
        return decode(one, Update, "update")
    except FormatError:
        return Update(decode(one, _Numbered, "update").update_id)


def _person(user: User) -> str:
    name = f"@{user.username}" if user.username else one_line(user.first_name, 60)
    return f"{name} {user.id}"
