"""``lazarus approvals``, ``approve`` and ``deny``: a person's word on revives and questions."""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import Annotated, Literal, NamedTuple

from cyclopts import Parameter

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cli import say
from lazarus_pit.cli.names import find_agent, label_of
from lazarus_pit.cli.place import HERE, Json, Place, who
from lazarus_pit.errors import LazarusError, UsageError
from lazarus_pit.formats.question import CURBS
from lazarus_pit.formats.text import one_line
from lazarus_pit.records import approvals as records
from lazarus_pit.records.approvals import Answered, Request
from lazarus_pit.records.database import opened_records

SHORTEST = 4
"""Characters of an id that may stand for the whole of it."""
_SHOWN = 8

Asked = Annotated[
    str, Parameter(help="The request's id, its beginning, or the agent: CELL/AGENT or AGENT.")
]
As = Annotated[str | None, Parameter(name="--as", help="Who decides; by default, whoever types.")]
Comment = Annotated[str, Parameter(help="What an agent that asked is told with the answer.")]
Via = Annotated[Literal["cli", "web"], Parameter(help="How the answer came, for the record.")]


def approvals(
    *,
    all_: Annotated[
        bool, Parameter(name="--all", negative="", help="Those that are closed too.")
    ] = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """List the requests that wait for a person's word."""
    pit = place.pit()
    found: list[tuple[Request, dict[str, str]]] = []
    if pit.records.exists():
        with opened_records(pit.records) as db:
            some = records.everything(db) if all_ else records.pending(db, time.time())
            found = [(one, records.receipts(db, one.id)) for one in some]
    if json:
        say.as_json([{**one._asdict(), "carried": carried} for one, carried in found])
        return 0
    for one, carried in found:
        say.line(_words(pit, one, carried))
    if not found:
        say.line("nothing was ever asked" if all_ else "nobody waits for a word")
    return 0


def questions(pit: PitPaths) -> dict[str, Request]:
    """Return the oldest open question of each agent that asks, by ``UUID/AGENT``."""
    found: dict[str, Request] = {}
    if pit.records.exists():
        with suppress(LazarusError), opened_records(pit.records) as db:  # `approvals` says why.
            for one in records.pending(db, time.time()):
                if one.is_question:
                    found.setdefault(one.subject, one)
    return found


def question_words(one: Request) -> str:
    """Say what an agent asks people."""
    return f"“{say.clean(str(one.facts.get('question')), 1200)}”"


def answers(one: Request) -> tuple[str, str]:
    """Return the commands that say yes and no to a question."""
    return f"lazarus approve {one.id[:_SHOWN]}", f"lazarus deny {one.id[:_SHOWN]}"


def approve(
    request: Asked,
    /,
    *,
    comment: Comment = "",
    by: As = None,
    via: Via = "cli",
    place: Place = HERE,
) -> int:
    """Let a dead agent be revived, or say yes to the question of one that lives."""
    given = _Given(approved=True, by=by or who(), via=via, comment=comment)
    return _answer(place.pit(), request, given)


def deny(
    request: Asked,
    /,
    *,
    comment: Comment = "",
    by: As = None,
    via: Via = "cli",
    place: Place = HERE,
) -> int:
    """Leave a dead agent dead (`lazarus revive` brings it back), or say no to a question."""
    given = _Given(approved=False, by=by or who(), via=via, comment=comment)
    return _answer(place.pit(), request, given)


class _Given(NamedTuple):
    approved: bool
    by: str
    via: str
    comment: str


def _answer(pit: PitPaths, text: str, given: _Given) -> int:
    if not pit.records.exists():
        raise UsageError(f"{say.clean(text, 80)!r}: nothing was ever asked below {pit.root}")
    now = time.time()
    with opened_records(pit.records) as db:
        meant = _meant(db, pit, text, now)
        answered = records.decide(
            db,
            meant.id,
            approved=given.approved,
            by=given.by,
            via=given.via,
            now=now,
            comment=one_line(" ".join(given.comment.split()), records.COMMENT_MAX),
        )
    if answered.reply != "decided":
        say.complain(_refusal(pit, meant, answered))
        return 1
    records.ring(pit.bell)
    told = ", the agent is told" if meant.is_question else ""
    word = "approved" if given.approved else "denied"
    say.line(f"{label_of(pit, meant.subject)}: {word}{told}")
    return 0


def _meant(db: sqlite3.Connection, pit: PitPaths, text: str, now: float) -> Request:
    """Return the one request that is meant; an open one before those that are closed.

    Raises:
        UsageError: none or several are meant.
    """
    subjects = {text}
    if "/" in text:
        with suppress(LazarusError):  # A gateway of the pool, or nobody.
            agent = find_agent(pit, text)
            subjects.add(f"{agent.paths.uuid}/{agent.name}")
    for among in (records.pending(db, now), records.everything(db)):
        found = [one for one in among if _is_meant(one, text, subjects)]
        if len(found) == 1:
            return found[0]
        if found and among and any(one.outcome == "open" for one in found):
            choices = ", ".join(
                f"{one.id[:_SHOWN]} {label_of(pit, one.subject)}" for one in found[:8]
            )
            raise UsageError(f"{say.clean(text, 80)!r} means {len(found)} requests: {choices}")
        if found:
            return found[-1]  # All are closed: the latest has the reply.
    raise UsageError(f"{say.clean(text, 80)!r}: no such request; see `lazarus approvals --all`")


def _is_meant(one: Request, text: str, subjects: set[str]) -> bool:
    if one.subject in subjects or one.subject.rpartition("/")[2] == text:
        return True
    return len(text) >= SHORTEST and one.id.startswith(text.lower())


def _refusal(pit: PitPaths, meant: Request, answered: Answered) -> str:
    now = answered.request or meant
    why = {
        "already decided": f"{now.outcome} before, by {say.clean(now.by, 80)} ({now.via})",
        "expired": "its time is over; `lazarus revive` needs no request",
        "superseded": "it needs no word any more: it was revived, stopped or taken out",
    }
    if now.is_question:
        why |= {"expired": "its time is over, the agent was told so", "superseded": "it has left"}
    return f"{label_of(pit, meant.subject)}: {why.get(answered.reply, answered.reply)}"


def _words(pit: PitPaths, one: Request, carried: dict[str, str]) -> str:
    left = one.expires - time.time()
    state = f"open for {say.span(left)}" if one.outcome == "open" and left > 0 else one.outcome
    by = f" by {say.clean(one.by, 80)} ({say.clean(one.via, 40)})" if one.by else ""
    asked = ", ".join(name for name, receipt in sorted(carried.items()) if receipt)
    on = f"  asked on {say.clean(asked, 80)}" if asked and one.outcome == "open" else ""
    why = str(one.facts.get("why") or "")
    held = "  dead: revive it?" if one.outcome == "open" else "  died"
    if why:
        held = f"  stands still: {CURBS.get(why, say.clean(why, 80))}"
    if one.is_question:
        held = f"  asks (nobody is revived): {question_words(one)}"
        held += f"  comment: {say.clean(one.comment, 500)}" if one.comment else ""
    life = f"life {one.generation}"
    return f"{one.id[:_SHOWN]}  {label_of(pit, one.subject)}  {life}  {state}{by}{on}{held}"
