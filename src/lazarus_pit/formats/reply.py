"""What a person says to a channel, and which one request it answers (contract 4.1, 4.3).

A command is the whole of what was said, whatever its case: ``revive NAME``, ``skip NAME`` or
``+1``. To a question of an agent it is ``approve NAME`` or ``deny NAME``, and a colon may follow
with a comment for the agent. An answer that does not mean exactly one request means none, and the
words say why.

A name is the agent's, or the longer forms that can tell two of one name apart: ``CELL/AGENT`` by
the cell's name or UUID, ``pool/GATEWAY``, or the request's id, of which the first eight do.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from lazarus_pit.formats.text import one_line

LONGEST = 4096
"""Characters of an answer; whatever is longer is none."""
SHORT_ID = 8
"""Characters of an id that stand for the whole of it."""
COMMENT_MAX = 500
"""Characters of a comment that are kept."""
_TYPEABLE = 64
_SHOWN = 80
_CHOICES = 8
_VERBS = {"revive": True, "skip": False}
_ANSWERS = {"approve": True, "deny": False}


class Word(NamedTuple):
    """A person's word."""

    approved: bool
    whom: str | None
    """As it was said, folded; ``None`` for ``+1``."""
    question: bool | None = None
    """Whether it speaks of a question, or of a death; ``None``: of either."""
    comment: str = ""
    """For the agent that asked; one line."""


class Asked(NamedTuple):
    """A request as it was asked in one place."""

    id: str
    subject: str
    """``<uuid>/<agent>`` or ``pool/<gateway>``."""
    cell: str
    """The cell's name, where it has one."""
    receipt: str
    """What the place knows the message by."""
    at: float
    """When it was asked there, by the clock of the place."""
    closed: float | None
    """When it ended; ``None`` while it is open."""
    question: bool = False
    """Whether an agent asks; else somebody is dead or stands still."""

    @property
    def agent(self) -> str:
        """The agent's own name; a gateway's may be anything."""
        return self.subject.partition("/")[2]


def read(text: str) -> Word | None:
    """Return the command that this text is as a whole, or ``None``: people also just talk."""
    if len(text) > LONGEST:
        return None
    said = folded(text)
    if said == "+1":
        return Word(approved=True, whom=None)
    verb, _, whom = said.removeprefix("/").partition(" ")
    if whom and verb in _VERBS:
        return Word(_VERBS[verb], whom, question=False)
    if verb in _ANSWERS and (whom := whom.partition(":")[0].strip()):
        comment = one_line(" ".join(text.partition(":")[2].split()), COMMENT_MAX)
        return Word(_ANSWERS[verb], whom, question=True, comment=comment)
    return None


def verb_for(one: Asked, *, approved: bool) -> str:
    """Return the command that answers a request so."""
    verbs = _ANSWERS if one.question else _VERBS
    return next(verb for verb, means in verbs.items() if means is approved)


def folded(text: str) -> str:
    """Return text as it is compared: case and the kind and number of blanks do not matter."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def tie(
    word: Word, asked: Sequence[Asked], *, at: float, about: str = "", proves: bool = False
) -> Asked | str:
    """Return the one request that is meant, open or closed; else why there is none.

    Args:
        word: what was said.
        asked: what was asked in this place, and could still be meant.
        at: when it was said, by the clock of the place and as late as it can have been. A request
            that was asked later is not meant: who spoke had not seen it.
        about: the receipt of the message that it answers; empty if it answers none.
        proves: whether nobody can name such a receipt who has not seen the message.
    """
    shown = [
        one
        for one in asked
        if one.at <= at
        or _is_id_of(word.whom or "", one)
        or (proves and one.receipt == about != "")
    ]
    here = [one for one in shown if one.receipt == about] if about else []
    if word.whom is None:
        if len(still := [one for one in here if one.closed is None]) > 1:
            return _several(word, still)
        if here:
            return _newest(here)
        return _loose(shown, at, loose=not about)
    named = [one for one in shown if _is_named(word, one)]
    if here:
        if mine := [one for one in here if one in named]:
            still = [one for one in mine if one.closed is None]
            return _several(word, still) if len(still) > 1 else _newest(mine)
        meant = _newest(here)
        if _goes_by(word.whom, meant):
            yes, no = (verb_for(meant, approved=yes) for yes in (True, False))
            return f"Say {yes} or {no} {name_for(meant, asked)} to that. Nothing was changed."
        return f"That message asks about {_shown(meant.agent)}. Nothing was changed."
    still = [one for one in named if one.closed is None]
    if len(still) > 1:
        return _several(word, still)
    if named:
        return _newest(named)
    if any(_is_named(word, one) for one in asked):
        return (
            "That was said before it was asked. Say it again if it is meant. Nothing was changed."
        )
    return f"Nobody called {_shown(word.whom)} waits for a word here. Nothing was changed."


def name_for(one: Asked, others: Iterable[Asked]) -> str:
    """Return the shortest name that a person can type and that means this request alone."""
    rest = [other for other in others if other.id != one.id and other.question is one.question]
    place = one.subject.partition("/")[0]
    names = (one.agent, f"{one.cell}/{one.agent}" if one.cell else "", f"{place}/{one.agent}")
    if one.question:  # Its agent may ask the next one at any time.
        names = ("", "", "")
    # A gateway may be called as the short id of another request; the whole id nobody can foresee.
    for name in (*filter(_is_typeable, names), one.id[:SHORT_ID]):
        if not any(_goes_by(folded(name), each) for each in rest):
            return name
    return one.id


def _is_typeable(name: str) -> bool:
    plain = name.isprintable() and name == " ".join(name.split()) and "`" not in name
    return 0 < len(name) <= _TYPEABLE and plain


def _loose(shown: Collection[Asked], at: float, *, loose: bool) -> Asked | str:
    """Return what a ``+1`` means that answers no request's own message."""
    open_then = [one for one in shown if one.closed is None or one.closed > at]
    if not open_then:
        return "Nobody waits for a word here. Nothing was changed."
    if not loose:
        return "Answer the request's own message, or say revive and the name. Nothing was changed."
    if len(open_then) > 1:
        return _several(Word(approved=True, whom=None), open_then)
    return open_then[0]


def _several(word: Word, meant: Sequence[Asked]) -> str:
    forms = [
        f"{verb_for(one, approved=word.approved)} {name_for(one, meant)}"
        for one in meant[:_CHOICES]
    ]
    more = f" … ({len(meant) - _CHOICES} more)" if len(meant) > _CHOICES else ""
    return f"That could mean {len(meant)} requests; say one of: {', '.join(forms)}{more}"


def _is_named(word: Word, one: Asked) -> bool:
    """Whether a word's name is that of a request of its sort."""
    return word.question in (None, one.question) and _goes_by(word.whom or "", one)


def _goes_by(name: str, one: Asked) -> bool:
    names = {folded(one.agent), folded(one.subject)}
    if one.cell:
        names.add(folded(f"{one.cell}/{one.agent}"))
    return name in names or _is_id_of(name, one)


def _is_id_of(name: str, one: Asked) -> bool:
    """Whether a name is a request's id: who knows it has seen the request, whatever clocks say."""
    return len(name) >= SHORT_ID and one.id.startswith(name)


def _newest(some: Sequence[Asked]) -> Asked:
    return max(some, key=lambda one: (one.closed is None, one.at))


def _shown(name: str) -> str:
    return one_line(name, _SHOWN)
