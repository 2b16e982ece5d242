"""Operators answer in the issue: a comment by a listed user is a word (contract 4.3).

The request is a comment in the agent's own issue; a comment there that is a command and nothing
else answers it. Comments are polled for: a webhook only says that now is a good time to look, so
that a forged, lost or repeated one changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import sqlite3
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Self, TypeVar

import msgspec

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.channels import incidents
from lazarus_pit.channels.base import (
    ChannelError,
    Heard,
    MessageRefusedError,
    NotYetError,
    Outcome,
    Receipt,
)
from lazarus_pit.channels.desk import Desk
from lazarus_pit.channels.forge import Comment, Forge, ForgeDownError, ForgeRefusedError, unix
from lazarus_pit.channels.outbox import SIGN, is_ours
from lazarus_pit.channels.telling import PARTS, queue_of
from lazarus_pit.channels.webhook import listening
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import question, reply
from lazarus_pit.formats.forge_settings import Gitea
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.question import Ending, Question, Style
from lazarus_pit.records import approvals, outbox
from lazarus_pit.records.database import opened_records

NAME = "gitea"
PATIENCE = 60.0
"""Seconds that a question waits for an issue that nobody is about to open."""
OVERLAP = 120.0
"""Seconds before the last look that are looked at again: forges write comments side by side."""
FIRST_LOOK = 3600.0
"""Seconds before now at which who never looked begins, by whatever clock the forge has."""
LINGER = 300.0
"""Seconds after the last request's end in which late answers are still heard, and replied to."""
GRAIN = 1.0
"""A forge gives times by the second."""
MOST_REPLIES = 3
"""To one person in one issue, who may not answer there."""

T = TypeVar("T")

log = logging.getLogger(__name__)

_HARMLESS = re.compile(r"(?!.*://)[A-Za-z ][\w ,.:;'()/%-]*\Z", re.ASCII)


def _plain(text: str) -> str:
    """Return text as it stands where no letter of it has an effect in Markdown, else as code."""
    return text if _HARMLESS.match(text) else incidents.code(text, 800)


def _typed(text: str) -> str:
    return incidents.code(text, 2 * question.ASKED_MAX)


def _strong(text: str) -> str:
    return f"**{_plain(text)}**"


STYLE = Style(_plain, _strong, _typed)


class Comments:
    """The channel. It asks in issues that a ``Teller`` has opened, in whatever process."""

    name = NAME

    def __init__(self, settings: Gitea, pit: PitPaths, desk: Desk) -> None:
        """Nothing is connected before it is entered."""
        self._desk = desk
        self._pit = pit
        self._settings = settings
        self._approvers = {one.lower() for one in settings.approvers}
        self._forge = Forge(settings.url, settings.repo, settings.token)
        self._queues = [queue_of(part, self._forge) for part in PARTS]
        self._stack = AsyncExitStack()
        self._look = asyncio.Event()
        self._asked_at: dict[str, float] = {}
        self._replies: dict[tuple[int, str], int] = {}
        self._busy_until = time.monotonic() + LINGER

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._forge)
        if self._settings.webhook_port:
            try:
                await self._stack.enter_async_context(listening(self._settings, self._look.set))
            except ChannelError as error:
                log.warning("the forge cannot call, comments are polled for: %s", error)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def carry(self, asked: Question) -> Receipt:
        """Ask in the agent's issue; a request that was asked there before is found again."""
        number, coming = await self._records(lambda db: self._issue_of(db, asked.id))
        if number is None:
            first = self._asked_at.setdefault(asked.id, time.monotonic())
            if not coming and time.monotonic() - first > PATIENCE:
                raise MessageRefusedError(f"there is no issue about {asked.title}")
            raise NotYetError("the issue is not open yet", after=GRAIN)
        sign = f"{SIGN}ask={asked.id} -->"
        with _said():
            for one in await self._forge.comments(number):
                if one.text.startswith(sign):
                    return Receipt(str(number), unix(one.created_at))
            lines = question.ask(asked, time.time(), STYLE).split("\n")
            made = await self._forge.comment(number, "\n\n".join([sign, *lines]))
            return Receipt(str(number), unix(made.created_at))

    async def settle(self, asked: Question, ending: Ending, receipt: str) -> None:
        """Do nothing: the Teller says in the same issue what came of it."""

    async def listen(self) -> AsyncGenerator[Heard | None]:
        """Look at what was said since the last look; ``None`` after each look."""
        notes = await self._desk.recall()
        since = float(notes.get("since", time.time() - FIRST_LOOK))
        seen = set(msgspec.json.decode(notes.get("seen", "[]"), type=list[int]))
        while True:
            self._look.clear()
            if await self._records(self._is_worth_it):
                with _said():
                    found = await self._forge.comments_since(to_rfc3339(since - OVERLAP))
                ours = await self._records(self._issues)
                for one in found:
                    if one.id not in seen:
                        seen.add(one.id)
                        heard = self._heard(one, ours)
                        if heard is not None:
                            yield heard._replace(notes=_noted(since, seen))
                seen &= {one.id for one in found}
                since = max([since, *(unix(one.created_at) for one in found)])
                await self._desk.note(_noted(since, seen))
            yield None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._settings.poll_interval):
                    await self._look.wait()

    async def answer(self, heard: Heard, outcome: Outcome) -> None:
        """Reply to what did not count; of what did, the Teller tells."""
        if outcome.counts or not isinstance(heard.handle, Comment):
            return
        number = heard.handle.issue
        told = self._replies[number, heard.by] = self._replies.get((number, heard.by), 0) + 1
        if heard.forbidden and told > MOST_REPLIES:
            return
        with _said():
            words = f"{incidents.code('@' + heard.by, 80)}: {incidents.code(outcome.words, 800)}"
            await self._forge.comment(number, f"{SIGN}reply={heard.handle.id} -->\n{words}")

    def _heard(self, one: Comment, ours: set[int]) -> Heard | None:
        """Return what a comment says; ``None`` for one that is none of our business."""
        word = reply.read(one.text)
        if one.issue not in ours or word is None or is_ours(one.text):
            return None
        by = one.user.login if one.user else ""
        at = unix(one.created_at)
        forbidden = ""
        if by.lower() not in self._approvers:
            forbidden = "You may not answer here. Nothing was changed."
        elif unix(one.updated_at) > at + GRAIN:
            # Whoever administers a repository can put words into another's comment.
            forbidden = "That comment was changed. Write a new one. Nothing was changed."
        return Heard(
            word=word,
            by=by,
            at=at + GRAIN,
            about=str(one.issue),
            forbidden=forbidden,
            handle=one,
        )

    # ------------------------------------------------------------ the records, in a thread

    async def _records(self, act: Callable[[sqlite3.Connection], T]) -> T:
        def done() -> T:
            with opened_records(self._pit.records) as db:
                return act(db)

        return await asyncio.to_thread(done)

    def _issue_of(self, db: sqlite3.Connection, request: str) -> tuple[int | None, bool]:
        """Return the number of the issue about a request, and whether something is on the way."""
        found = approvals.find(db, request)
        if found is None:
            return None, False
        subject = incidents.subject_of(found.subject)
        if any(outbox.is_waiting(db, queue, subject) for queue in self._queues):
            return None, True  # It may be that the issue is opened, or opened again.
        numbers = [outbox.thread(db, queue, subject).number for queue in self._queues]
        return next((one for one in numbers if one is not None), None), False

    def _issues(self, db: sqlite3.Connection) -> set[int]:
        return {number for queue in self._queues for number in outbox.numbers(db, queue)}

    def _is_worth_it(self, db: sqlite3.Connection) -> bool:
        if approvals.pending(db, time.time()):
            self._busy_until = time.monotonic() + LINGER
        return time.monotonic() < self._busy_until


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Say a forge's trouble as a channel's."""
    try:
        yield
    except ForgeDownError as error:
        raise ChannelError(str(error), after=error.after) from None
    except FormatError as error:
        raise ChannelError(str(error)) from None
    except ForgeRefusedError as error:
        raise MessageRefusedError(str(error)) from None


def _noted(since: float, seen: set[int]) -> dict[str, str]:
    return {"since": f"{since:.3f}", "seen": msgspec.json.encode(sorted(seen)).decode()}
