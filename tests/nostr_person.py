"""A person on Nostr, played by the library's own keys, and a relay of its own on loopback."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NamedTuple, Self

import nostr_sdk as sdk  # type: ignore[import-untyped]
import websockets.asyncio.server as ws

PATIENCE = 20.0
"""Seconds after which a test gives up; never how long something should take."""


class Letter(NamedTuple):
    """A private message that somebody got."""

    id: str
    by: str
    text: str
    about: str


class Relay:
    """The relay that nostr-sdk brings along."""

    def __init__(self, port: int = 0, *, asks_who: bool = False) -> None:
        builder = sdk.LocalRelayBuilder().addr("127.0.0.1")
        self._asks_who = asks_who
        if port:
            builder = builder.port(port)
        if asks_who:
            mode = sdk.LocalRelayBuilderNip42Mode.BOTH
            builder = builder.nip42(sdk.LocalRelayBuilderNip42(mode=mode))
        self._relay = builder.build()

    async def __aenter__(self) -> Self:
        if self._asks_who:  # Whoever is asked answers in a thread without a loop of its own.
            sdk.uniffi_set_event_loop(asyncio.get_running_loop())
        await self._relay.run()
        self.url = str(await self._relay.url())
        self.port = int(self.url.rpartition(":")[2])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._relay.shutdown()
        sdk.uniffi_set_event_loop(None)


class Rubbish:
    """What listens where a relay should: it answers all with the same words, or hangs up."""

    def __init__(self, says: str | None) -> None:
        """``None`` hangs up; empty says nothing; ``ID`` in it is the id of what was asked."""
        self._says = says

    async def __aenter__(self) -> Self:
        self._server = await ws.serve(self._talk, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _talk(self, peer: ws.ServerConnection) -> None:
        if self._says is None:
            return
        async for asked in peer:
            if self._says:
                await peer.send(self._says.replace("ID", json.dumps(json.loads(asked)[1])))


class Forgetful(Rubbish):
    """A relay that takes every event, and says so from the second time on."""

    def __init__(self) -> None:
        super().__init__("")
        self.taken: list[str] = []
        """The ids of the private messages that came."""

    async def _talk(self, peer: ws.ServerConnection) -> None:
        async for said in peer:
            what, *about = json.loads(said)
            if what == "REQ":
                await peer.send(json.dumps(["EOSE", about[0]]))
            elif what == "EVENT" and about[0]["kind"] == 1059:
                self.taken.append(about[0]["id"])
                if len(self.taken) > 1:
                    await peer.send(json.dumps(["OK", about[0]["id"], True, ""]))


class Person:
    """Somebody with a key, who reads and writes on one relay."""

    def __init__(self, url: str, *, wrapped: bool = True) -> None:
        self.keys = sdk.Keys.generate()
        self.npub = str(self.keys.public_key().to_bech32())
        self._url = sdk.RelayUrl.parse(url)
        self._wrapped = wrapped
        self._seen: set[str] = set()

    async def __aenter__(self) -> Self:
        signer = sdk.SignerAuthenticator(self.keys)
        self._client = sdk.ClientBuilder().authenticator(signer).build()
        await self._client.add_relay(self._url)
        await self._client.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.shutdown()

    async def read(self) -> Letter:
        """Wait for the next message."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for letter in await self.letters():
                    if letter.id not in self._seen:
                        self._seen.add(letter.id)
                        return letter
                await asyncio.sleep(0.02)

    async def letters(self) -> list[Letter]:
        """Return all that the relay has for this person, oldest first."""
        wanted = sdk.Filter().kind(sdk.Kind(1059 if self._wrapped else 4))
        target = sdk.ReqTarget.auto([wanted.pubkey(self.keys.public_key())])
        opened = [self._open(event) for event in await self._client.fetch_events(target)]
        return [letter for _, letter in sorted(opened, key=lambda one: one[0])]

    def _open(self, event: Any) -> tuple[int, Letter]:
        if self._wrapped:
            gift = sdk.UnwrappedGift.from_gift_wrap(self.keys, event)
            message, by = gift.rumor().ensure_id(), gift.sender()
            text = message.content()
        else:
            message, by = event, event.author()
            text = sdk.nip04_decrypt(self.keys.secret_key(), by, event.content())
        about = [tag.to_vec()[1] for tag in message.tags() if tag.kind() == "e"]
        letter = Letter(message.id().to_hex(), by.to_bech32(), text, about[-1] if about else "")
        return message.created_at().as_secs(), letter

    async def say(
        self, to: str, text: str, about: str = "", *, at: float | None = None, as_: Any = None
    ) -> Any:
        """Write to somebody; ``at`` is the date it bears, ``as_`` whose name stands in it."""
        reader = sdk.PublicKey.parse(to)
        tags = [sdk.Tag.public_key(reader)]
        if about:
            tags.append(sdk.Tag.parse(["e", about]))
        if not self._wrapped:
            hidden = sdk.nip04_encrypt(self.keys.secret_key(), reader, text)
            event = sdk.EventBuilder(sdk.Kind(4), hidden).tags(tags).finalize(self.keys)
            return await self.publish(event)
        rumor = sdk.EventBuilder(sdk.Kind(14), text).tags(tags)
        if at is not None:
            rumor = rumor.custom_created_at(sdk.Timestamp.from_secs(int(at)))
        rumor = rumor.finalize_unsigned(as_ or self.keys.public_key())
        return await self.publish(sdk.nip59_make_gift_wrap(self.keys, reader, rumor))

    async def publish(self, event: Any) -> Any:
        """Give an event to the relay."""
        async with asyncio.timeout(PATIENCE):
            while True:
                done = await self._client.send_event(event)
                if done.success:
                    return event
                await asyncio.sleep(0.02)
