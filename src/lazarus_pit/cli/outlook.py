"""What an agent's state means for people: how it stands, what is seen, what comes next. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from lazarus_pit.cells.view import AgentView
from lazarus_pit.cli.say import clean, span
from lazarus_pit.cli.sentences import ESCALATIONS, NEEDS
from lazarus_pit.core.model import Desired, Liveness, OnRevive, Phase, RevivePolicy, Rules
from lazarus_pit.formats.limits import NO_ROOM
from lazarus_pit.formats.question import CURBS
from lazarus_pit.formats.state import Health


class Outlook(NamedTuple):
    """What comes next, when, and which commands change it."""

    coming: tuple[str, ...]
    at: float | None
    """When time alone will next matter, in Unix seconds; ``None`` for never."""
    commands: tuple[str, ...]


class Case(NamedTuple):
    """An agent whose daemon has spoken of it."""

    health: Health
    rules: Rules
    now: float

    def until(self, reading: str) -> str:
        """Say how far ahead an instant of the readings lies."""
        at = self.health.readings.get(reading)
        if not isinstance(at, int | float):
            return "at a time that is not known"
        return f"in {span(at - self.now)}" if at > self.now else "now"


def standing(seen: AgentView, now: float) -> str:
    """Say state, verdict, generation and how long it has been so."""
    health = seen.health
    if health is None:
        unseen = {"no command": "there, without a command", "invited": "invited, not here yet"}
        return unseen.get(seen.shown, seen.shown)
    parts = [seen.shown if seen.shown == health.phase else f"{seen.shown} ({health.phase})"]
    if health.since is not None:
        parts.append(f"for {span(max(0.0, now - health.since))}")
    parts.append(f"verdict {health.verdict}")
    if health.generation:
        parts.append(f"generation {health.generation}")
    if health.pid is not None:
        parts.append(f"pid {health.pid}")
    return ", ".join(parts)


def readings(seen: AgentView, now: float) -> list[str]:
    """Say what the verdict rests on, one reading a line; only what was seen."""
    lines = [f"last beat {span(seen.beat_age)} ago"] if seen.beat_age is not None else []
    lines += [f"mail that it has not acknowledged: {seen.unread}"] * bool(seen.unread)
    if seen.health is None:
        return lines
    found: Mapping[str, Any] = seen.health.readings
    if seen.health.status:
        lines.append(f"it says: {clean(seen.health.status, 120)}")
    for name, words in _INSTANTS.items():
        at = found.get(name)
        if isinstance(at, int | float):
            ahead = at > now
            lines.append(f"{words} {'in ' if ahead else ''}{span(abs(now - at))}{_past(ahead)}")
    for name, words in _FACTS.items():
        if name == "desired" and (still := _still(seen, seen.health)):
            lines.append(still)
        elif found.get(name) not in (None, "", 0):
            lines.append(f"{words} {clean(found[name], 160)}{_ENDINGS.get(str(found[name]), '')}")
    if seen.health.reason:
        lines.append(f"in this state because: {clean(seen.health.reason, 80)}")
    if seen.health.sandbox:
        lines.append(f"held by: {clean(seen.health.sandbox, 80)}")
    return lines


def _still(seen: AgentView, health: Health) -> str:
    """Say what else than people has it stand still; empty if nothing does."""
    if health.readings.get("desired") != Desired.FREEZE:
        return ""
    if _is_full(health):
        return "its limit of disk has it stand still, whatever people want"
    asleep = "its cell was idle and has it stand still, until somebody needs it"
    return asleep if seen.asleep else ""


def _is_full(health: Health) -> bool:
    return any(NO_ROOM in said for said in health.limits.values())


def _past(ahead: bool) -> str:  # noqa: FBT001 - two words, one caller
    return "" if ahead else " ago"


_INSTANTS = {
    "started": "this life began",
    "progress": "last progress",
    "busy_until": "an announced long step ends",
    "frozen_since": "stands still since",
    "died": "last death",
    "hold_until": "the wait ends",
}
_ENDINGS = {
    "exit 126": ", as shells end when a program cannot be executed",
    "exit 127": ", as shells end when a program is not found: `lazarus logs` names it",
}
_THAWED = "the cell is thawed"
_FACTS = {
    "cycle": "cycle",
    "hold": "it waits for:",
    "last_exit": "last life ended with",
    "warned": "people were warned:",
    "failures_in_a_row": "short lives in a row:",
    "desired": "people want it to",
}


def need_of(seen: AgentView) -> str:
    """Say why an agent goes on only when a person acts; empty where it does not.

    Unlike what is foretold it names no time, so that it stays the same while nothing happens.
    """
    health = seen.health
    if health is None:
        return ""
    if _is_full(health):
        return "its disk is full: remove files, or raise disk_mb in cell.json"
    if health.phase == Phase.ESCALATED:
        return clean(ESCALATIONS.get(health.reason, health.reason), 120)
    if health.phase == Phase.AWAITING:
        return "it is dead, and its policy is to ask"
    return NEEDS.get(health.reason, "") if health.phase == Phase.HELD else ""


def foretell(label: str, seen: AgentView, rules: Rules, now: float, *, up: bool) -> Outlook:
    """Say what happens next to an agent if nobody does anything, and what somebody could do."""
    health = seen.health
    if health is None:
        return Outlook(*_unseen(label, seen, up=up))
    case = Case(health, rules, now)
    coming = list(_COMING.get(health.phase, _nothing)(case))
    if health.readings.get("frozen_since") and health.reason not in CURBS:
        until = "there is room on its disk: remove files, or raise disk_mb in cell.json"
        thawed = "mail for its cell arrives, or `lazarus thaw`" if seen.asleep else _THAWED
        coming = [
            f"It stands still; no deadline runs until {until if _is_full(health) else thawed}."
        ]
    if health.phase not in _FINAL:
        coming.append(_attempts(case))
    at = health.readings.get("next_decision")
    if not up:
        coming = ["Nothing, until `lazarus up`: the daemon is down.", *coming]
    known = _CURBED if health.reason in CURBS else _COMMANDS.get(health.phase, ())
    commands = tuple(command.format(label) for command in known)
    return Outlook(tuple(coming), at if isinstance(at, int | float) else None, commands)


def _unseen(
    label: str, seen: AgentView, *, up: bool
) -> tuple[tuple[str, ...], None, tuple[str, ...]]:
    if seen.shown == "human":
        return ("Nothing: a person is not supervised.",), None, ("nothing here",)
    if seen.shown == "invited":
        cell = label.rpartition("/")[0]
        return (
            ("Nothing until it joins: `lazarus invitations` says until when it may.",),
            None,
            (f"lazarus spawn {cell} {seen.name} -- PROGRAM …", f"lazarus kick {label}"),
        )
    if seen.shown == "no command":
        cell, _, name = label.rpartition("/")
        return (
            ("Nothing: nobody has said how it starts.",),
            None,
            (f"lazarus spawn {cell} {name} -- PROGRAM …",),
        )
    said = "The daemon starts it when it next looks." if up else "It starts at `lazarus up`."
    return (said,), None, (f"lazarus stop {label}",)


def _attempts(case: Case) -> str:
    found = case.health.readings
    used, most = found.get("attempts_used", 0), found.get("attempts_max", 0)
    policy = {
        RevivePolicy.AUTO: "a death is followed by a revive",
        RevivePolicy.ASK: "after a death a person is asked",
        RevivePolicy.NEVER: "a death is final until a person acts",
    }[case.rules.revive_policy]
    begin = {
        OnRevive.RESUME: "",
        OnRevive.RESTORE: " A revive begins with a restore of the last good checkpoint, if nobody "
        "else of the cell lives (on_revive).",
        OnRevive.FRESH: " A revive begins with an empty home (on_revive).",
    }[case.rules.on_revive]
    return (
        f"Policy {case.rules.revive_policy.value}: {policy}; {used} of {most} attempts are used."
        f"{begin}"
    )


def _backoff(case: Case) -> tuple[str, ...]:
    due = case.health.readings.get("due")
    if not isinstance(due, int | float) or due <= case.now:
        return ("Its next life begins as soon as the fleet gives it a turn.",)
    return (f"Its next life begins {case.until('due')}.",)


def _starting(case: Case) -> tuple[str, ...]:
    if how := case.health.readings.get("preparing"):
        return (f"Its life begins after a {clean(how, 40)}, or without if that cannot be.",)
    if case.rules.liveness is Liveness.PROCESS:
        return ("It counts as ready as soon as its process exists.",)
    within = span(case.rules.start_timeout)
    return (
        f"It must show that it works (a beat, or its first output) within {within} of its start.",
        "Otherwise it is ended, and that is a death.",
    )


def _running(case: Case) -> tuple[str, ...]:
    rules = case.rules
    if rules.liveness is Liveness.PROCESS:
        return ("Only the end of its process counts as death; beats are not expected.",)
    return (
        f"Without a beat for {span(rules.heartbeat_stale_threshold)} people are warned.",
        f"Without a beat and any work for {span(rules.resurrect_after)} it is looked at afresh.",
        "If that confirms the silence it is ended and counts as dead.",
        f"By what is known now, time alone matters next {case.until('next_decision')}.",
    )


def _held(case: Case) -> tuple[str, ...]:
    kind = case.health.reason.replace("_", " ")
    until = case.health.readings.get("hold_until")
    if case.health.reason in CURBS:
        ends = f"unanswered, it is ended {case.until('due')}"
        return (f"It stands still and people are asked whether it may go on; {ends}.",)
    if isinstance(until, int | float):
        return (f"It waits ({kind}) and is tried again {case.until('hold_until')}.",)
    return (f"It waits ({kind}) until it beats without a hold; nothing counts against it.",)


def _fencing(case: Case) -> tuple[str, ...]:
    if case.health.readings.get("saving"):
        until = case.until("next_decision")
        return (f"The cell is being saved; it is ended after that, or {until} in any case.",)
    return (
        f"It is being ended; whatever is left of it is killed {case.until('next_decision')}.",
        "A new life begins only when it is proved that nothing of the old one is left.",
    )


def _awaiting(case: Case) -> tuple[str, ...]:
    return (
        f"People are asked whether to revive it; unanswered, it is given up {case.until('due')}.",
    )


def _escalated(case: Case) -> tuple[str, ...]:
    reason = ESCALATIONS.get(case.health.reason, case.health.reason)
    lives = case.health.generation > 0
    return (
        f"Nothing until a person acts: {clean(reason, 120)}.",
        *(["`lazarus logs` shows what it printed."] if lives else []),
    )


def _stopped(_case: Case) -> tuple[str, ...]:
    return ("Nothing: people wanted it stopped, and that lasts.",)


def _exited(_case: Case) -> tuple[str, ...]:
    return ("Nothing: it finished by itself, which is no death.",)


def _nothing(case: Case) -> tuple[str, ...]:
    return (f"Not known: the phase {clean(case.health.phase, 40)!r} is new here.",)


_FINAL = (Phase.ESCALATED, Phase.STOPPED, Phase.EXITED)
_COMING: Mapping[str, Callable[[Case], tuple[str, ...]]] = {
    Phase.BACKOFF: _backoff,
    Phase.STARTING: _starting,
    Phase.RUNNING: _running,
    Phase.HELD: _held,
    Phase.FENCING: _fencing,
    Phase.AWAITING: _awaiting,
    Phase.ESCALATED: _escalated,
    Phase.STOPPED: _stopped,
    Phase.EXITED: _exited,
}
_APPROVE = "lazarus approve {}   the word that is waited for: it comes back"
_DENY = "lazarus deny {}   it stays dead"
_REVIVE = "lazarus revive {}   a new life now, attempts and holds cleared"
_STOP = "lazarus stop {}   ended, and it stays stopped"
_START = "lazarus start {}   a new life"
_CURBED = (
    "lazarus approve {}   it goes on where it was, with as much again",
    "lazarus deny {}   it is ended, and left to people",
    _REVIVE,
    _STOP,
)
_COMMANDS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys((Phase.BACKOFF, Phase.STARTING, Phase.RUNNING, Phase.HELD), (_REVIVE, _STOP)),
    Phase.FENCING: (_STOP,),
    Phase.AWAITING: (_APPROVE, _DENY, _REVIVE, _STOP),
    Phase.ESCALATED: (_REVIVE, _STOP),
    Phase.STOPPED: (_START,),
    Phase.EXITED: (_START,),
}
