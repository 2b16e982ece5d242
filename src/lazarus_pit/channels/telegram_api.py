"""The few calls of Telegram's Bot API that we use, over plain HTTP.

The token is part of every address: whatever is said of a call leaves the address out.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any, Self

import httpx2
import msgspec
from msgspec import Struct

from lazarus_pit.channels.base import ChannelError, MessageRefusedError
from lazarus_pit.errors import ConfigError, FormatError
from lazarus_pit.formats.text import decode, one_line

PATIENCE = 30.0
"""Seconds that one call may take, beyond what it was told to wait for."""
MAX_BYTES = 16 * 1024 * 1024
"""Of one answer."""
HOPELESS_SECONDS = 300.0
"""Until what only a person can mend is tried again."""
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,100}\Z", re.ASCII)
_OF_THE_CHAT = ("chat not found", "rights", "CHAT_", "PEER_ID_INVALID", "kicked", "deactivated")
"""In a refusal: it is not this message that is wrong."""


class ChatLostError(ChannelError):
    """The chat is not there for this bot: another id, or it was shown the door."""


class ConflictError(ChannelError):
    """Another program hears for this bot, or a webhook does."""


class MigratedError(ChannelError):
    """The group has become a supergroup of another id."""

    def __init__(self, chat: int) -> None:
        super().__init__(f"the group has become the supergroup {chat}")
        self.chat = chat


class _Parameters(Struct, frozen=True):
    retry_after: float = 0.0
    migrate_to_chat_id: int = 0


class _Answer(Struct, frozen=True):
    """What every call answers."""

    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    description: str = ""
    error_code: int = 0
    parameters: _Parameters | None = None


class Bot:
    """One bot at one Bot API server."""

    def __init__(self, token: str, api_url: str) -> None:
        """Nothing is connected before the first call.

        Raises:
            ConfigError: that cannot be a token.
        """
        if not _TOKEN.match(token):
            raise ConfigError("[telegram] bot_token: expected one such as 123456:ABC-def")
        self.id = token.partition(":")[0]
        self._token = token
        self._base = f"{api_url.rstrip('/')}/bot{token}/"
        logging.getLogger("httpx2").addFilter(_keeps_quiet)  # It would log every address.
        self._client = httpx2.AsyncClient(follow_redirects=False, timeout=None)

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def call(self, method: str, waits: float = 0.0, **given: Any) -> bytes:
        """Return the result of a call, as JSON; ``waits``: seconds that it was told to wait.

        Raises:
            ChannelError: it may work later; ConflictError and MigratedError say why it did not.
            MessageRefusedError: it never will.
        """
        found = await self._answer(method, PATIENCE + waits, given)
        if found.ok:
            return bytes(found.result)
        raise _fault(method, found)

    async def _answer(self, method: str, patience: float, given: dict[str, Any]) -> _Answer:
        try:
            async with (
                asyncio.timeout(patience),
                self._client.stream("POST", self._base + method, json=given) as answer,
            ):
                data = bytearray()
                async for block in answer.aiter_bytes():
                    data += block
                    if len(data) > MAX_BYTES:
                        raise ChannelError(f"{method}: more than {MAX_BYTES} bytes")
        except TimeoutError:
            raise ChannelError(f"{method}: no answer in {patience:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, OSError) as error:
            said = f"{type(error).__name__}: {error}".replace(self._token, "…")
            raise ChannelError(f"{method}: {one_line(said)}") from None
        try:
            return decode(bytes(data), _Answer, method)
        except FormatError:
            # Something on the way has answered in Telegram's place.
            code = answer.status_code
            raise ChannelError(f"{method}: status {code} and no answer of a Bot API") from None


def _keeps_quiet(record: logging.LogRecord) -> bool:
    """Drop what would say a token."""
    return "/bot" not in record.getMessage()


def _fault(method: str, found: _Answer) -> Exception:
    said = f"{method}: {found.error_code} {one_line(found.description)}"
    asked = found.parameters or _Parameters()
    if asked.migrate_to_chat_id:
        return MigratedError(asked.migrate_to_chat_id)
    match found.error_code:
        case 401 | 404:
            return ChannelError(f"{said}: is the bot token right?", after=HOPELESS_SECONDS)
        case 409:
            return ConflictError(said)
        case 400 if not any(word in found.description for word in _OF_THE_CHAT):
            return MessageRefusedError(said)
        case 400 | 403:
            return ChatLostError(f"{said}: is chat_id right, and the bot in that chat?")
        case _:
            return ChannelError(said, after=min(max(0.0, asked.retry_after), 86_400.0))
