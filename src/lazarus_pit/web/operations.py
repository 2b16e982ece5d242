"""What was begun over the API, so that it can be asked for: by its id, or by the asker's own key.

It is written down before it begins: a server that was started anew knows it, and does no wish
twice. A secret that a command told is kept in memory alone, for whoever asks again.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lazarus_pit.errors import RefusedError, StoreError, WorldError
from lazarus_pit.records import operations as records
from lazarus_pit.records.database import opened_records
from lazarus_pit.records.operations import Kept
from lazarus_pit.web import verbs
from lazarus_pit.web.shapes import Operation

LATER = 75
"""A command's exit code for: the world failed, try again."""
AT_ONCE = 16
"""Operations under way at most: each is a process, and a thread that those who look want too."""
REMEMBERED = 1000
"""Operations that are held in memory; the oldest that have ended go first."""
UNKNOWN = "it was begun before the API was started anew: the events say how it ended"


class Asked(NamedTuple):
    """One wish: who has it, which, and their own key for it (empty: none)."""

    who: str
    key: str
    words: tuple[str, ...]
    """The command without what names the place."""
    given: bytes
    """What the command reads, or the hash of what it is given."""

    @property
    def wish(self) -> str:
        """A hash of what is wanted: a file may be long, and a word a secret."""
        return hashlib.sha256(repr((self.words, self.given)).encode()).hexdigest()


class _Begun:
    """A command that was started, and what it has become."""

    def __init__(self, asked: Asked, verb: str, subject: str, *, secret: bool) -> None:
        self.asked = asked
        self.said = ""
        self._secret = secret
        self.ended = threading.Event()
        began = round(time.time(), 3)
        self.kept = Kept(
            id=secrets.token_hex(8),
            who=asked.who,
            key=asked.key,
            wish=asked.wish,
            verb=verb,
            subject=subject,
            state="running",
            code=None,
            said="",
            began=began,
            ended=None,
        )

    def run(
        self, argv: Sequence[str], given: bytes, hold: Sequence[int], write: Callable[[Kept], None]
    ) -> None:
        try:
            done = verbs.run(argv, None, given, self.asked.who, hold)
        except OSError as error:  # No process left, or too many words for one.
            done = verbs.Outcome(LATER, f"it cannot be started: {error.strerror}")
        self.said = done.said
        self.kept = self.kept._replace(
            state="failed" if done.code else "done",
            code=done.code,
            said="told to whoever asked" if self._secret and not done.code else done.said,
            ended=round(time.time(), 3),
        )
        write(self.kept)
        self.ended.set()


class Operations:
    """All that was begun here, by id and by key. Many threads may ask."""

    def __init__(self, path: Path) -> None:
        """``path``: the fleet's records."""
        self._path = path
        self._lock = threading.Lock()
        self._all: OrderedDict[str, _Begun] = OrderedDict()

    def do(  # noqa: PLR0913 - an operation is these facts
        self,
        asked: Asked,
        verb: str,
        subject: str,
        argv: Sequence[str],
        *,
        secret: bool,
        given: bytes = b"",
        hold: Sequence[int] = (),
        patience: float | None = verbs.PATIENCE,
    ) -> tuple[Operation, str]:
        """Run a command, unless this wish has been heard before, and wait a while for its end.

        ``given`` is its standard input, ``hold`` are descriptors that it inherits.

        Returns the operation as everybody may see it, and what was said to whoever asked.

        Raises:
            RefusedError: the key was used for another wish.
            WorldError: as much as may be is under way, or a wish with a key cannot be remembered.
        """
        with self._lock:
            begun = _Begun(asked, verb, subject, secret=secret)
            known = self._begin(begun)
            if known is not None:
                if known.wish != asked.wish:
                    raise RefusedError("Idempotency-Key: it was used before, for something else")
                if known.id not in self._all:
                    return _shown(known, self._all), known.said or UNKNOWN
                begun = self._all[known.id]
            else:
                run = threading.Thread(
                    target=begun.run, args=(argv, given, hold, self._end), daemon=True
                )
                run.start()
        begun.ended.wait(patience)
        return _shown(begun.kept, self._all), begun.said

    def find(self, wanted: str) -> Operation | None:
        """Return an operation as it stands; ``None``: it is not known here."""
        begun = self._all.get(wanted)
        found = begun.kept if begun else None
        if found is None and self._path.exists():
            with opened_records(self._path) as db:
                found = records.find(db, wanted)
        return _shown(found, self._all) if found else None

    def latest(self, limit: int) -> tuple[Operation, ...]:
        """Return the last that were begun, the newest last."""
        with self._lock:
            here = {begun.kept.id: begun.kept for begun in self._all.values()}
        stored: list[Kept] = []
        if self._path.exists():
            with suppress(StoreError), opened_records(self._path) as db:
                stored = records.latest(db, limit)
        every = {one.id: one for one in stored} | here
        found = sorted(every.values(), key=lambda one: one.began)[-limit:]
        return tuple(_shown(one, self._all) for one in found)

    def _begin(self, begun: _Begun) -> Kept | None:
        """Remember what is to begin; where its key was used before, return that one instead."""
        key = begun.asked.key
        for one in self._all.values():
            if key and (one.asked.key, one.asked.who) == (key, begun.asked.who):
                return one.kept
        if sum(not one.ended.is_set() for one in self._all.values()) >= AT_ONCE:
            raise WorldError(f"{AT_ONCE} operations are under way: try again soon")
        try:
            with opened_records(self._path) as db:
                known = records.begin(db, begun.kept)
        except StoreError:
            if key:  # Whoever asks for once gets no more than once.
                raise
            known = None
        if known is None:
            self._all[begun.kept.id] = begun
            ended = [name for name, one in self._all.items() if one.ended.is_set()]
            for old in ended[: max(0, len(self._all) - REMEMBERED)]:
                del self._all[old]
        return known

    def _end(self, kept: Kept) -> None:
        with suppress(StoreError), opened_records(self._path) as db:
            records.end(db, kept)  # Where it cannot be, memory knows as long as it lasts.


def _shown(kept: Kept, here: OrderedDict[str, _Begun]) -> Operation:
    """Return an operation as everybody may see it."""
    lost = kept.state == "running" and kept.id not in here
    return Operation(
        id=kept.id,
        verb=kept.verb,
        subject=kept.subject,
        by=kept.who,
        state="unknown" if lost else kept.state,
        code=kept.code,
        said=UNKNOWN if lost else kept.said,
        began=kept.began,
        ended=kept.ended,
    )
