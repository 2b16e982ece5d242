"""What people are asked about many at once, and how it ended: one message for all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from lazarus_pit.formats.instant import span
from lazarus_pit.formats.question import CURBS, PLAIN, Ending, Style, how_it_ended
from lazarus_pit.formats.reply import SHORT_ID
from lazarus_pit.formats.text import one_line

NAMED = 10
"""How many are named in the message."""
_MISSION = 200
_WAYS = 5
"""How many ways in which requests ended are told apart."""


class Digest(NamedTuple):
    """Requests of one sort that are told in one message."""

    id: str
    requests: tuple[str, ...]
    """The whole ids of those that it asks about, and of no others."""
    names: tuple[str, ...]
    """How the first of them are answered each by itself."""
    why: str
    """What they have run into, of ``CURBS``; empty if they are dead."""
    mission: str
    """The mission of all of them; empty if there are several."""
    expires: float
    """When the first of them ends by itself, Unix seconds."""

    @property
    def title(self) -> str:
        """One line that says what happened to how many."""
        many = len(self.requests)
        who = f"{many} agent{'s' * (many != 1)}"
        if self.why:
            stand = "stands" if many == 1 else "stand"
            return f"{who} {stand} still: {_each(CURBS[self.why])}"
        return f"{who} {'is' if many == 1 else 'are'} dead"


def ask_all(digest: Digest, now: float, style: Style = PLAIN) -> str:
    """Return the message that asks about all of them."""
    revive, skip = (style.typed(f"{verb} {digest.id[:SHORT_ID]}") for verb in ("revive", "skip"))
    left = span(max(0.0, digest.expires - now))
    yes, no = (
        ("lets all of them go on", "ends them all")
        if digest.why
        else (
            "brings all of them back",
            "leaves all of them dead this time",
        )
    )
    last = (
        style.plain(f"Answer within {left}: ")
        + revive
        + style.plain(f" {yes}, ")
        + skip
        + style.plain(f" {no}; with a name in its place, that one alone.")
    )
    return "\n".join([style.strong(digest.title), *_facts(digest, style), last])


def all_ended(digest: Digest, endings: Sequence[Ending], style: Style = PLAIN) -> str:
    """Return what the message says once every one of its requests is closed."""
    ways = Counter(how_it_ended(one) for one in endings)
    first = [f"{count} {how}" if len(ways) > 1 else how for how, count in ways.most_common(_WAYS)]
    rest = len(endings) - sum(count for _, count in ways.most_common(_WAYS))
    told = ", ".join([*first, *[f"{rest} in other ways"] * (rest > 0)])
    return "\n".join([style.strong(f"{digest.title}: {told}"), *_facts(digest, style)])


def all_taken(done: int, before: int, *, approved: bool) -> str:
    """Return what somebody is told whose answer counts for ``done``, and came late for others."""
    more = f" {before} had ended before." if before else ""
    return f"{done} agent{'s' * (done != 1)}: {'approved' if approved else 'skipped'}.{more}"


def all_late() -> str:
    """Return what somebody is told who answers when nothing of a digest is open any more."""
    return "Too late: none of them waits any more. Nothing was changed."


def _each(words: str) -> str:
    """Return what is said of one agent as it is said of each of many."""
    if words.startswith("its "):
        return f"each one's {words.removeprefix('its ')}"
    return f"each {words.removeprefix('it ')}"


def _facts(digest: Digest, style: Style) -> list[str]:
    rest = len(digest.requests) - len(digest.names)
    who = ", ".join(digest.names) + (f" and {rest} more (lazarus approvals)" if rest > 0 else "")
    mission = one_line(digest.mission, _MISSION)
    facts = {"Who": who, "Mission": mission, "Digest": digest.id[:SHORT_ID]}
    return [style.plain(f"{name}: {said}") for name, said in facts.items() if said]
