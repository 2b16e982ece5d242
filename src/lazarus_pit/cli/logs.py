"""``lazarus logs``: what an agent printed, made harmless for the terminal."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from lazarus_pit.cli import say
from lazarus_pit.cli.events import Count, Follow
from lazarus_pit.cli.follow import LogTail, Wakeup
from lazarus_pit.cli.names import find_agent
from lazarus_pit.cli.place import HERE, AgentName, Json, Place
from lazarus_pit.errors import UsageError

Raw = Annotated[
    bool, Parameter(negative="", help="The bytes as they are; a terminal obeys what is in them.")
]


def logs(
    agent: AgentName,
    /,
    *,
    follow: Follow = False,
    lines: Count = 50,
    raw: Raw = False,
    json: Json = False,
    place: Place = HERE,
) -> int:
    """Show what an agent printed; followed over rotations of the log."""
    if lines < 0:
        raise UsageError(f"--lines: found {lines}, expected 0 or more")
    if raw and json:
        raise UsageError("--raw and --json: expected one of them")
    found = find_agent(place.pit(), agent)
    tail = LogTail(found.paths.log(found.name))
    wakeup = Wakeup([found.paths.logs])
    _tell(found.name, tail.last(lines), raw=raw, json=json)
    while follow:
        _tell(found.name, tail.read(), raw=raw, json=json)
        wakeup.wait()
    return 0


def _tell(agent: AgentName, lines: list[bytes], *, raw: bool, json: bool) -> None:
    for line in lines:
        if raw:
            sys.stdout.buffer.write(line + b"\n")
            sys.stdout.buffer.flush()
            continue
        text = line.decode("utf-8", "replace")
        if json:
            say.as_json_line({"agent": agent, "line": text})
        else:
            say.line(say.clean(text))
