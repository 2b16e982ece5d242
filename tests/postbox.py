"""A service to people that lives in a test, and the channel to it."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, ParamSpec, Self

from lazarus_pit.channels.base import (
    ChannelError,
    Heard,
    MessageRefusedError,
    NotYetError,
    Outcome,
    Receipt,
)
from lazarus_pit.channels.desk import Desk
from lazarus_pit.formats.question import Ending, Question
from lazarus_pit.formats.reply import read

P = ParamSpec("P")


def in_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test in an event loop of its own."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class Post:
    """Everybody who reads here sees what was sent, and may speak."""

    def __init__(self) -> None:
        self.up = True
        self.refuses: set[str] = set()
        self.not_yet: set[str] = set()
        self.unchangeable = False
        self.tries = 0
        self.sent: dict[str, Question] = {}
        """By receipt."""
        self.endings: dict[str, str] = {}
        self.told = {"sent": 0, "endings": 0}
        """How many messages there were, those that came twice among them."""
        self.replies: list[Outcome] = []
        self.clock = 10.0
        self.said: asyncio.Queue[Heard] = asyncio.Queue()
        self.changed = asyncio.Condition()

    def say(self, text: str, about: str = "", forbidden: str = "") -> None:
        self.clock += 1.0
        word = read(text)
        self.said.put_nowait(Heard(word, "ada", self.clock, about, forbidden=forbidden))

    async def until(self, length: int, what: str) -> None:
        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(lambda: len(getattr(self, what)) >= length)


class PostChannel:
    """The channel: what a file in ``channels`` has to be."""

    def __init__(self, desk: Desk, post: Post) -> None:
        self.name = desk.channel
        self._post = post

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    async def carry(self, question: Question) -> Receipt:
        self._try()
        if question.agent in self._post.not_yet:
            raise NotYetError("not that one yet", after=0.02)
        if question.agent in self._post.refuses:
            raise MessageRefusedError("not that one")
        receipt = str(len(self._post.sent) + 1)
        self._post.sent[receipt] = question
        self._post.told["sent"] += 1
        await self._notify()
        return Receipt(receipt, self._post.clock)

    async def settle(self, question: Question, ending: Ending, receipt: str) -> None:
        self._try()
        if self._post.unchangeable:
            raise ChannelError("not now")
        assert question == self._post.sent[receipt]._replace(answer_to=question.answer_to)
        self._post.endings[receipt] = ending.outcome
        self._post.told["endings"] += 1
        await self._notify()

    async def listen(self) -> AsyncGenerator[Heard | None, None]:
        while True:
            self._try()
            yield None
            yield await self._post.said.get()

    async def answer(self, heard: Heard, outcome: Outcome) -> None:
        assert heard.word is not None
        self._post.replies.append(outcome)
        await self._notify()

    def _try(self) -> None:
        self._post.tries += 1
        if not self._post.up:
            raise ChannelError("nobody at home")

    async def _notify(self) -> None:
        async with self._post.changed:
            self._post.changed.notify_all()
