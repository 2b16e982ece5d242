"""The clerk: does what members ask of the daemon by mail, in the bus's own thread.

A request lies in its sender's outbox until it is answered, so a daemon that is killed hears it
again: each thing done here is done once, or does no harm when done twice. People's word stands
above a coordinator's: what they stopped, froze, or keep to themselves by policy is left alone.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from msgspec.structs import replace

from lazarus_pit.cells import provision, store
from lazarus_pit.cells.layout import PitPaths
from lazarus_pit.core.agent import Agent
from lazarus_pit.core.death import ANSWERS
from lazarus_pit.core.model import (
    CellStatus,
    Desired,
    FleetRules,
    Key,
    Phase,
    RevivePolicy,
    Seconds,
)
from lazarus_pit.daemon import notes, questions, teaming
from lazarus_pit.daemon.router import Answer, Desk
from lazarus_pit.daemon.teaming import Guest
from lazarus_pit.errors import FormatError, RefusedError, UsageError
from lazarus_pit.formats import request as requests
from lazarus_pit.formats.envelope import Envelope, expiry
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.manifest import Manifest, with_member
from lazarus_pit.formats.question import quotable
from lazarus_pit.formats.request import Request
from lazarus_pit.records import invitations
from lazarus_pit.records.database import opened_records

ASKED_MAX = 20
"""Requests that one member may make within ``ASKED_WINDOW``."""
ASKED_WINDOW: Seconds = 600.0
REVIVES_MAX = 5
"""Revives of one agent that coordinators may ask for within ``REVIVES_WINDOW``."""
REVIVES_WINDOW: Seconds = 3600.0
GUESTS_MAX = 20
"""Invitations of one cell that may be open when a coordinator asks for another."""
LOCK_SECONDS = 0.5
"""How long a manifest's lock is waited for; then the request is heard again a little later."""

Save = Callable[[str, str, Callable[[str], None]], None]
"""Begin a checkpoint of a cell with a note; the third is told what became of it, once."""


class _Paper(NamedTuple):
    """A checkpoint that was asked for; ``said`` is empty while it is being taken."""

    said: list[str]


class Clerk:
    """Answers requests. What it remembers bounds how much may be asked; it may be forgotten."""

    def __init__(
        self,
        pit: PitPaths,
        agents: Mapping[Key, Agent],
        save: Save,
        asked: Callable[[], object] = lambda: None,
    ) -> None:
        """``agents`` is the loop's own table; ``save`` has checkpoints taken.

        ``asked`` is told that there is a question to people.
        """
        self._pit = pit
        self._agents = agents
        self._save = save
        self._people = asked
        self.fleet = FleetRules()
        """How much people may be asked at once."""
        self._asked: dict[str, deque[float]] = {}
        self._revived: dict[str, deque[float]] = {}
        self._heard: set[str] = set()
        self._papers: dict[str, _Paper] = {}
        self._does: Mapping[str, Callable[[Desk, Envelope, Request], str | None]] = {
            "invite": self._invite,
            "revive": self._revive,
            "checkpoint": self._checkpoint,
            "leave": self._leave,
            "ask": self._ask,
        }

    def answer(self, desk: Desk, said: Envelope) -> Answer | None:
        """Do what a mail asks for, or say why not; ``None``: not yet, ask again soon.

        Raises:
            StoreError: the machine refused; the mail stays where it is.
        """
        name = f"{desk.key}:{said.id}"
        try:
            asked = requests.parse(said.subject)
            if why := requests.why_refused(asked.verb, desk.members[desk.sender]):
                return Answer("not_allowed", why)
            if name not in self._heard and not self._hears(desk.key):
                return Answer("rate", f"more than {ASKED_MAX} requests in {ASKED_WINDOW:.0f} s")
            self._heard.add(name)  # It may be heard again before it is answered.
            text = self._does[asked.verb](desk, said, asked)
        except (FormatError, RefusedError, UsageError) as error:
            self._heard.discard(name)
            return Answer("not_allowed", str(error))
        if text is None:
            return None
        self._heard.discard(name)
        return Answer("", text)

    def forget(self, uuid: str) -> None:
        """Remember nothing of a cell that is gone: nobody there will ask again."""
        here = f"{uuid}/"
        self._asked = {k: one for k, one in self._asked.items() if not k.startswith(here)}
        self._revived = {k: one for k, one in self._revived.items() if not k.startswith(here)}
        self._papers = {k: one for k, one in self._papers.items() if not k.startswith(here)}
        self._heard = {name for name in self._heard if not name.startswith(here)}

    def _hears(self, who: Key) -> bool:
        return _has_room(self._asked, who, ASKED_MAX, ASKED_WINDOW)

    def _invite(self, desk: Desk, said: Envelope, asked: Request) -> str:
        if self._pit.records.exists():
            with opened_records(self._pit.records) as db:
                open_ = invitations.pending(db, time.time())
            if sum(one.cell == desk.paths.uuid for one in open_) >= GUESTS_MAX:
                raise RefusedError(f"{GUESTS_MAX} invitations of this cell are open already")
        guest = Guest(asked.name, asked.role, by=desk.sender)
        asked_in = f"{desk.key}:{said.id}"
        given = teaming.invite(self._pit, desk.paths, guest, asked.ttl, asked_in)
        until = to_rfc3339(given.invitation.expires)
        return (
            f"{asked.name} is invited as {asked.role} until {until}. For whoever works at the "
            f"host: lazarus join {given.token} -- PROGRAM"
        )

    def _revive(self, desk: Desk, said: Envelope, asked: Request) -> str:
        key = f"{desk.paths.uuid}/{asked.name}"
        _refuse_revive(desk, asked.name, self._agents.get(key))
        mail_name = f"{desk.sender}:{said.id}"
        heard_before = False

        def change(old: Manifest) -> Manifest:
            nonlocal heard_before
            member = old.member(asked.name)
            if member is None:
                raise RefusedError(f"{asked.name} has left")
            heard_before = member.asked_in == mail_name
            if heard_before:  # And the daemon was killed.
                return old
            if old.status is not CellStatus.ACTIVE or member.desired is Desired.STOP:
                raise RefusedError(f"people want {asked.name} to stand still or be stopped")
            if not _has_room(self._revived, key, REVIVES_MAX, REVIVES_WINDOW):
                raise RefusedError(f"{REVIVES_MAX} revives of {asked.name} were asked for lately")
            revived = replace(member, request=member.request + 1, asked_in=mail_name)
            return with_member(old, revived)

        store.update_manifest(desk.paths, change, LOCK_SECONDS)
        if not heard_before:
            provision.note_order(desk.paths, asked.name, "revive", desk.sender)
        return f"{asked.name} gets a new life"

    def _checkpoint(self, desk: Desk, said: Envelope, asked: Request) -> str | None:
        name = f"{desk.key}:{said.id}"
        paper = self._papers.get(name)
        if paper is None:
            paper = self._papers[name] = _Paper([])
            note = f"asked for by {desk.sender}: {asked.note}".removesuffix(": ")
            self._save(desk.paths.uuid, note, paper.said.append)
        if not paper.said:
            return None
        del self._papers[name]
        return paper.said[0]

    def _ask(self, desk: Desk, said: Envelope, _asked: Request) -> str:
        if desk.sender not in desk.generations:
            raise RefusedError("people ask each other; only an agent's question is carried to them")
        until, now = expiry(said), time.time()
        if until and until <= now:
            raise RefusedError(f"expired at {said.expires}")
        asked = questions.ask(self._pit, desk, said.id, quotable(said.body), until, self.fleet)
        self._people()
        if asked.outcome != "open":
            return f"asked before: {notes.decision(desk.sender, asked).body}"
        return (
            f"people are asked until {to_rfc3339(asked.expires)}; their answer comes as a mail "
            "that answers yours, also to your next life"
        )

    def _leave(self, desk: Desk, _said: Envelope, _asked: Request) -> str:
        teaming.remove(self._pit, desk.paths, desk.sender)
        return "you have left the cell"


def _refuse_revive(desk: Desk, name: str, agent: Agent | None) -> None:
    """Pass an agent about which no person has a word to say.

    Raises:
        RefusedError: it is another's to revive it, or nobody's.
    """
    if agent is None or name not in desk.members:
        raise RefusedError(f"{name} is no agent of this cell that the daemon runs")
    if name == desk.sender:
        raise RefusedError("you live; exit if you want another life")
    if agent.rules.revive_policy is not RevivePolicy.AUTO:
        raise RefusedError(f"the policy of {name} is {agent.rules.revive_policy}: a person decides")
    if agent.curb is not None or (agent.phase is Phase.ESCALATED and agent.reason in ANSWERS):
        raise RefusedError(f"people are asked about {name}, or have said no: they decide")


def _has_room(taken: dict[str, deque[float]], who: str, most: int, window: Seconds) -> bool:
    """Whether one more is allowed now; it counts from then on."""
    now = time.monotonic()
    times = taken.setdefault(who, deque())
    while times and times[0] <= now - window:
        times.popleft()
    if len(times) >= most:
        return False
    times.append(now)
    return True
