"""What a person is asked, and how it ended: the same words wherever they are carried.

A name may hold anything, at any length: it is cut and put on one line here, and a channel's
``Style`` makes the rest harmless in the markup that the channel speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lazarus_pit.formats.instant import span
from lazarus_pit.formats.reply import SHORT_ID
from lazarus_pit.formats.text import one_line

_NAME, _MISSION, _NOTE = 120, 400, 160
"""Characters that are shown of a name, of a mission, and of what a probe or a person says."""


class Style(NamedTuple):
    """How a channel writes plain text, what matters, and what can be typed."""

    plain: Callable[[str], str]
    strong: Callable[[str], str]
    typed: Callable[[str], str]


def _same(text: str) -> str:
    return text


PLAIN = Style(_same, _same, _same)


class Question(NamedTuple):
    """One request, with all that a person should know."""

    id: str
    agent: str
    place: str
    """The cell, or where the gateway is listed."""
    mission: str
    died: float | None
    """Unix seconds."""
    attempts: int
    """Revives that are counted against the agent so far."""
    probes: Mapping[str, str]
    """What each probe saw of a gateway."""
    expires: float
    answer_to: str
    """The name by which ``revive`` and ``skip`` mean this request alone."""
    why: str = ""
    """What an agent that stands still has run into; empty for one that died."""
    held: float | None = None
    """Since when it stands still, in Unix seconds."""

    @property
    def title(self) -> str:
        """One line that says what happened to whom."""
        name = one_line(self.agent, _NAME)
        if not self.why:
            return f"{name} is dead"
        return f"{name} stands still: {CURBS.get(self.why, one_line(self.why, _NAME))}"


CURBS: Mapping[str, str] = {
    "budget_turns": "it has used up its budget of turns",
    "budget_tokens": "it has used up its budget of tokens",
    "budget_minutes": "it has used up its budget of minutes",
    "mission_turns": "its mission has used up its budget of turns",
    "mission_tokens": "its mission has used up its budget of tokens",
    "mission_minutes": "its mission has used up its budget of minutes",
    "loop": "it calls the same tools with the same results again and again",
}
"""Why the pit makes an agent stand still, in words."""


class Ending(NamedTuple):
    """How a request ended."""

    outcome: str
    """``approved``, ``denied``, ``expired`` or ``superseded``."""
    by: str
    via: str


def ask(question: Question, now: float, style: Style = PLAIN) -> str:
    """Return the message that asks (contract 4.1)."""
    lines = [style.strong(question.title), *_facts(question, now, style)]
    revive, skip = (style.typed(f"{verb} {question.answer_to}") for verb in ("revive", "skip"))
    left = span(max(0.0, question.expires - now))
    lines.append(
        style.plain(f"Answer within {left}: ")
        + revive
        + style.plain(" or ")
        + style.typed("+1")
        + style.plain(" lets it go on, " if question.why else " brings it back, ")
        + skip
        + style.plain(" ends it." if question.why else " leaves it dead this time.")
    )
    return "\n".join(lines)


def ended(question: Question, ending: Ending, now: float, style: Style = PLAIN) -> str:
    """Return what the message says once the request is closed."""
    head = style.strong(f"{question.title}: {_OUTCOMES[ending.outcome]}{_by(ending)}")
    return "\n".join([head, *_facts(question, now, style)])


def late(agent: str, ending: Ending) -> str:
    """Return what somebody is told who answers a closed request."""
    return f"{one_line(agent, _NAME)}: too late, {_OUTCOMES[ending.outcome]}{_by(ending)}."


def taken(agent: str, *, approved: bool) -> str:
    """Return what somebody is told whose answer counts."""
    return f"{one_line(agent, _NAME)}: {'approved' if approved else 'skipped'}."


_OUTCOMES = {
    "approved": "approved",
    "denied": "skipped",
    "expired": "nobody answered in time",
    "superseded": "no answer is needed any more",
}


def _by(ending: Ending) -> str:
    return f" by {one_line(ending.by, _NAME)} ({one_line(ending.via, 40)})" if ending.by else ""


def _facts(question: Question, now: float, style: Style) -> list[str]:
    since = question.died
    revived = question.attempts
    dead = "" if since is None else span(max(0.0, now - since))
    if dead and revived:
        dead += f", after {revived} revive{'s' if revived > 1 else ''}"
    probes = ", ".join(f"{name} {one_line(said, _NOTE)}" for name, said in question.probes.items())
    facts = {
        "Dead for": dead,
        "Held for": "" if question.held is None else span(max(0.0, now - question.held)),
        "Mission": one_line(question.mission, _MISSION),
        "Where": one_line(question.place, _NAME),
        "Probes": one_line(probes, 4 * _NOTE),
        "Request": question.id[:SHORT_ID],
    }
    return [style.plain(f"{name}: {said}") for name, said in facts.items() if said]
