"""What a member may ask of the daemon by mail: the subject is a command, the role decides.

Such mail goes to ``lazarus-pit`` (or ``pit``). Everything that could widen a cell or overrule
people is left out on purpose: a coordinator leads its own cell and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from lazarus_pit.core.model import Role, Seconds
from lazarus_pit.errors import FormatError
from lazarus_pit.formats import text
from lazarus_pit.formats.instant import parse_duration
from lazarus_pit.formats.names import check_agent_name

INVITE_TTL: Seconds = 3600.0
"""How long a coordinator's invitation is open unless it says otherwise."""
INVITE_TTL_MAX: Seconds = 86400.0
GUESTS = (Role.DEVELOPER, Role.REVIEWER, Role.OBSERVER)
"""Roles to which a coordinator may invite: who leads is for people to say."""
MAY_ASK: Mapping[str, frozenset[Role]] = {
    "invite": frozenset({Role.COORDINATOR}),
    "revive": frozenset({Role.COORDINATOR}),
    "checkpoint": frozenset({Role.COORDINATOR}),
    "leave": frozenset(Role),
    "ask": frozenset(Role) - {Role.OBSERVER},
}
"""Who may ask for what."""
_SHAPES: Mapping[str, str] = {
    "invite": "invite NAME ROLE [8h]",
    "revive": "revive NAME",
    "checkpoint": "checkpoint [NOTE]",
    "leave": "leave",
    "ask": "ask",
}


class Request(NamedTuple):
    """One request, taken apart."""

    verb: str
    name: str = ""
    """Whom it is about."""
    role: Role = Role.OBSERVER
    ttl: Seconds = INVITE_TTL
    note: str = ""


def parse(subject: str) -> Request:
    """Return what the subject of a mail to the daemon asks for.

    Raises:
        FormatError: it asks for nothing that there is.
    """
    verb, *words = subject.split() or [""]
    match verb, words:
        case "invite", [name, role]:
            return Request(verb, check_agent_name(name), _guest(role))
        case "invite", [name, role, ttl]:
            return Request(verb, check_agent_name(name), _guest(role), _ttl(ttl))
        case "revive", [name]:
            return Request(verb, check_agent_name(name))
        case "checkpoint", _:
            return Request(verb, note=" ".join(words))
        case (("leave" | "ask"), []):
            return Request(verb)
    shape = _SHAPES.get(verb)
    expected = f"`{shape}`" if shape else f"one of {', '.join(MAY_ASK)}"
    raise FormatError(f"subject: found {text.shown(subject)}, expected {expected}")


def why_refused(verb: str, role: Role) -> str:
    """Return why a member of this role may not ask for this; empty if it may."""
    allowed = MAY_ASK[verb]
    if role in allowed:
        return ""
    who = ", ".join(sorted(f"{one.value}s" for one in allowed))
    return f"{verb}: only {who} may ask for this, you are {role.value}"


def _guest(word: str) -> Role:
    for role in GUESTS:
        if role.value == word:
            return role
    known = ", ".join(GUESTS)
    raise FormatError(f"role: found {text.shown(word)}, expected one of {known}")


def _ttl(word: str) -> Seconds:
    seconds = parse_duration(word)
    if seconds is None or seconds > INVITE_TTL_MAX:
        raise FormatError(f"ttl: found {text.shown(word)}, expected 24h at most, such as 30min")
    return seconds
