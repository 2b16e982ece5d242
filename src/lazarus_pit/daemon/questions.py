"""Questions of agents to people, from the mail that asks to the mail that answers.

The records hold them, channels carry them, and whoever answers rings the bell. Each round compares
the records with what was told: what a killed daemon did not tell, the next one finds there. An
answer's mail has an id of its question's making, so it is delivered once; its event is told at
least once. All but ``begin`` and ``told`` runs in the bus's own thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

from lazarus_pit.cells.files import replace_file
from lazarus_pit.cells.layout import QUESTIONS, CellPaths, PitPaths
from lazarus_pit.core.events import Told
from lazarus_pit.core.model import FleetRules, Key, Seconds
from lazarus_pit.daemon import notes
from lazarus_pit.daemon.router import Desk, Router
from lazarus_pit.errors import StoreError
from lazarus_pit.formats import text
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.reply import SHORT_ID
from lazarus_pit.records import questions as records
from lazarus_pit.records.approvals import Request
from lazarus_pit.records.database import opened_records

log = logging.getLogger(__name__)

TTL: Seconds = 3600.0
"""How long people have for an answer unless the mail's ``expires`` says otherwise."""
TTL_MAX: Seconds = 86400.0
SHOWN = 20
"""Questions of an agent that it is shown, the latest first."""
COMMITTED: Seconds = 1.0
"""After so long the loop has written what it was given to tell."""


class Due(NamedTuple):
    """What is to be told."""

    new: list[Request]
    """Of which the journal does not know."""
    over: list[Request]
    """Whose agents do not know how they ended."""
    open: bool
    """Whether there may be more to do later."""


class Questions:
    """What was given to the journal and is not noted in the records yet."""

    def __init__(self, pit: PitPaths, remembered: Iterable[Key]) -> None:
        """There may be old ones: the first round looks, before anybody's mail is read.

        Of ``remembered``, whom the ledger knew, they are; others of such names have come since.
        """
        self._pit = pit
        self._remembered: frozenset[Key] | None = frozenset(remembered)
        self._given: dict[str, tuple[int, float]] = {}
        self.due = True
        """Whether a round is wanted at once."""
        self.open = False
        """Whether sweeps have to look: one may have had its time."""

    def begin(self) -> Callable[[], Due]:
        """Begin a round; what it returns runs in the bus's thread."""
        self.due = False
        before = time.monotonic() - COMMITTED
        sure = {one: what for one, (what, at) in self._given.items() if at <= before}
        known = {one: what for one, (what, _) in self._given.items()}
        return lambda: self._look(sure, known)

    def told(self, asked: Request, what: int) -> None:
        """Remember that this was given to the journal."""
        self._given[asked.id] = (what, time.monotonic())

    def looked(self, due: Due) -> None:
        """End a round."""
        self.open = due.open
        if not due.open:
            self._given.clear()

    def _look(self, sure: Mapping[str, int], known: Mapping[str, int]) -> Due:
        if not self._pit.records.exists():
            self._remembered = None
            return Due([], [], open=False)
        now = time.time()
        try:
            with opened_records(self._pit.records) as db:
                if self._remembered is not None:
                    records.withdraw_all_but(db, self._remembered, now)
                self._remembered = None
                for one, what in sure.items():
                    records.told(db, one, what)
                new, over = records.untold(db, now)
                still = records.some_open(db, now)
        except StoreError as error:
            log.warning("cannot look for answers to questions, trying again: %s", error)
            return Due([], [], open=True)
        return Due(
            [one for one in new if known.get(one.id, 0) < records.ASKED],
            [one for one in over if known.get(one.id, 0) < records.ANSWERED],
            open=still or bool(new or over),
        )

    def deliver(
        self, router: Router, pairs: Iterable[tuple[Desk, Request]]
    ) -> list[tuple[Request, set[str]]]:
        """Tell agents what came of their questions; return those that were told.

        With each come the members whom mail has reached. A full inbox is tried again.
        """
        done = []
        for desk, asked in pairs:
            with suppress(StoreError):  # The next round finds it.
                publish(self._pit, desk.paths, desk.sender)
                reached = router.tell(desk, notes.decision(desk.sender, asked))
                if reached is not None:
                    done.append((asked, reached))
        return done


def publish(pit: PitPaths, paths: CellPaths, agent: str) -> None:
    """Show an agent where its questions stand; one that has never lived is shown nothing.

    Raises:
        StoreError: the records refuse.
    """
    with opened_records(pit.records) as db:
        found = records.latest(db, f"{paths.uuid}/{agent}", SHOWN)
    told = {"questions": [_shown(one) for one in found]}
    with suppress(StoreError):
        data = text.encode(told, "questions") + b"\n"
        replace_file(paths.published(agent) / QUESTIONS, data, durable=False)


def _shown(asked: Request) -> dict[str, str]:
    return {
        "id": notes.mail_of(asked),
        "question": str(asked.facts.get("question")),
        "state": notes.STATES[asked.outcome],
        "by": asked.by,
        "via": asked.via,
        "comment": asked.comment,
        "asked_at": to_rfc3339(asked.asked),
        "expires": to_rfc3339(asked.expires),
    }


def asked_event(asked: Request) -> Told:
    """Return what is told of a question."""
    data: dict[str, object] = {
        "request": asked.id[:SHORT_ID],
        "question": asked.facts.get("question"),
        "expires_in": round(asked.expires - asked.asked),
    }
    return Told(event="question_asked", key=asked.subject, data=data)


def answered_event(asked: Request) -> Told:
    """Return what is told of the end of a question."""
    data: dict[str, object] = {
        "request": asked.id[:SHORT_ID],
        "outcome": notes.STATES[asked.outcome],
        "by": asked.by,
        "via": asked.via,
        "comment": asked.comment,
    }
    kept = {name: value for name, value in data.items() if value}
    return Told(event="question_answered", key=asked.subject, data=kept)


def ask(  # noqa: PLR0913, PLR0917 - a question is these facts
    pit: PitPaths, desk: Desk, mail: str, question: str, until: float, fleet: FleetRules
) -> Request:
    """Put a question of a desk's sender to people; ``until`` in Unix seconds, 0 for the usual.

    Raises:
        RefusedError: it has asked enough.
        StoreError: the records refuse.
    """
    now = time.time()
    expires = min(until or now + TTL, now + TTL_MAX)
    key: Key = desk.key
    with opened_records(pit.records) as db:
        generation = desk.generations[desk.sender]
        asked = records.ask(
            db, key, generation, mail, question, expires=expires, now=now, fleet=fleet
        )
    publish(pit, desk.paths, desk.sender)
    return asked
