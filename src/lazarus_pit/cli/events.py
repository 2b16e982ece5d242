"""``lazarus events``: what happened, in one cell or in all of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

from cyclopts import Parameter

from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.cells.listing import list_cells
from lazarus_pit.cli import say
from lazarus_pit.cli.follow import JournalTail, Wakeup
from lazarus_pit.cli.names import find_agent, find_cell
from lazarus_pit.cli.place import HERE, Json, Place
from lazarus_pit.cli.sentences import timed
from lazarus_pit.errors import UsageError
from lazarus_pit.formats.journal import Event, to_object

Follow = Annotated[
    bool, Parameter(name=["--follow", "-f"], negative="", help="Go on until Ctrl-C.")
]
Count = Annotated[int, Parameter(name=["--lines", "-n"], help="How many of the latest to show.")]


class Source(NamedTuple):
    """One journal, whose it is, and which of its lines are wanted."""

    label: str
    tail: JournalTail
    wanted: Callable[[Event], bool]


def events(
    what: Annotated[
        str | None, Parameter(help="A cell or CELL/AGENT; everything where left out.")
    ] = None,
    /,
    *,
    follow: Follow = False,
    lines: Count = 50,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Show what happened."""
    if lines < 0:
        raise UsageError(f"--lines: found {lines}, expected 0 or more")
    pit = place.pit()
    sources = _sources(pit, what)
    told = sorted(_read(sources), key=lambda pair: pair[1].ts)
    for label, event in told[-lines:] if lines else []:
        _tell(label, event, json=json)
    if follow:
        _follow(pit, what, sources, json=json)
    return 0


def _sources(pit: PitPaths, what: str | None) -> list[Source]:
    if what is None:
        cells = [
            _cell_source(listed.paths.events, (listed.manifest and listed.manifest.name) or "")
            for listed in list_cells(pit.root)
        ]
        return [Source("", JournalTail(pit.events), _anything), *cells]
    if "/" in what:
        paths, _, name = find_agent(pit, what)
        return [Source("", JournalTail(paths.events), lambda event: event.agent == name)]
    return [Source("", JournalTail(find_cell(pit, what).paths.events), _anything)]


def _cell_source(journal: Path, name: str) -> Source:
    return Source(name or journal.parents[1].name[:8], JournalTail(journal), _anything)


def _anything(_event: Event) -> bool:
    return True


def _read(sources: list[Source]) -> list[tuple[str, Event]]:
    return [
        (source.label, event)
        for source in sources
        for event in source.tail.read()
        if source.wanted(event)
    ]


def _tell(label: str, event: Event, *, json: bool) -> None:
    if json:
        say.as_json_line({"cell": event.cell, **to_object(event)})
    else:
        say.line(f"{timed(event)}  [{say.clean(label, 60)}]" if label else timed(event))


def _follow(pit: PitPaths, what: str | None, sources: list[Source], *, json: bool) -> None:
    """Tell what comes, of cells that come as well, until somebody has enough."""
    wakeup = Wakeup([pit.root, *(source.tail.path.parent for source in sources)])
    known = {source.tail.path for source in sources}
    while True:
        for label, event in _read(sources):
            _tell(label, event, json=json)
        wakeup.wait()
        if what is not None:
            continue
        for source in _sources(pit, None):
            if source.tail.path not in known:
                known.add(source.tail.path)
                sources.append(source)
                wakeup.add(source.tail.path.parent)
