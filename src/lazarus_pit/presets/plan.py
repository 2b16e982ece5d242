"""How the next life of a program begins: decided from what is known of the last one, purely."""

from __future__ import annotations

from typing import NamedTuple

from lazarus_pit.presets.base import Preset, Wanted

CALLS_SHOWN = 5


class Past(NamedTuple):
    """What is known when a life begins."""

    agent: str
    generation: int
    """The life that begins."""
    fresh: str
    """An id that no conversation has had, for one that this life may begin."""
    lived: bool = False
    """Whether it has had a life before."""
    ending: str = ""
    """How its last life ended, in words; empty where nobody saw it."""
    ended_at: str = ""
    """When, RFC 3339."""
    known: bool = True
    """Whether anything is known of what its last life said."""
    session: str = ""
    """The conversation that its last life led; it may have ended before it led one."""
    exhausted: bool = False
    """Whether that conversation is full."""
    lost: bool = False
    """Whether its program could not find it again."""
    unanswered: tuple[str, ...] = ()
    """Calls of tools that had no result when the last life ended."""


class Plan(NamedTuple):
    """How a life begins."""

    argv: tuple[str, ...]
    resumes: str = ""
    """The conversation that it goes on with; empty for a new one."""
    forgets: str = ""
    """Why it has to begin a new one although it has lived: one word for the journal."""


def plan(preset: Preset, wanted: Wanted, past: Past) -> Plan:
    """Return how the next life begins: the command line of ``drive`` around the program's own.

    A conversation that is full or that was not found again is not asked for.
    """
    forgets = _forgets(preset, past)
    if past.lived and past.session and preset.resumes and not forgets:
        words = f"{briefing(past)}\n\n{ON}\n\n{wanted.task}"
        line = preset.resume(wanted, words, past.session)
        return Plan(_driven(preset, wanted, ("--resume", past.session), line), past.session)
    words = f"{wanted.task}\n\n{briefing(past)} {AFRESH}" if past.lived else wanted.task
    chosen = past.fresh if preset.chooses else ""
    line = preset.begin(wanted, words, chosen)
    return Plan(_driven(preset, wanted, ("--begin", chosen), line), "", forgets)


def _forgets(preset: Preset, past: Past) -> str:
    if not (past.lived and preset.resumes):
        return ""
    if past.exhausted:
        return "exhausted"
    if past.lost:
        return "not_found"
    return "" if past.known else "none_known"


def _driven(
    preset: Preset, wanted: Wanted, session: tuple[str, str], line: tuple[str, ...]
) -> tuple[str, ...]:
    asks = ("--ask",) if wanted.asks else ()
    return ("lazarus", "drive", preset.name, *session, *asks, "--", *line)


ON = "Go on with your task where it stands. The task was:"
AFRESH = (
    "Your conversation of that time is gone. What was done by then is in the workspace: look there "
    "before you begin, and do nothing twice."
)


def briefing(past: Past) -> str:
    """Return what a revived agent is told: that it died, when, and what had no result."""
    how = f" ({past.ending})" if past.ending else ""
    when = f" at {past.ended_at}" if past.ended_at else ""
    begun = f"you were brought back, and this is life {past.generation} of {past.agent}."
    said = [f"[lazarus-pit] Your last life ended{when}{how}; {begun}"]
    if past.unanswered:
        calls = "; ".join(past.unanswered[:CALLS_SHOWN])
        said.append(
            f"When it ended, these calls had no recorded result: {calls}. Each may have taken "
            "effect in full, in part or not at all: check before you repeat it."
        )
    return " ".join(said)
