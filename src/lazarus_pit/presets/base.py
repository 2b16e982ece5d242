"""What every preset says about its program, and the words in which it says it.

Standard library only: the daemon asks a preset how a life begins, and ``drive`` asks it inside the
cell what the program's output means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

HOOKED = (
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PreCompact",
    "Stop",
    "SubagentStop",
)
"""Hooks that every program with hooks of the shared names knows."""

PASSED = (
    "LAZARUS_CELL_UUID",
    "LAZARUS_CELL",
    "LAZARUS_AGENT",
    "LAZARUS_ROLE",
    "LAZARUS_GENERATION",
    "LAZARUS_HEARTBEAT_FILE",
    "LAZARUS_INBOX",
    "LAZARUS_OUTBOX",
    "HOME",
)
"""Variables that the MCP server needs, for programs that pass on none by themselves."""


class Wanted(NamedTuple):
    """What people want of one agent."""

    program: tuple[str, ...]
    """How the program is called inside the cell."""
    task: str
    model: str = ""
    arguments: tuple[str, ...] = ()
    """More arguments, the program's own; they come before the task."""
    asks: bool = False
    """Whether people are asked before its tools do more than look and edit."""


class Sort(StrEnum):
    """What a line of a program's output can mean."""

    SESSION = "session"  # text: the conversation's id
    MODEL = "model"  # text
    THINKING = "thinking"  # the model is at work: progress
    TOOL = "tool"  # data: tool_name, tool_use_id, tool_input
    RESULT = "result"  # data: the same and tool_response
    TURN = "turn"  # the turn is finished
    TOKENS = "tokens"  # number: how many more; text: of which message, where it may be told again
    TOTAL = "total"  # number: tokens of this whole life
    THROTTLED = "throttled"  # number: seconds until it tries again by itself
    QUOTA = "quota"  # it gives up for want of quota; number: Unix seconds when there is more, or 0
    RESETS = "resets"  # number: Unix seconds when there is quota again, said before it gives up
    AGAIN = "again"  # number: seconds until there is quota again, said before it gives up
    LOGIN = "login"  # it gives up for want of a login
    EXHAUSTED = "exhausted"  # the conversation is full: never to be resumed
    FAILED = "failed"  # text: its own last error
    PRINTED = "printed"  # it has printed something, of which no more is known


class Said(NamedTuple):
    """One thing that a program has said."""

    sort: Sort
    text: str = ""
    number: float = 0.0
    data: Mapping[str, Any] = {}


class Where(NamedTuple):
    """Where an agent finds itself, by the names that hold inside."""

    home: str
    workspace: str
    asks: bool = False
    """As in ``Wanted``."""


class Preset(Protocol):
    """One agent program. Its class is its table of constants; it keeps nothing."""

    name: str
    program: str
    """What it is called where it is installed for everybody."""
    resumes: bool
    """Whether it can go on with a conversation."""
    chooses: bool
    """Whether we choose a conversation's id, else it says which one it has begun."""
    tells: bool
    """Whether its output names the conversation that it leads."""
    codes: Mapping[int, Sort]
    """Exit codes that mean more than a failure."""
    lines: Mapping[str, Sort]
    """Of a program that says nothing in JSON: what a line means that begins so."""
    hooked: bool
    """Whether its hooks tell of tools and turns; then its output is not asked for them again."""
    talks: bool
    """Whether it is spoken to by the Agent Client Protocol; then its command line ends with what
    is to be said."""
    asks: bool
    """Whether it can be made to wait for people's word before it uses a tool."""

    def begin(self, wanted: Wanted, words: str, session: str) -> tuple[str, ...]:
        """Return the command line of a new conversation that begins with ``words``."""
        ...

    def resume(self, wanted: Wanted, words: str, session: str) -> tuple[str, ...]:
        """Return the command line that goes on with a conversation by saying ``words``."""
        ...

    def environment(self, where: Where) -> dict[str, str]:
        """Return variables that are set unless the agent's environment says otherwise."""
        ...

    def files(self, where: Where) -> Mapping[str, Mapping[str, Any] | str]:
        """Return files below the home, and what is put into each before the start.

        Folder trust, hooks, the MCP server: what else stands in a JSON file stays. A text is a
        whole file, a plugin of the program's.
        """
        ...

    def heard(self, line: Mapping[str, Any]) -> Iterable[Said]:
        """Return what one JSON object of its output means."""
        ...


def limit_of(text: str) -> Sort | None:
    """Return what a program's own last error means; ``None`` is an ordinary failure.

    Only for the error field of a program's own report, never for what a tool or a model printed.
    """
    small = text.lower()
    return next((sort for word, sort in _ERRORS if word in small), None)


_ERRORS = (
    ("context window", Sort.EXHAUSTED),
    ("context length", Sort.EXHAUSTED),
    ("context_length_exceeded", Sort.EXHAUSTED),
    ("prompt is too long", Sort.EXHAUSTED),
    ("maximum context", Sort.EXHAUSTED),
    ("exceeds the maximum number of tokens", Sort.EXHAUSTED),
    ("usage limit", Sort.QUOTA),
    ("hit your limit", Sort.QUOTA),
    ("session limit", Sort.QUOTA),
    ("weekly limit", Sort.QUOTA),
    ("usage exceeded", Sort.QUOTA),
    ("resource exhausted", Sort.QUOTA),
    ("resource_exhausted", Sort.QUOTA),
    ("ratelimiterror", Sort.QUOTA),
    ("insufficient balance", Sort.QUOTA),
    ("rate limit", Sort.QUOTA),
    ("rate_limit", Sort.QUOTA),
    ("too many requests", Sort.QUOTA),
    ("status 429", Sort.QUOTA),
    ("error: 429", Sort.QUOTA),
    ("429 ", Sort.QUOTA),
    ("quota", Sort.QUOTA),
    ("insufficient_quota", Sort.QUOTA),
    ("credit balance", Sort.QUOTA),
    ("unauthorized", Sort.LOGIN),
    ("status 401", Sort.LOGIN),
    ("error: 401", Sort.LOGIN),
    ("401 ", Sort.LOGIN),
    ("invalid api key", Sort.LOGIN),
    ("incorrect api key", Sort.LOGIN),
    ("api key not valid", Sort.LOGIN),
    ("api key not found", Sort.LOGIN),
    ("api key expired", Sort.LOGIN),
    ("could not be refreshed", Sort.LOGIN),
    ("failed to authenticate", Sort.LOGIN),
    ("please run /login", Sort.LOGIN),
    ("not logged in", Sort.LOGIN),
    ("authentication", Sort.LOGIN),
)


AGAIN_MAX = 31 * 86400.0
"""Seconds; a longer wait is not believed."""
_UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
_SPAN = r"\d{1,6}(?:\.\d{1,9})?\s*(?:d|h|m|s|days?|hours?|hrs?|minutes?|mins?|seconds?|secs?)\b"
_PACKED = r"(?:\d{1,6}(?:\.\d{1,9})?[dhms])+\b"
_AGAIN = re.compile(
    rf"(?:again|retry|reset|resets) (?:in|after) ({_PACKED}|{_SPAN}(?:[\s,]+(?:and )?{_SPAN})*)",
    re.IGNORECASE,
)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([dhms])", re.IGNORECASE)


def again_in(text: str) -> float:
    """Return in how many seconds a vendor says that there is quota again; 0 where it does not."""
    found = _AGAIN.search(text[:4000])
    if found is None:
        return 0.0
    parts = _PART.findall(found[1])
    return min(sum(float(much) * _UNITS[unit.lower()] for much, unit in parts), AGAIN_MAX)


STATUS: Mapping[float, Sort] = {
    429: Sort.QUOTA,
    402: Sort.QUOTA,
    401: Sort.LOGIN,
    403: Sort.LOGIN,
}
"""What the HTTP status of a model's last answer means."""


def failed(text: str, status: float = 0.0) -> list[Said]:
    """Return a program's own last error, and what it means by its HTTP status, else its text."""
    sort = STATUS.get(status) or limit_of(text)
    said = [Said(Sort.FAILED, text[:300])]
    if sort is Sort.QUOTA and (seconds := again_in(text)):
        said.append(Said(Sort.AGAIN, number=seconds))
    return [*said, Said(sort)] if sort else said


def number(found: object) -> float:
    """Return a number of a stranger's JSON, 0 for anything else."""
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else 0.0


def inside(found: object, *names: str) -> Any:
    """Return what lies below these names in a stranger's JSON, ``None`` where nothing does."""
    for name in names:
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def objects(found: object) -> list[Mapping[str, Any]]:
    """Return the objects of a list in a stranger's JSON."""
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
