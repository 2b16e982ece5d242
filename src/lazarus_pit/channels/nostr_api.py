"""Everything that this program asks of ``nostr-sdk``, whose interface changes between releases.

Private messages to and from one key of ours over several relays: wrapped (NIP-17: a rumor in a
seal in a gift wrap, encrypted by NIP-44) or plain events with an encrypted text (NIP-04). Who
wrote a message is what its signature says, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from datetime import timedelta
from typing import Any, NamedTuple, Self

import nostr_sdk as sdk  # type: ignore[import-untyped]

from lazarus_pit.channels.base import ChannelError
from lazarus_pit.core.model import Seconds
from lazarus_pit.errors import ConfigError
from lazarus_pit.formats.text import one_line

log = logging.getLogger(__name__)

BACKDATED_SECONDS: Seconds = 2 * 86_400.0 + 3_600.0
"""A gift wrap hides when it was sent by a date up to two days before; and clocks differ."""
SEND_SECONDS: Seconds = 10.0
"""How long a relay may take to accept a message."""
ANSWER_SECONDS: Seconds = 5.0
"""How long a relay may take to be there, and then to bring what it has kept."""
QUIET_SECONDS: Seconds = 15.0
"""How often we make sure that a relay is there while nobody speaks."""
AGAIN_SECONDS: Seconds = 300.0
"""How often the relays are asked for all that they have, whatever they have brought by themselves.
"""
RETRY_SECONDS: Seconds = 5.0
"""How often a relay that is gone is tried."""
LONGEST = 65_536
"""Characters of a message that are looked into, encrypted."""
_LOOK_SECONDS: Seconds = 0.1
_SHOWN = 200
"""Characters of what a relay says."""
_QUEUE = 8_192
_REMEMBERED = 50_000
_FIELD = 2**256 - 2**32 - 977
"""The prime of secp256k1."""
_PRIVATE, _WRAP, _OLD, _RELAYS = 14, 1059, 4, 10_050


class Key:
    """Our own secret key."""

    def __init__(self, secret: str, named: str) -> None:
        """Take ``nsec1…`` or 64 hexadecimal digits; ``named`` says where that stood.

        Raises:
            ConfigError: it is none; what stood there is not shown.
        """
        try:
            self.keys = sdk.Keys.parse(secret)
        except sdk.NostrSdkError:
            expected = "expected nsec1… or 64 hexadecimal digits"
            raise ConfigError(f"{named}: not a secret key of Nostr, {expected}") from None

    @property
    def npub(self) -> str:
        """The public key, as people pass it on."""
        return str(self.keys.public_key().to_bech32())


def new_secret() -> str:
    """Return a new secret key, as ``nsec1…``."""
    return str(sdk.Keys.generate().secret_key().to_bech32())


def person(public: str, named: str) -> str:
    """Return a public key as 64 hexadecimal digits.

    Raises:
        ConfigError: it is none.
    """
    with contextlib.suppress(sdk.NostrSdkError):
        found = str(sdk.PublicKey.parse(public).to_hex())
        if _is_on_the_curve(int(found, 16)):
            return found
    expected = "expected the public key of somebody: npub1… or 64 hexadecimal digits"
    shown = "a secret key" if public.lower().startswith("nsec") else repr(public[:80])
    raise ConfigError(f"{named}: found {shown}, {expected}")


def _is_on_the_curve(x: int) -> bool:
    """Whether secp256k1 has a point there; the library finds out only when it encrypts."""
    return x < _FIELD and pow(x**3 + 7, (_FIELD - 1) // 2, _FIELD) == 1


def npub(public: str) -> str:
    """Return a public key of 64 hexadecimal digits as people pass it on."""
    return str(sdk.PublicKey.parse(public).to_bech32())


class Said(NamedTuple):
    """A private message to us, with a good signature."""

    id: str
    by: str
    """The author's public key, 64 hexadecimal digits."""
    text: str
    at: float
    """Unix seconds by the author's own clock."""
    about: tuple[str, ...]
    """The ids of messages that it answers, the last one last."""


class Message(NamedTuple):
    """A private message of ours, as relays take it; sent again, it is the same one."""

    event: Any
    id: str
    """By which an answer names it."""
    at: float
    """When it was made, Unix seconds."""


class Relays:
    """Our connections, for as long as a block runs. Relays that go are tried again for ever."""

    def __init__(self, key: Key, urls: Collection[str], *, wrapped: bool) -> None:
        """Connect nothing yet. ``wrapped``: NIP-17, else NIP-04.

        Raises:
            ConfigError: an address that the library cannot use.
        """
        self._keys = key.keys
        self._wrapped = wrapped
        self._sending: set[asyncio.Task[Any]] = set()
        self._ill: set[str] = set()
        """The relays that do not answer, and why, as it was said."""
        try:
            self._urls = [sdk.RelayUrl.parse(url) for url in urls]
        except sdk.NostrSdkError as error:
            raise ConfigError(f"[nostr] relays: {error}") from None

    async def __aenter__(self) -> Self:
        # Where a relay asks who we are, the library asks our key from a thread of its own.
        sdk.uniffi_set_event_loop(asyncio.get_running_loop())
        signer = sdk.SignerAuthenticator(self._keys)
        self._client = (
            sdk.ClientBuilder().authenticator(signer).notification_channel_size(_QUEUE).build()
        )
        again = timedelta(seconds=RETRY_SECONDS)
        options = sdk.RelayOptions().retry_interval(again).adjust_retry_interval(False)
        for url in self._urls:
            await self._client.add_relay(url, opts=options)
        await self._client.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._sending:
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)
        await self._client.shutdown()
        sdk.uniffi_set_event_loop(None)

    # ------------------------------------------------------------ to people

    async def send(self, message: Message) -> None:
        """Send a message; it is sent once one relay has it.

        Raises:
            ChannelError: no relay has said that it took it; says why. One may have it all the same.
        """
        refusals: list[str] = []
        for done in asyncio.as_completed(self._begin_to_send(message.event)):
            try:
                await done
            except (sdk.NostrSdkError, ChannelError) as error:
                refusals.append(str(error))
            else:
                return
        raise ChannelError(f"no relay takes a message: {'; '.join(sorted(set(refusals)))}")

    def made(self, text: str, to: str, *, about: str = "") -> Message:
        """Return a message to a public key; ``about`` is the id of the one that it answers."""
        person_ = sdk.PublicKey.parse(to)
        tags = [sdk.Tag.public_key(person_)]
        if about:
            tags.append(sdk.Tag.parse(["e", about, "", "reply"]))
        if not self._wrapped:
            hidden = sdk.nip04_encrypt(self._keys.secret_key(), person_, text)
            event = sdk.EventBuilder(sdk.Kind(_OLD), hidden).tags(tags).finalize(self._keys)
            return Message(event, event.id().to_hex(), time.time())
        rumor = sdk.EventBuilder(sdk.Kind(_PRIVATE), text).tags(tags)
        rumor = rumor.finalize_unsigned(self._keys.public_key()).ensure_id()
        wrap = sdk.nip59_make_gift_wrap(self._keys, person_, rumor)
        return Message(wrap, rumor.id().to_hex(), time.time())

    def _where_to_write(self) -> Any:
        """Say to everybody which relays we read: some programs write nowhere else (NIP-17)."""
        tags = [sdk.Tag.parse(["relay", str(url)]) for url in self._urls]
        return sdk.EventBuilder(sdk.Kind(_RELAYS), "").tags(tags).finalize(self._keys)

    def _begin_to_send(self, event: Any) -> list[asyncio.Task[Any]]:
        """Send to every relay at once; who has heard of one success need not wait for the rest."""
        tasks = [asyncio.create_task(self._to_one(event, url)) for url in self._urls]
        self._sending.update(tasks)
        for task in tasks:
            task.add_done_callback(self._sent)
        return tasks

    async def _to_one(self, event: Any, url: Any) -> None:
        relay = await self._client.relay(url)
        # What the library is given while a relay is away it may bring much later, unasked.
        await _until(ANSWER_SECONDS, lambda: _is_there(relay), f"{url} is not there")
        await relay.send_event(event, ok_timeout=timedelta(seconds=SEND_SECONDS))

    def _sent(self, task: asyncio.Task[Any]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and task.exception():
            log.debug("a relay has not taken an event: %s", task.exception())

    # ------------------------------------------------------------ from people

    async def hear(self, since: float) -> AsyncGenerator[Said | None, None]:
        """Hear who writes to us, what the relays have kept since then first.

        ``None`` says that a relay is there and nobody has spoken. Ends by an exception alone.

        Raises:
            ChannelError: no relay is there, or none of them answers as one does.
        """
        wanted = sdk.Filter().kind(sdk.Kind(_WRAP if self._wrapped else _OLD))
        wanted = wanted.pubkey(self._keys.public_key())
        wanted = wanted.since(sdk.Timestamp.from_secs(max(0, int(since - BACKDATED_SECONDS))))
        target = sdk.ReqTarget.auto([wanted])
        stream = self._client.notifications()
        following = await self._client.subscribe(target)
        coming = asyncio.ensure_future(stream.next())
        taken: set[str] = set()
        where = self._where_to_write()
        try:
            asked = -AGAIN_SECONDS
            await _until(ANSWER_SECONDS, self._is_anybody_there, "no relay is there")
            while True:
                if time.monotonic() - asked >= AGAIN_SECONDS and await self._is_anybody_there():
                    asked = time.monotonic()
                    if self._wrapped:
                        self._begin_to_send(where)
                    found = await self._kept(wanted)
                else:
                    # Never cancelled: what had just arrived would be lost.
                    await asyncio.wait({coming}, timeout=QUIET_SECONDS)
                    found, coming = _arrived(coming, stream)
                new = [event for event in found if event.id().to_hex() not in taken]
                if len(taken) > _REMEMBERED:
                    taken.clear()
                taken.update(event.id().to_hex() for event in new)
                opened = [said for event in new if (said := self._opened(event)) is not None]
                for said in sorted(opened, key=lambda one: one.at):
                    yield said
                if not found and not await self._is_anybody_there():
                    raise ChannelError("no relay is there")
                if not opened:
                    yield None
        finally:
            coming.cancel()
            with contextlib.suppress(sdk.NostrSdkError):
                await self._client.unsubscribe(following.id)

    async def _kept(self, wanted: Any) -> list[Any]:
        """Return what the relays have kept; who does not bring it is named.

        Raises:
            ChannelError: none does, so that nobody would be heard.
        """
        relays = [(str(url), await self._client.relay(url)) for url in self._urls]
        there = [one for one in relays if one[1].status() is sdk.RelayStatus.CONNECTED]
        brought = await asyncio.gather(*(_kept_by(relay, wanted) for _, relay in there))
        good = [found for found in brought if not isinstance(found, str)]
        ill = {
            f"{url} {why}"
            for (url, _), why in zip(there, brought, strict=True)
            if isinstance(why, str)
        }
        for one in sorted(ill - self._ill):
            log.warning("nostr: %s", one)
        self._ill = ill
        if not good:
            raise ChannelError("; ".join(sorted(ill)) or "no relay is there")
        return list({event.id().to_hex(): event for found in good for event in found}.values())

    async def _is_anybody_there(self) -> bool:
        relays = await self._client.relays()
        return any(relay.status() is sdk.RelayStatus.CONNECTED for relay in relays.values())

    def _opened(self, event: Any) -> Said | None:
        """Return what an event says to us; ``None`` for whatever is no good message."""
        try:
            if len(event.content()) > LONGEST or not event.verify():
                return None
            if not self._wrapped:
                author = event.author()
                text = sdk.nip04_decrypt(self._keys.secret_key(), author, event.content())
                return _said(event, author, text)
            gift = sdk.UnwrappedGift.from_gift_wrap(self._keys, event)
            rumor, author = gift.rumor().ensure_id(), gift.sender()
            same = rumor.author().to_hex() == author.to_hex()
            if not same or rumor.kind().as_u16() != _PRIVATE:
                return None
            return _said(rumor, author, rumor.content())
        except sdk.NostrSdkError as error:
            log.debug("a message that cannot be read: %s", error)
            return None


async def _is_there(relay: Any) -> bool:
    return relay.status() is sdk.RelayStatus.CONNECTED


async def _until(patience: Seconds, holds: Callable[[], Awaitable[bool]], why: str) -> None:
    """Wait until it holds; raises ChannelError, which says why, where it does not."""
    end = time.monotonic() + patience
    while not await holds():
        if time.monotonic() >= end:
            raise ChannelError(why)
        await asyncio.sleep(_LOOK_SECONDS)


async def _kept_by(relay: Any, wanted: Any) -> list[Any] | str:
    """Return what one relay has kept, or why it does not say."""
    began = time.monotonic()
    try:
        found = list(await relay.fetch_events(wanted, timeout=timedelta(seconds=ANSWER_SECONDS)))
    except sdk.NostrSdkError as error:
        return f"refuses: {one_line(str(error), _SHOWN)}"
    # The library tells no difference between a relay that has nothing and one that says nothing.
    if not found and time.monotonic() - began >= ANSWER_SECONDS:
        return "takes connections, and does not answer as a relay does"
    return found


def _arrived(coming: asyncio.Future[Any], stream: Any) -> tuple[list[Any], asyncio.Future[Any]]:
    """Return the events that came, and what to wait for next."""
    if not coming.done():
        return [], coming
    note = coming.result()
    if note is None or note.is_shutdown():
        raise ChannelError("the connections were closed")
    return [note.event] if note.is_new_event() else [], asyncio.ensure_future(stream.next())


def _said(message: Any, author: Any, text: str) -> Said:
    about = [tag.to_vec()[1] for tag in message.tags() if tag.kind() == "e" and tag.len() > 1]
    return Said(
        message.id().to_hex(),
        author.to_hex(),
        text,
        float(message.created_at().as_secs()),
        tuple(about),
    )
