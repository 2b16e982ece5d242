"""The books of digests: what was told in one message, and what one answer to it may decide.

An answer to a digest decides what is still open of just those requests that people read in it,
and all of that. A request stands in one digest for good, whatever dies before that is noted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lazarus_pit.channels.gathering import Heap
from lazarus_pit.formats.reply import Word
from lazarus_pit.records import approvals
from lazarus_pit.records.approvals import Request


def lost(waiting: Sequence[Request], told: Sequence[Request | Heap]) -> str:
    """Return the promise that was broken where not each request is told, once."""
    ids = [
        request.id for one in told for request in (one.requests if isinstance(one, Heap) else [one])
    ]
    if sorted(ids) != sorted(one.id for one in waiting):
        return f"{len(waiting)} requests wait for a channel, {len(set(ids))} of them are told"
    return ""


def decisions(db: sqlite3.Connection) -> int:
    """Return how many answers there have been."""
    (found,) = db.execute("SELECT coalesce(max(decision), 0) FROM approvals").fetchone()
    return int(found)


class Heaps:
    """What people read together."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._read: dict[str, frozenset[str]] = {}
        """The requests of each digest, when it was first read."""
        self._of: dict[str, str] = {}
        """The digest of each request."""

    def holds(self, request: str) -> bool:
        """Whether a request was told among others."""
        return request in self._of

    def told(self, digest: str, requests: Sequence[Request]) -> str:
        """People read a digest; return the promise that was broken, if one was."""
        ids = frozenset(one.id for one in requests)
        if any(one.is_question for one in requests):
            return "what an agent asks is told among others"
        if not ids <= self._read.setdefault(digest, ids):
            return "a digest has grown since it was read first"
        if any(self._of.setdefault(one, digest) != digest for one in ids):
            return "a request stands in two digests"
        return ""

    def wrong(
        self, db: sqlite3.Connection, digest: str, word: Word | None, decided: Sequence[Request]
    ) -> str:
        """Return what is wrong with an answer to a digest having decided these requests.

        ``word``: what was said by somebody who may; ``None``: it may decide nothing.
        """
        read = self._read[digest]
        if word is None:
            return "a stranger's answer to a digest has decided something" if decided else ""
        if not {one.id for one in decided} <= read:
            return "an answer to a digest has decided what did not stand in it"
        if any((one.outcome == "approved") is not word.approved for one in decided):
            return "an answer to a digest is taken for another"
        left = [one for one in sorted(read) if _is_open(db, one)]
        return f"an answer to a digest has left {len(left)} of {len(read)} open" if left else ""


def _is_open(db: sqlite3.Connection, request: str) -> bool:
    found = approvals.find(db, request)
    return found is not None and found.outcome == "open"
