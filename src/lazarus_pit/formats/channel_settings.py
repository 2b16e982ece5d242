"""How people are reached: the tables of the channels, in the daemon's TOML and the pool's JSON.

A secret is never shown: not by ``repr``, not in an error. Each can also stand in a file of its own
or in the environment, which wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import fields, replace

from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text

ENVIRONMENT: Mapping[str, tuple[str, str]] = {
    "TELEGRAM_BOT_TOKEN": ("telegram", "bot_token"),
    "TELEGRAM_CHAT_ID": ("telegram", "chat_id"),
    "NOSTR_SECRET_KEY": ("nostr", "secret_key"),
}
"""Variables that win over the file, and what they set."""


class _Table(Struct, frozen=True, kw_only=True):
    """A table that may hold secrets."""

    def __repr__(self) -> str:
        """Say what is set, and no value."""
        given = [info.name for info in fields(self) if getattr(self, info.name) != info.default]
        return f"{type(self).__name__}({', '.join(f'{name}=…' for name in given)})"


class Telegram(_Table, frozen=True, kw_only=True):
    """``[telegram]``: a bot, and the one chat in which it is answered."""

    bot_token: str = ""
    bot_token_file: str = ""
    """A file that holds the token alone."""
    chat_id: str | int = ""
    allowed_users: tuple[int, ...] = ()
    """Who of the chat may answer, by numeric user id; empty: everybody there."""
    api_url: str = "https://api.telegram.org"
    """Of a Bot API server."""

    @property
    def missing(self) -> str:
        """The key without which nobody is reached; empty if there is all."""
        if not (self.bot_token or self.bot_token_file):
            return "bot_token"
        return "chat_id" if self.chat_id == "" else ""


class Nostr(_Table, frozen=True, kw_only=True):
    """``[nostr]``: private messages with one person."""

    relays: tuple[str, ...] = ()
    relay_url: str = ""
    """One more relay."""
    recipient_pubkey: str = ""
    """The person's public key: ``npub1…``, or 64 hexadecimal digits."""
    dm: Literal["nip17", "nip04"] = "nip17"
    """How messages are wrapped; ``nip04`` is for old clients."""
    secret_key: str = ""
    """Our own: ``nsec1…``, or 64 hexadecimal digits. Without any, one is made and kept."""
    secret_key_file: str = ""

    @property
    def missing(self) -> str:
        """The key without which nobody is reached; empty if there is all."""
        if not self.recipient_pubkey:
            return "recipient_pubkey"
        return "" if self.relays or self.relay_url else "relays"


class Apprise(_Table, frozen=True, kw_only=True):
    """``[apprise]``: notices, to anything that Apprise knows; nobody answers there."""

    urls: tuple[str, ...] = ()
    urls_file: str = ""
    """A file with one such address a line."""

    @property
    def missing(self) -> str:
        """The key without which nobody is reached; empty if there is all."""
        return "" if self.urls or self.urls_file else "urls"


class Channels(Struct, frozen=True, kw_only=True):
    """All the ways to people that a configuration names."""

    telegram: Telegram = Telegram()
    nostr: Nostr = Nostr()
    apprise: Apprise = Apprise()

    @property
    def configured(self) -> list[str]:
        """The names of those that can work."""
        return [name for name in TABLES if not getattr(self, name).missing]

    @property
    def halves(self) -> list[str]:
        """What is begun and cannot work, as people should be told."""
        tables = {name: getattr(self, name) for name in TABLES}
        return [
            f"[{name}] {table.missing}: missing; nobody is asked there"
            for name, table in tables.items()
            if table.missing and table != TABLES[name]()
        ]


TABLES: Mapping[str, type[Struct]] = {"telegram": Telegram, "nostr": Nostr, "apprise": Apprise}
_EXPECTED: Mapping[Any, str] = {
    str: "a text",
    str | int: "a number, or @name",
    tuple[int, ...]: "a list of numbers",
    tuple[str, ...]: "a list of texts",
    Literal["nip17", "nip04"]: "nip17 or nip04",
}
_SECRET = ("bot_token", "secret_key", "urls")
_LINKS = {"api_url": ("http", "https"), "relays": ("ws", "wss"), "relay_url": ("ws", "wss")}

T = TypeVar("T", bound=Struct)


def check(table: str, key: str, value: object) -> Any:
    """Return one value of a table, converted.

    Raises:
        FormatError: wrong type or impossible; names the key, what was found and expected.
    """
    kind = next(info.type for info in fields(TABLES[table]) if info.name == key)
    try:
        found = text.field(value, kind, key, _EXPECTED[kind])
    except FormatError:
        if key in _SECRET:
            raise FormatError(f"{key}: expected {_EXPECTED[kind]}") from None
        raise
    for part in found if isinstance(found, tuple) else (found,):
        _check_text(key, str(part))
    return found


def overridden(table: T, name: str, environ: Mapping[str, str]) -> T:
    """Return a table with what the environment sets over it.

    Raises:
        FormatError: a variable says what cannot be; names it.
    """
    for variable, (wanted, key) in ENVIRONMENT.items():
        if wanted == name and (value := environ.get(variable)):
            try:
                table = replace(table, **{key: check(name, key, value)})
            except FormatError as error:
                raise FormatError(f"{variable}: {error}") from None
    return table


def _check_text(key: str, found: str) -> None:
    if not found.isprintable():
        raise FormatError(f"{key}: found a control character, expected a text without")
    if found and key in _LINKS:
        try:
            parts = urlsplit(found)
            plain = parts.hostname and not parts.username and parts.port != 0
            fit = parts.scheme in _LINKS[key] and plain
        except ValueError:
            fit = False
        if not fit:
            schemes = " or ".join(f"{scheme}://" for scheme in _LINKS[key])
            raise FormatError(f"{key}: expected an address that begins with {schemes}")
