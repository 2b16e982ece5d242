"""What was begun over the API, so that it can be asked for: by its id, or by the asker's own key.

It is kept in memory alone. A server that has ended has forgotten it, but what it began goes on.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from lazarus_pit.errors import RefusedError, WorldError
from lazarus_pit.web import verbs
from lazarus_pit.web.shapes import Operation

LATER = 75
"""A command's exit code for: the world failed, try again."""
AT_ONCE = 16
"""Operations under way at most: each is a process, and a thread that those who look want too."""
KEPT = 1000
"""Operations that are remembered; the oldest that have ended go first."""


class Asked(NamedTuple):
    """One wish: who has it, which, and their own key for it (empty: none)."""

    who: str
    key: str
    words: tuple[str, ...]
    """The command without what names the place."""
    given: bytes


class _Begun:
    """A command that was started, and what it has become."""

    def __init__(self, asked: Asked, verb: str, subject: str, *, secret: bool) -> None:
        self.asked = asked
        self.said = ""
        self._secret = secret
        self.ended = threading.Event()
        self.now = Operation(
            id=secrets.token_hex(8),
            verb=verb,
            subject=subject,
            by=asked.who,
            state="running",
            code=None,
            said="",
            began=round(time.time(), 3),
            ended=None,
        )

    def run(self, argv: Sequence[str], given: bytes) -> None:
        try:
            done = verbs.run(argv, None, given, self.asked.who)
        except OSError as error:  # No process left, or too many words for one.
            done = verbs.Outcome(LATER, f"it cannot be started: {error.strerror}")
        self.said = done.said
        self.now = Operation(
            id=self.now.id,
            verb=self.now.verb,
            subject=self.now.subject,
            by=self.now.by,
            state="failed" if done.code else "done",
            code=done.code,
            said="told to whoever asked" if self._secret else done.said,
            began=self.now.began,
            ended=round(time.time(), 3),
        )
        self.ended.set()


class Operations:
    """All that was begun here, by id and by key. Many threads may ask."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._all: OrderedDict[str, _Begun] = OrderedDict()
        self._keys: dict[tuple[str, str], str] = {}

    def do(
        self, asked: Asked, verb: str, subject: str, argv: Sequence[str], *, secret: bool
    ) -> tuple[Operation, str]:
        """Run a command, unless this wish has been heard before, and wait a while for its end.

        Returns the operation as everybody may see it, and what was said to whoever asked.

        Raises:
            RefusedError: the key was used for another wish.
            WorldError: as much as may be is under way.
        """
        with self._lock:
            begun = self._known(asked)
            if begun is None:
                if sum(not one.ended.is_set() for one in self._all.values()) >= AT_ONCE:
                    raise WorldError(f"{AT_ONCE} operations are under way: try again soon")
                begun = _Begun(asked, verb, subject, secret=secret)
                self._remember(begun)
                run = threading.Thread(target=begun.run, args=(argv, asked.given), daemon=True)
                run.start()
        begun.ended.wait(verbs.PATIENCE)
        return begun.now, begun.said

    def find(self, wanted: str) -> Operation | None:
        """Return an operation as it stands; ``None``: it is not known here."""
        with self._lock:
            begun = self._all.get(wanted)
        return begun.now if begun else None

    def latest(self, limit: int) -> tuple[Operation, ...]:
        """Return the last that were begun, the newest last."""
        with self._lock:
            return tuple(begun.now for begun in list(self._all.values())[-limit:])

    def _known(self, asked: Asked) -> _Begun | None:
        begun = self._all.get(self._keys.get((asked.who, asked.key), "")) if asked.key else None
        if begun is not None and begun.asked != asked:
            raise RefusedError("Idempotency-Key: it was used before, for something else")
        return begun

    def _remember(self, begun: _Begun) -> None:
        self._all[begun.now.id] = begun
        if begun.asked.key:
            self._keys[begun.asked.who, begun.asked.key] = begun.now.id
        ended = [one for one in self._all.values() if one.ended.is_set()]
        for old in ended[: max(0, len(self._all) - KEPT)]:
            del self._all[old.now.id]
            self._keys.pop((old.asked.who, old.asked.key), None)
