"""What a person is asked, and how it ended: the same words wherever they are carried.

A name may hold anything, at any length: it is cut and put on one line here, and a channel's
``Style`` makes the rest harmless in the markup that the channel speaks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lazarus_pit.errors import FormatError
from lazarus_pit.formats.instant import span
from lazarus_pit.formats.reply import SHORT_ID
from lazarus_pit.formats.text import one_line, spoken

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
    asks: str = ""
    """What an agent that lives asks, as ``quotable`` made it; empty: nobody asks."""

    @property
    def title(self) -> str:
        """One line that says what happened to whom."""
        name = one_line(self.agent, _NAME)
        if self.asks:
            return f"{name} asks for your word"
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
    comment: str = ""


ASKED_MAX = 1000
"""Characters of a question as it is shown: people must see all of what they approve."""


def quotable(words: str) -> str:
    """Return what an agent asks, fit to be shown to people in quotes.

    Raises:
        FormatError: it is empty, or too long to be shown whole.
    """
    shown = spoken(words)
    if not shown:
        raise FormatError("body: found nothing, expected what you want to do, and why")
    if len(shown) > ASKED_MAX:
        raise FormatError(
            f"body: {len(shown)} characters as people are shown it, expected at most {ASKED_MAX}: "
            "put details into a file of the workspace and name that"
        )
    return shown


def ask(question: Question, now: float, style: Style = PLAIN) -> str:
    """Return the message that asks (contract 4.1)."""
    lines = [style.strong(question.title), *_facts(question, now, style)]
    if question.asks:
        return "\n".join([*lines, _how_to_answer(question, now, style)])
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
    how = how_it_ended(ending, asks=bool(question.asks))
    head = style.strong(f"{question.title}: {how}")
    comment = [style.plain(f"Comment: {ending.comment}")] if ending.comment else []
    return "\n".join([head, *_facts(question, now, style), *comment])


def late(agent: str, ending: Ending, *, asks: bool = False) -> str:
    """Return what somebody is told who answers a closed request; ``asks``: an agent's question."""
    return f"{one_line(agent, _NAME)}: too late, {how_it_ended(ending, asks=asks)}."


def taken(agent: str, *, approved: bool, asks: bool = False) -> str:
    """Return what somebody is told whose answer counts; ``asks``: to an agent's question."""
    outcome = _outcome(Ending("approved" if approved else "denied", "", ""), asks=asks)
    return f"{one_line(agent, _NAME)}: {outcome}{', the agent is told' if asks else ''}."


def how_it_ended(ending: Ending, *, asks: bool = False) -> str:
    """Return in words what came of a request, and by whom; ``asks``: of an agent's question."""
    return f"{_outcome(ending, asks=asks)}{_by(ending)}"


def _outcome(ending: Ending, *, asks: bool) -> str:
    return "denied" if asks and ending.outcome == "denied" else _OUTCOMES[ending.outcome]


def _how_to_answer(question: Question, now: float, style: Style) -> str:
    approve, deny = (style.typed(f"{verb} {question.answer_to}") for verb in ("approve", "deny"))
    left = span(max(0.0, question.expires - now))
    return (
        style.plain(f"Nobody is revived by this. Answer within {left}: ")
        + approve
        + style.plain(" or ")
        + style.typed("+1")
        + style.plain(" says yes, ")
        + deny
        + style.plain(" says no; after a colon you can tell it why.")
    )


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
    said = [f"{style.plain('In its own words: ')}{style.typed(f'“{question.asks}”')}"]
    facts = {
        "Dead for": dead,
        "Held for": "" if question.held is None else span(max(0.0, now - question.held)),
        "Mission": one_line(question.mission, _MISSION),
        "Where": one_line(question.place, _NAME),
        "Probes": one_line(probes, 4 * _NOTE),
        "Request": question.id[:SHORT_ID],
    }
    lines = [style.plain(f"{name}: {found}") for name, found in facts.items() if found]
    return said + lines if question.asks else lines
