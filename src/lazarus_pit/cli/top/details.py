"""One agent closely: why it is as it is, what happened to it, what it printed."""

from __future__ import annotations

import textwrap
import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from lazarus_pit.cells.layout import CellPaths, PitPaths
from lazarus_pit.cli import outlook, say
from lazarus_pit.cli.follow import JournalTail, LogTail, journal_end
from lazarus_pit.cli.sentences import sentence
from lazarus_pit.cli.top.asked import words
from lazarus_pit.cli.top.looks import Key, Row
from lazarus_pit.cli.why import CHATTER
from lazarus_pit.core.model import Rules
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.manifest import rules_of

KEPT = 40
"""How many of the latest events and lines are held."""
REACH = 64 * 1024
"""Bytes of a journal or a log that are looked at when its agent is selected."""
GUTTER = 8
"""Columns before the text, in which each part is named once."""
CLOCK = slice(11, 19)
"""The time of day in an instant of the journal."""

DOWN, UNTIL = "Nothing, until", "Nothing until a person acts: "
"""How the outlook begins where the daemon is down, and where somebody must act: said elsewhere."""


class Details(NamedTuple):
    """What is told about the selected line."""

    key: Key
    title: str
    why: tuple[str, ...]
    events: tuple[str, ...]
    log: tuple[str, ...]


class Closeup:
    """Follows the journal and the log of one agent; a look costs what is new in them."""

    def __init__(self, pit: PitPaths, key: Key) -> None:
        """Begin near the end of both."""
        self.key = key
        uuid, self._name = key
        paths = pit.cell(uuid)
        self._journal = JournalTail(paths.events, max(0, journal_end(paths.events) - REACH))
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._log = _log_of(paths, self._name)
        if self._log is not None:
            self._lines.extend(_decoded(self._log.last(KEPT, REACH)))

    def close(self) -> None:
        """Close the log."""
        if self._log is not None:
            self._log.close()

    def look(self, row: Row, rules: Rules, *, up: bool) -> Details:
        """Return what is to be told now.

        Args:
            row: the line as it was last seen.
            rules: those of the configuration, which cell and agent may override.
            up: whether the daemon is there.
        """
        self._events.extend(
            event
            for event in self._journal.read()
            if event.event not in CHATTER and self._name in ("", event.agent)
        )
        if self._log is not None:
            self._lines.extend(_decoded(self._log.read()))
        title, why = _why(row, rules, up=up)
        told = (f"{say.clean(event.ts[CLOCK], 8)} {sentence(event)}" for event in self._events)
        return Details(self.key, title, why, tuple(told), tuple(self._lines))


def far_details(row: Row) -> Details:
    """Return what is told about a gateway outside every cell: what its request says."""
    if row.request is None:
        return Details(row.key, say.clean(row.label, 140), (), (), ())
    probes = row.request.facts.get("probes")
    seen = probes.items() if isinstance(probes, dict) else ()
    facts = (f"{say.clean(name, 40)}: {say.clean(said, 160)}" for name, said in seen)
    why = (words(row.request, time.time()), *facts)
    title = f"{say.clean(row.label, 140)}: outside every cell"
    return Details(row.key, title, why, (), ())


def _log_of(paths: CellPaths, name: str) -> LogTail | None:
    return LogTail(paths.log(name)) if name else None


def _decoded(lines: Sequence[bytes]) -> list[str]:
    """Make what an agent printed harmless; blank lines say nothing in so small a place."""
    said = (say.clean(line.decode("utf-8", "replace").rstrip()) for line in lines)
    return [line for line in said if line]


def foretold(row: Row, rules: Rules, *, up: bool) -> outlook.Outlook | None:
    """Return what comes next to a line's agent; ``None`` for a cell by itself."""
    manifest = row.cell.manifest
    member = manifest.member(row.agent.name) if manifest and row.agent else None
    if manifest is None or member is None or row.agent is None:
        return None
    own = rules_of(manifest, member, rules)
    return outlook.foretell(say.clean(row.label, 80), row.agent, own, time.time(), up=up)


def reason_of(row: Row, rules: Rules, *, up: bool) -> str:
    """Say in a sentence why a line needs a person."""
    if row.request is not None:
        return words(row.request, time.time())
    told = foretold(row, rules, up=up)
    if told is not None:
        why = next((line for line in told.coming if not line.startswith(DOWN)), "")
        return why.removeprefix(UNTIL)
    return say.clean(row.cell.problem, 300)


def _why(row: Row, rules: Rules, *, up: bool) -> tuple[str, tuple[str, ...]]:
    told = foretold(row, rules, up=up)
    label = say.clean(row.label, 140)
    if told is None or row.agent is None:
        mission = row.cell.manifest.mission if row.cell.manifest else ""
        said = (say.clean(text, 300) for text in (row.cell.problem, mission) if text)
        return f"{label}: {row.words}", tuple(said)
    now = time.time()
    readings = " · ".join(outlook.readings(row.agent, now))
    asked = (words(row.request, now),) if row.request else ()
    if unread := row.agent.unread:
        where = f"lazarus mail log --cell {say.clean(row.cell.label, 40)}"
        asked = (*asked, f"{say.count(unread, 'mail')} not acknowledged (`{where}`)")
    title = f"{label}: {outlook.standing(row.agent, now)}"
    return title, tuple(
        line for line in (*asked, *told.coming[:1], readings, *told.coming[1:]) if line
    )


def laid_out(details: Details, width: int, height: int) -> list[str]:
    """Return the lines of the pane: its title, then what of each part there is room for.

    The newest of the events and of the log are kept, and the first of the reasons.
    """
    room = height - 1
    text = max(10, width - GUTTER)
    why = [line for said in details.why for line in _wrapped(said, text)]
    parts = (("why", why), ("events", list(details.events)), ("log", list(details.log)))
    shares = shared([len(lines) for _, lines in parts], room)
    lines = [details.title]
    for (name, found), share in zip(parts, shares, strict=True):
        kept = found[:share] if name == "why" else found[len(found) - share :]
        heads = [name, *[""] * share]
        lines += [f"{head:{GUTTER}}{line}" for head, line in zip(heads, kept, strict=False)]
    return lines


def _wrapped(said: str, width: int) -> list[str]:
    return textwrap.wrap(said, width, subsequent_indent="  ", break_on_hyphens=False)


def shared(wanted: Sequence[int], room: int) -> list[int]:
    """Share lines out evenly; what one part does not want, the others get."""
    shares = [0] * len(wanted)
    left = room
    while left > 0:
        hungry = [at for at, want in enumerate(wanted) if shares[at] < want]
        if not hungry:
            break
        for at in hungry[:left]:
            shares[at] += 1
        left -= min(left, len(hungry))
    return shares
