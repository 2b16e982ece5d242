"""Nostr: private messages with one person, who answers in the words of the contract (4.2, 4.3).

What cannot be changed once it is sent is followed by another message: how a request ended is said
below the question. What we have heard stands in the records with what came of it, since relays
bring all of the last days again.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Self

from lazarus_pit.cells.files import durably, read_hostile, replace_file
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels.base import Heard, Outcome, Receipt
from lazarus_pit.channels.desk import Desk
from lazarus_pit.channels.nostr_api import (
    BACKDATED_SECONDS,
    Key,
    Message,
    Relays,
    Said,
    new_secret,
    npub,
    person,
)
from lazarus_pit.channels.secrets import secret
from lazarus_pit.core.model import Seconds
from lazarus_pit.formats import channel_settings, reply
from lazarus_pit.formats.digest import Digest, all_ended, ask_all
from lazarus_pit.formats.question import Ending, Question, ask, ended
from lazarus_pit.formats.text import one_line

SKEW_SECONDS: Seconds = 120.0
"""How far the clock of a person may be behind ours: what they said may be so much younger."""
NOTE_SECONDS: Seconds = 3_600.0
"""How often it is noted that the relays were heard until now."""
STRANGER_SECONDS: Seconds = 60.0
"""How often somebody who may not answer is told so, whoever they are."""
SAME_SECONDS: Seconds = 60.0
"""How long a question that may have been sent is tried again in the same words."""
_NOT_YOU = "You may not answer here. Nothing was changed."
_SEEN, _SINCE = "seen", "since"
_KEY_BYTES = 1024


def own_key(settings: channel_settings.Nostr, pit: PitPaths) -> Key:
    """Return our own key: the one that is configured, else one that is made once and kept.

    Raises:
        ConfigError: what is configured is none, or cannot be read.
        StoreError: the operating system refused.
        FormatError: where ours is kept stands something else.
    """
    given = secret(settings.secret_key, settings.secret_key_file, "[nostr] secret_key_file")
    if given:
        where = "secret_key" if settings.secret_key else "secret_key_file"
        return Key(given, f"[nostr] {where}")
    return Key(_kept_secret(pit.nostr_key), str(pit.nostr_key))


def _kept_secret(path: Path) -> str:
    """Return what is kept there, made where there is nothing; of two who make it one wins."""
    found = read_hostile(path, _KEY_BYTES)
    if found is not None:
        return found.decode("ascii", "replace").strip()
    mine = path.with_name(f".{path.name}.{os.getpid()}")
    with durably("cannot be made", path):
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        replace_file(mine, f"{new_secret()}\n".encode(), mode=0o600)
        try:
            os.link(mine, path)
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return _kept_secret(path)


class Nostr:
    """The channel."""

    name = "nostr"

    def __init__(self, settings: channel_settings.Nostr, desk: Desk) -> None:
        """Connect nothing yet.

        Raises:
            ConfigError: a key or an address that is none.
            StoreError, FormatError: our own key cannot be kept.
        """
        key = own_key(settings, desk.pit)
        self._person = person(settings.recipient_pubkey, "[nostr] recipient_pubkey")
        urls = dict.fromkeys((*settings.relays, settings.relay_url))
        self._relays = Relays(key, [url for url in urls if url], wrapped=settings.dm == "nip17")
        self._desk = desk
        self._refused_at = -STRANGER_SECONDS
        self._tried: dict[str, Message] = {}
        """Questions that no relay is known to have taken."""

    async def __aenter__(self) -> Self:
        await self._relays.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._relays.__aexit__()

    # ------------------------------------------------------------ to the person

    async def carry(self, question: Question) -> Receipt:
        """Ask."""
        return await self._ask(question.id, ask(question, time.time()))

    async def settle(self, question: Question, ending: Ending, receipt: str) -> None:
        """Say below the question how it ended."""
        await self._say(ended(question, ending, time.time()), self._person, receipt)

    async def carry_all(self, digest: Digest) -> Receipt:
        """Ask about many."""
        return await self._ask(digest.id, ask_all(digest, time.time()))

    async def settle_all(self, digest: Digest, endings: Sequence[Ending], receipt: str) -> None:
        """Say below the question about many how they ended."""
        await self._say(all_ended(digest, endings), self._person, receipt)

    async def answer(self, heard: Heard, outcome: Outcome) -> None:
        """Tell who wrote what became of it; what counts is told by ``settle``, whatever happens."""
        to: Said = heard.handle
        if not outcome.counts and (to.by == self._person or self._may_refuse()):
            await self._say(one_line(outcome.words, 2000), to.by, to.id)

    async def _ask(self, about: str, text: str) -> Receipt:
        """Send a question; tried again soon, the very same one: a relay may have it already."""
        now = time.time()
        tried = {one: it for one, it in self._tried.items() if abs(now - it.at) < SAME_SECONDS}
        message = tried.get(about) or self._relays.made(text, self._person)
        self._tried = {**tried, about: message}
        await self._relays.send(message)
        del self._tried[about]
        return Receipt(message.id, message.at)

    async def _say(self, text: str, to: str, about: str) -> None:
        await self._relays.send(self._relays.made(text, to, about=about))

    def _may_refuse(self) -> bool:
        now = time.monotonic()
        if now - self._refused_at < STRANGER_SECONDS:
            return False
        self._refused_at = now
        return True

    # ------------------------------------------------------------ from people

    async def listen(self) -> AsyncGenerator[Heard | None, None]:
        """Hear the person; strangers are told that they are not heard."""
        began = time.time()
        notes = await self._desk.recall()
        since = min(began, _number(notes.get(_SINCE, ""), began))
        seen = _seen(notes.get(_SEEN, ""))
        noted_at = 0.0
        async for said in self._relays.hear(since):
            now = time.time()
            if said is None:
                if now - noted_at >= NOTE_SECONDS:
                    noted_at = now
                    yield Heard(None, "", now, notes={_SINCE: f"{now:.0f}"})
                yield None
                continue
            heard = self._heard(said, now)
            if (
                heard is None
                or said.id in seen
                or (heard.forbidden and said.at < began - SKEW_SECONDS)
            ):
                continue
            if heard.forbidden:
                yield heard
                continue
            seen = _without_old({**seen, said.id: said.at}, now)
            yield heard._replace(notes={_SEEN: _noted(seen)})

    def _heard(self, said: Said, now: float) -> Heard | None:
        """Return what somebody said if it may be an answer, whoever they are."""
        word = reply.read(said.text)
        if word is None:
            return None
        return Heard(
            word,
            npub(said.by),
            min(now, said.at + SKEW_SECONDS),
            said.about[-1] if said.about else "",
            proves=True,  # It is a hash of what only the person can read.
            forbidden="" if said.by == self._person else _NOT_YOU,
            handle=said,
        )


def _number(noted: str, default: float) -> float:
    try:
        return float(noted)
    except ValueError:
        return default


def _seen(noted: str) -> dict[str, float]:
    """Return the messages that were heard; what is no note of ours says nothing."""
    pairs = (one.partition("@") for one in noted.split())
    return {id_: _number(at, 0.0) for id_, _, at in pairs}


def _noted(seen: Mapping[str, float]) -> str:
    return " ".join(f"{id_}@{at:.0f}" for id_, at in seen.items())


def _without_old(seen: Mapping[str, float], now: float) -> dict[str, float]:
    """Forget what no relay is asked for any more."""
    return {id_: at for id_, at in seen.items() if now - at < 2.0 * BACKDATED_SECONDS}
