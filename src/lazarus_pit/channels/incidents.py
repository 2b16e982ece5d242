"""What the journal means for an agent's issue (contract 5): pure, one event at a time.

A death opens the issue, what follows is told in it, and being alive again closes it. Whatever an
agent is called or says stands in code, where no mention, link or tag of it has any effect.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from lazarus_pit.formats.instant import from_rfc3339, span, to_rfc3339
from lazarus_pit.formats.journal import Event
from lazarus_pit.formats.text import one_line

LABEL = "resurrection-pool"
MOST_REPEATS = 10
"""Comments on one issue about the same trouble again; what comes after is not told there."""
NAME_SHOWN = 120
ASKED, QUESTION = "approval_requested", "question_asked"


class Settings(Struct, frozen=True, kw_only=True):
    """What people want told."""

    open_on_death: bool = True
    close_on_revive: bool = True
    reopen_within: float = 86_400.0
    """Seconds: a death so soon after the last recovery goes on in the same issue."""
    asks_there: bool = False
    """Whether somebody else asks for a word in the same issue."""


class Scene(Struct, frozen=True, kw_only=True):
    """What is known beside the event."""

    mission: str = ""
    cell: str = ""
    heartbeat_age: float | None = None


class Incident(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is remembered of one agent."""

    agent: str = ""
    open: bool = False
    deaths: int = 0
    """Since its issue was opened."""
    repeats: int = 0
    """Comments about the same trouble again, in that issue."""
    closed: float = 0.0
    """Unix seconds of the last recovery that was told."""
    died: float = 0.0
    """Unix seconds of the first death since it was last alive."""
    silent: float = 0.0
    """For how long it had been silent when it was condemned."""
    word: str = ""
    """Who had it revived."""
    held: bool = False
    """It is not dead: it stands still since it has run away."""
    questions: tuple[str, ...] = ()
    """Ids of the requests of its open questions."""
    for_question: bool = False
    """It is well: the issue is there for its questions alone."""


class Open(Struct, frozen=True, tag="open"):
    """See that there is an open issue."""

    prefix: str
    """By which one that bears no mark of ours is found."""
    title: str
    body: str
    again: str
    """What is said where there is one already; empty: nothing."""
    reopen: bool
    """Whether one that was closed is taken up again."""


class Say(Struct, frozen=True, tag="say"):
    """Say something in the issue."""

    text: str


class Close(Struct, frozen=True, tag="close"):
    """Say that it is over, and close the issue if that is wanted."""

    text: str
    close: bool


Action = Open | Say | Close
Step = tuple[Incident, list[Action]]


def to_object(action: Action) -> dict[str, Any]:
    """Return an action as the records keep it."""
    found: dict[str, Any] = msgspec.to_builtins(action)
    return found


def from_object(found: Mapping[str, Any]) -> Action:
    """Return the action that the records kept."""
    return msgspec.convert(found, Action)  # type: ignore[no-any-return]  # a union is no type


def follow(incident: Incident, event: Event, scene: Scene, settings: Settings) -> Step:
    """Return what an event makes of an incident, and what is to be done at the forge."""
    rule = _RULES.get(event.event)
    if rule is None or not event.agent:
        return incident, []
    return rule(replace(incident, agent=one_line(event.agent, NAME_SHOWN)), event, scene, settings)


def cell_ended(incident: Incident, event: Event, settings: Settings) -> Step:
    """Return what the end of its cell makes of an incident."""
    what = "archived" if event.event == "cell_archived" else "destroyed"
    return _closed(incident, event, f"its cell was {what}: nobody watches it any more", settings)


def subject_of(request: str) -> str:
    """Return whom an incident is about, by the subject of a request for a person's word."""
    place, _, name = request.partition("/")
    return f"{place}/{one_line(name, NAME_SHOWN)}"


def title_of(agent: str, seconds: float) -> str:
    """Return the title of an issue (contract 5.1)."""
    return f"{prefix_of(agent)} agent dead ({int(seconds)}s)"


def prefix_of(agent: str) -> str:
    """Return the beginning of the title, by which an issue is found again."""
    return f"[pool] {one_line(agent, NAME_SHOWN)}:"


def marker_of(subject: str) -> str:
    """Return what the first line of a subject's issue holds, whatever becomes of its title."""
    digest = hashlib.sha256(subject.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"incident={digest}"


def code(text: object, limit: int = 200) -> str:
    """Return text as Markdown code: it stays on its line, and nothing in it has any effect."""
    line = one_line(str(text), limit)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") or not line.strip() else ""
    return f"{fence}{pad}{line or '-'}{pad}{fence}"


# ------------------------------------------------------------ one rule a sort of event


def _died(incident: Incident, event: Event, scene: Scene, settings: Settings) -> Step:
    return _trouble(incident, event, scene, settings, f"**It died**{_why(event)}.")


def _escalated(incident: Incident, event: Event, scene: Scene, settings: Settings) -> Step:
    reason = code(event.data.get("reason", "unknown"))
    clear = event.data.get("clear")
    how = f" {code(clear)} brings it back." if clear else ""
    said = f"**A person must act**: {reason}. Nothing more is done about it.{how}"
    if incident.open:
        return incident, [Say(said)]
    return _trouble(incident, event, scene, settings, said)


def _trouble(incident: Incident, event: Event, scene: Scene, settings: Settings, said: str) -> Step:
    """A death, with no issue open for it or with one."""
    dead_for = _number(event.data.get("dead_for")) or incident.silent
    known = replace(
        incident, deaths=incident.deaths + 1, word="", silent=0.0, held=False, for_question=False
    )
    if not incident.open:
        known = replace(known, died=from_rfc3339(event.ts) - dead_for)
    if not incident.open and not _goes_on(incident, event, settings):
        known = replace(known, deaths=1)
    said = f"{said} Death number {known.deaths} in this issue." if known.deaths > 1 else said
    title = title_of(known.agent, dead_for)
    return _opened(known, event, settings, said, title, _page(known, event, scene, said, dead_for))


def _opened(  # noqa: PLR0913, PLR0917 - an issue is these facts
    incident: Incident, event: Event, settings: Settings, said: str, title: str, page: str
) -> Step:
    """Say it in the issue that is open, or see that there is one."""
    if incident.open:
        return _repeated(incident, said)
    # Who is asked there needs an issue to answer in, whatever else is told.
    if not (settings.open_on_death or (settings.asks_there and event.event in (ASKED, QUESTION))):
        return replace(incident, deaths=0), []
    reopen = _goes_on(incident, event, settings)
    known = replace(incident, open=True, repeats=incident.repeats if reopen else 0)
    known, told = _repeated(known, said)
    again = "".join(one.text for one in told if isinstance(one, Say))
    return known, [Open(prefix_of(known.agent), title, page, again, reopen)]


def _goes_on(incident: Incident, event: Event, settings: Settings) -> bool:
    """Whether this is so soon after the last recovery that it belongs to the same issue."""
    since = from_rfc3339(event.ts) - incident.closed
    return incident.closed > 0.0 and since <= settings.reopen_within


def _failed(incident: Incident, event: Event, _scene: Scene, _settings: Settings) -> Step:
    if not incident.open:
        return incident, []
    return _repeated(incident, f"**An attempt to revive it failed**{_why(event)}.")


def _condemned(incident: Incident, event: Event, _scene: Scene, _settings: Settings) -> Step:
    age = event.data.get("beat_age", event.data.get("progress_age"))
    return replace(incident, silent=_number(age)), []


def _asked(incident: Incident, event: Event, scene: Scene, settings: Settings) -> Step:
    why = event.data.get("why")
    lists = "" if settings.asks_there else " `lazarus approvals` lists the request."
    if why:  # It runs away, and was made to stand still.
        known = replace(incident, held=not incident.open)
        said = f"**It stands still** until a person says whether it may go on: {code(why)}.{lists}"
        title = f"{prefix_of(known.agent)} agent held ({one_line(str(why), 60)})"
        return _opened(known, event, settings, said, title, _page(known, event, scene, said, None))
    if settings.asks_there and not incident.open:
        return _trouble(incident, event, scene, settings, "**It is dead.**")
    if settings.asks_there or not incident.open:
        return incident, []
    seconds = int(_number(event.data.get("expires_in")))
    said = f"**May it be revived?** A word is waited for until {seconds} s after this.{lists}"
    return _repeated(incident, said)


def _answered(incident: Incident, event: Event, _scene: Scene, _settings: Settings) -> Step:
    by = f"{code(event.data.get('by') or 'somebody', 80)} ({code(event.data.get('via', ''), 40)})"
    if event.event == "approval_granted":
        known = replace(incident, word=f", with leave of {by}")
        return known, [Say(f"**Approved** by {by}.")] if incident.open else []
    said = "**Nobody answered in time.**"
    if event.event == "approval_denied":
        said = f"**Declined** by {by}."
    return incident, [Say(said)] if incident.open else []


def _question(incident: Incident, event: Event, scene: Scene, settings: Settings) -> Step:
    request = one_line(str(event.data.get("request")), 16)
    if not settings.asks_there or request in incident.questions:
        return incident, []
    known = replace(incident, questions=(*incident.questions, request))
    if known.open:
        return known, []
    known = replace(known, for_question=True)
    said = "**It asks people a question**, below. It is well: nobody is revived by an answer."
    title = f"{prefix_of(known.agent)} agent asks"
    return _opened(known, event, settings, said, title, _page(known, event, scene, said, None))


def _question_over(incident: Incident, event: Event, _scene: Scene, settings: Settings) -> Step:
    request = one_line(str(event.data.get("request")), 16)
    if request not in incident.questions:
        return incident, []
    known = replace(incident, questions=tuple(sorted({*incident.questions} - {request})))
    by = f" by {code(event.data['by'], 80)}" if event.data.get("by") else ""
    comment = f" Comment: {code(event.data['comment'], 600)}" if event.data.get("comment") else ""
    said = f"its question {code(request, 20)}: {code(event.data.get('outcome'), 20)}{by}.{comment}"
    if known.questions or not known.for_question:
        return known, [Say(f"**Answered**: {said}")] if known.open else []
    over = replace(known, open=False, for_question=False)
    return over, [Close(f"**Over**: {said}", settings.close_on_revive)]


def _wanted(incident: Incident, _event: Event, _scene: Scene, _settings: Settings) -> Step:
    return replace(incident, word=", because a person asked for it"), []


def _recovered(incident: Incident, event: Event, _scene: Scene, settings: Settings) -> Step:
    if incident.for_question:  # It was well.
        return incident, []
    by_itself = event.data.get("by") == "itself"
    how = "it came back by itself" if by_itself else "the pool revived it"
    since = from_rfc3339(event.ts) - incident.died if incident.died else 0.0
    dead_for = max(0.0, _number(event.data.get("dead_for")) or since)
    word = "" if by_itself else incident.word
    return _closed(incident, event, f"{how} after {span(dead_for)}{word}", settings)


def _released(incident: Incident, event: Event, _scene: Scene, settings: Settings) -> Step:
    if not incident.held:
        return incident, []
    return _closed(incident, event, f"it goes on{incident.word}", settings)


def _ended(incident: Incident, event: Event, _scene: Scene, settings: Settings) -> Step:
    how = {
        "agent_stopped": "it was stopped by people",
        "agent_exited": "it ended well by itself",
        "agent_left": "it left its cell",
    }
    return _closed(incident, event, f"{how[event.event]}: nothing to revive", settings)


_RULES: Mapping[str, Callable[[Incident, Event, Scene, Settings], Step]] = {
    "agent_died": _died,
    "gateway_died": _died,
    "agent_escalated": _escalated,
    "gateway_escalated": _escalated,
    "agent_start_failed": _failed,
    "gateway_revive_failed": _failed,
    "agent_hung": _condemned,
    "agent_stalled": _condemned,
    ASKED: _asked,
    "approval_granted": _answered,
    "approval_denied": _answered,
    "approval_expired": _answered,
    "revive_requested": _wanted,
    "agent_revived": _recovered,
    "agent_ready": _recovered,
    "gateway_recovered": _recovered,
    "agent_released": _released,
    "agent_stopped": _ended,
    "agent_exited": _ended,
    "agent_left": _ended,
    QUESTION: _question,
    "question_answered": _question_over,
}
EVENTS = frozenset(_RULES)
"""The events that matter to an incident."""
OPENING = frozenset(("agent_died", "agent_escalated", ASKED, QUESTION))
"""Those of a cell's agent that may open one."""


# ------------------------------------------------------------ words


def _repeated(incident: Incident, said: str) -> Step:
    """Say it, unless the same trouble was told often enough in this issue."""
    if incident.repeats >= MOST_REPEATS:
        return incident, []
    counted = replace(incident, repeats=incident.repeats + 1)
    if counted.repeats == MOST_REPEATS:
        said += " What happens again from now on is not told here."
    return counted, [Say(said)]


def _closed(incident: Incident, event: Event, how: str, settings: Settings) -> Step:
    if not incident.open:
        return replace(incident, silent=0.0, word=""), []
    over = replace(incident, open=False, closed=from_rfc3339(event.ts), word="", silent=0.0)
    over = replace(over, held=False, for_question=False)
    said = f"**Over**: {how}. {_moment(event)}"
    close = settings.close_on_revive
    # An issue that stays open is the one that the next death goes on in.
    return over, [Close(said, close)]


def _why(event: Event) -> str:
    said = [code(event.data[name]) for name in ("reason", "exit", "why") if event.data.get(name)]
    return f": {', '.join(said)}" if said else ""


def _moment(event: Event) -> str:
    return to_rfc3339(from_rfc3339(event.ts))


def _page(incident: Incident, event: Event, scene: Scene, said: str, dead_for: float | None) -> str:
    """Return the first text of an issue (contract 5.1)."""
    probes = event.data.get("probes")
    age = event.data.get("heartbeat_age", scene.heartbeat_age)
    rows = {
        "Agent": code(incident.agent),
        "Mission": code(event.data.get("mission") or scene.mission or "none"),
        "Cell": code(scene.cell) if scene.cell else "",
        "Dead for": "" if dead_for is None else f"{int(dead_for)} s",
        **{f"Probe {code(name, 40)}": code(found) for name, found in _items(probes)},
        "Reason": code(event.data["reason"]) if event.data.get("reason") else "",
        "Exit": code(event.data["exit"]) if event.data.get("exit") else "",
        "Heartbeat age": "unknown" if age is None else f"{int(_number(age))} s",
        "Time": _moment(event),
    }
    lines = [f"- {name}: {value}" for name, value in rows.items() if value]
    return "\n".join([said, "", *lines])


def _items(probes: object) -> list[tuple[str, object]]:
    return list(probes.items()) if isinstance(probes, dict) else []


def _number(found: object) -> float:
    """Return a number of the journal; whatever else stands there is none."""
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 0.0
    return max(0.0, min(float(found), 1e12))
