"""What is to be said to a forge is delivered: in order for each subject, once, whatever dies.

A post carries its own key in a comment that nobody sees. One that was tried before is looked for
by that key, so that an answer that was lost, or our own death, has nothing said twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar

from lazarus_pit.channels import incidents
from lazarus_pit.channels.forge import Forge, ForgeDownError, ForgeRefusedError, Issue, Label
from lazarus_pit.channels.incidents import Action, Close, Open, Say
from lazarus_pit.formats.text import one_line
from lazarus_pit.records import outbox
from lazarus_pit.records.database import opened_records, transaction
from lazarus_pit.records.outbox import Post

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST_REFUSALS = 5
"""After so many a post is given up: it must not keep back what comes after it."""


class _BarredError(ForgeRefusedError):
    """Our account may not write there, and it is no matter of this post: it is kept."""


COLOUR = "8a2be2"
SIGN = "<!-- lazarus:"
"""The beginning of all that a pit writes at a forge; nobody sees it there."""


class Outbox:
    """Delivers the posts of one queue to one forge. Nobody else may do so at the same time."""

    def __init__(self, records: Path, forge: Forge, queue: str) -> None:
        """Nothing is delivered yet."""
        self._records = records
        self._forge = forge
        self._queue = queue
        self._label: Label | None = None
        self._open: list[Issue] | None = None
        self._refused: set[int] = set()
        self._barred: set[str] = set()
        """Subjects in whose issue our account may not write, as it was said."""

    @property
    def is_waiting(self) -> bool:
        """Whether the last call of ``deliver`` has left something that was refused."""
        return bool(self._refused)

    async def deliver(self) -> None:
        """Deliver all there is; what is refused is tried again at the next call.

        Raises:
            ForgeDownError: the forge cannot take it now; nothing is lost.
            StoreError: the records refuse.
        """
        self._open = None
        self._refused.clear()
        while True:
            posts = await self.keep(lambda db: outbox.first_of_each(db, self._queue))
            ready = [post for post in posts if post.id not in self._refused]
            if not ready:
                return
            for post in ready:
                await self._deliver(post)

    async def keep(self, act: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the records, all of it or nothing.

        Raises:
            StoreError: they refuse.
        """

        def done() -> T:
            with opened_records(self._records) as db, transaction(db):
                return act(db)

        return await asyncio.to_thread(done)

    async def _deliver(self, post: Post) -> None:
        if not post.tried:
            await self.keep(lambda db: outbox.trying(db, post.id))
        try:
            number = await self._do(post, incidents.from_object(post.action))
        except _BarredError as error:
            self._refused.add(post.id)
            if post.subject not in self._barred:
                self._barred.add(post.subject)
                log.warning("what is said about %s is kept: %s", post.subject, error)
            return
        except ForgeRefusedError as error:
            self._refused.add(post.id)
            log.warning("the forge refuses what is said about %s: %s", post.subject, error)
            if post.refusals + 1 < MOST_REFUSALS:
                await self.keep(lambda db: outbox.refused(db, post.id))
            else:
                log.warning("it is given up: %s", _summary(post.action))
                await self.keep(lambda db: outbox.done(db, post.id))
            return
        self._barred.discard(post.subject)
        await self.keep(lambda db: self._delivered(db, post, number))

    def _delivered(self, db: sqlite3.Connection, post: Post, number: int | None) -> None:
        outbox.numbered(db, self._queue, post.subject, number)
        outbox.done(db, post.id)

    async def _do(self, post: Post, action: Action) -> int | None:
        """Do it and return the number of the subject's issue, where it has one."""
        thread = await self.keep(lambda db: outbox.thread(db, self._queue, post.subject))
        match action:
            case Open():
                return await self._see_open(post, action, thread.number)
            case Say(text=text) | Close(text=text) if thread.number is not None:
                try:
                    if not await self._say(thread.number, post, text):
                        return None
                except _BarredError:
                    raise
                except ForgeRefusedError:
                    # Where the last word is never taken, a locked issue is closed without it.
                    if isinstance(action, Say) or post.refusals + 1 < MOST_REFUSALS:
                        raise
                if isinstance(action, Close) and action.close:
                    await self._forge.set_state(thread.number, "closed")
                return thread.number
            case _:
                return None  # Its issue never came to be, or was removed.

    async def _see_open(self, post: Post, action: Open, number: int | None) -> int:
        issue = await self._forge.issue(number) if number is not None else None
        if issue is None or (issue.state != "open" and not action.reopen):
            with _no_post_is_to_blame():
                issue = await self._find(post, action)
        if issue is None:
            head = f"{SIGN}{_marker(post)} post={post.key} -->"
            with _no_post_is_to_blame():
                label = await self._labelled()
                issue = await self._forge.open(action.title, f"{head}\n{action.body}", [label])
            return issue.number
        if post.key in _first_line(issue.text):
            return issue.number  # This very post opened it, before we died.
        if issue.state != "open":
            await self._forge.set_state(issue.number, "open")
        if action.again:
            await self._say(issue.number, post, action.again)
        return issue.number

    async def _find(self, post: Post, action: Open) -> Issue | None:
        """Look for an issue about that subject that is open, or that this post has opened."""
        if post.tried:
            label = await self._labelled()
            for issue in await self._forge.issues(state="all", label=label.name):
                if f"post={post.key} " in _first_line(issue.text):
                    return issue
        if self._open is None:
            self._open = await self._forge.issues()
        marked = [one for one in self._open if f"{_marker(post)} " in _first_line(one.text)]
        named = [one for one in self._open if one.title.startswith(action.prefix)]
        # One that bears another's mark, or was taken over for one, is about a namesake.
        taken = await self.keep(lambda db: outbox.numbers(db, self._queue)) if named else set()
        unmarked = [one for one in named if not is_ours(one.text) and one.number not in taken]
        found = marked or unmarked
        return min(found, key=lambda one: one.number) if found else None

    async def _say(self, number: int, post: Post, text: str) -> bool:
        """Comment, unless this post has done so before; ``False``: there is no such issue."""
        try:
            if post.tried:
                known = await self._forge.comments(number)
                if any(f"post={post.key} " in _first_line(one.text) for one in known):
                    return True
            await self._forge.comment(number, f"{SIGN}post={post.key} -->\n{text}")
        except ForgeRefusedError as error:
            if error.status in (404, 410):
                log.warning("issue %d was removed; what was to be said in it is dropped", number)
                return False
            if error.status == HTTPStatus.FORBIDDEN:
                issue = await self._forge.issue(number)
                if issue is not None and not (issue.is_locked or issue.locked):
                    raise _BarredError(str(error), error.status) from None
            raise
        return True

    async def _labelled(self) -> Label:
        if self._label is None:
            said = "Opened by Lazarus Pit about an agent that died"
            self._label = await self._forge.label(incidents.LABEL, COLOUR, said)
        return self._label


@contextlib.contextmanager
def _no_post_is_to_blame() -> Iterator[None]:
    """Where the repository itself is out of reach, all of it waits until that is put right."""
    try:
        yield
    except ForgeRefusedError as error:
        if error.status in (403, 404, 410):
            raise ForgeDownError(str(error)) from None
        raise


def is_ours(text: str) -> bool:
    """Whether a page or comment was written by a pit."""
    return _first_line(text).startswith(SIGN)


def _marker(post: Post) -> str:
    return incidents.marker_of(post.subject)


def _first_line(text: str) -> str:
    return text.partition("\n")[0].rstrip("\r")


def _summary(action: Mapping[str, Any]) -> str:
    """Return what an action of the records is, for a log."""
    return one_line(str(action.get("title") or action.get("text") or ""), 200)
