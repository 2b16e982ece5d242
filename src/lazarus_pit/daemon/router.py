"""The router: from outboxes to inboxes, in the bus's own thread and never in the loop's.

Everything in an outbox is hostile. Who sent a mail is said by the outbox alone. What is not
delivered goes back to its sender with the reason; a bounce itself never bounces.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from lazarus_pit.cells import mailbox
from lazarus_pit.cells.files import read_hostile
from lazarus_pit.cells.layout import CellPaths
from lazarus_pit.cells.mailbox import Box, Letter
from lazarus_pit.core.model import Role
from lazarus_pit.daemon import notes
from lazarus_pit.errors import FormatError, StoreError
from lazarus_pit.formats import envelope as mail
from lazarus_pit.formats.envelope import Ack, Envelope, Kind, MailName
from lazarus_pit.formats.instant import to_rfc3339
from lazarus_pit.formats.text import one_line

log = logging.getLogger(__name__)

SLICE = 64
"""Files taken from one outbox before the others have a turn."""
LETTERS = 256
"""Letters after which a round takes no further file: what goes to many is more than one."""
RATE = 1000.0
"""Letters a second that one sender may cause, on the average; what is more waits in its outbox."""
BURST = 2000.0
"""Letters that one sender may cause at once after a silence."""
LIVES = 5
"""Lives of a receiver that may end without acknowledging a mail; then it is a dead letter."""
PATIENCE = 1.0
"""Seconds until mail that a disk refused is tried again."""
ANSWER_SECONDS = 0.5
"""Seconds until a request that could not be answered yet is heard again."""
READ_MAX = 1 << 20
"""Bytes of a delivered mail that are read; escapes may have made it longer than it came."""


class Desk(NamedTuple):
    """One sender at the time of a round."""

    key: str
    paths: CellPaths
    sender: str
    members: Mapping[str, Role]
    generations: Mapping[str, int]
    """The newest life of each member that has lives."""


@dataclass(slots=True)
class Outcome:
    """What became of one desk in a round."""

    delivered: int = 0
    reached: set[str] = field(default_factory=set)
    """Members that have got mail of this sender."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """A word for the sort of reason, and the reason."""
    dead: list[tuple[str, str]] = field(default_factory=list)
    again: float | None = None
    """In how many seconds there is more to do; ``None``: when something new arrives."""


@dataclass(slots=True)
class _Counter:
    """What is remembered of one outbox between rounds."""

    names: deque[str] = field(default_factory=deque)
    tokens: float = BURST
    filled: float = 0.0
    stuck: set[str] = field(default_factory=set)
    """Names that cannot be removed, so that each is told once."""

    def take(self, now: float) -> int:
        """Return how many letters may be caused now, at most ``SLICE``."""
        self.tokens = min(BURST, self.tokens + (now - self.filled) * RATE)
        self.filled = now
        return min(SLICE, int(self.tokens))


@dataclass(slots=True)
class _Round:
    """What a round has in hand before anything is on disk."""

    letters: list[Letter] = field(default_factory=list)
    taken: list[tuple[Path, str]] = field(default_factory=list)
    """Outbox and name of what is dealt with."""
    acks: list[tuple[Desk, Ack]] = field(default_factory=list)


@dataclass(slots=True)
class _Hand:
    """A desk's part in a round: what it adds to it, and what is said of it."""

    round: _Round
    outcome: Outcome


class Answer(NamedTuple):
    """What became of a request to the daemon."""

    sort: str
    """A word for the sort of refusal; empty: it was done."""
    text: str


class Router:
    """Lives in one thread; what it remembers can all be read again from the disk."""

    def __init__(self, asked: Callable[[Desk, Envelope], Answer | None] | None = None) -> None:
        """Know nothing yet. ``asked`` answers requests to the daemon; ``None``: not yet."""
        self._asked = asked
        self._crew = mailbox.Crew()
        self._boxes: dict[tuple[str, str], Box] = {}
        self._counters: dict[str, _Counter] = {}

    def route(self, desks: Sequence[Desk]) -> list[Outcome]:
        """Do one slice of each desk; where the disk refuses, nobody suffers for another's."""
        try:
            return self._route(desks)
        except StoreError as error:
            if len(desks) == 1:
                log.warning("mail of %s waits: %s", desks[0].key, error)
                return [Outcome(again=PATIENCE)]
        return [outcome for desk in desks for outcome in self.route([desk])]

    def _route(self, desks: Sequence[Desk]) -> list[Outcome]:
        """Deliver first, remove from the outboxes last.

        Raises:
            StoreError: the disk refused; the mail is still in the outboxes.
        """
        round_ = _Round()
        try:
            outcomes = [self._collect(desk, round_) for desk in desks]
            mailbox.put(round_.letters, self._crew)
            for desk, ack in round_.acks:
                self._box(desk, desk.sender).acknowledge(ack.names)
        except StoreError:
            self._boxes.clear()  # What they count is not on disk.
            self._counters.clear()
            raise
        gone = self._crew.each(lambda one: mailbox.discard(*one), round_.taken)
        for (outbox, name), done in zip(round_.taken, gone, strict=True):
            if not done:
                key = next(one.key for one in desks if one.paths.outbox(one.sender) == outbox)
                self._counters[key].stuck.add(name)
        return outcomes

    def forget(self, uuid: str) -> None:
        """Remember nothing of a cell that is gone; for one that is not, it is read again."""
        self._boxes = {where: box for where, box in self._boxes.items() if where[0] != uuid}
        here = f"{uuid}/"
        self._counters = {k: one for k, one in self._counters.items() if not k.startswith(here)}

    def tell(self, desk: Desk, said: Envelope) -> set[str] | None:
        """Put a mail of the daemon's own into a member's inbox, unless it was there before.

        Returns whom mail has reached by this; ``None``: the inbox is full.

        Raises:
            StoreError: the disk refused.
        """
        hand = _Hand(_Round(), Outcome())
        try:
            if not self._enter(desk, desk.sender, said, mail.encode(said), hand, urgent=True):
                return None
            mailbox.put(hand.round.letters, self._crew)
        except StoreError:
            self._boxes.clear()  # What they count is not on disk.
            raise
        return hand.outcome.reached

    def close(self) -> None:
        """Let go of the threads; nothing is under way in them."""
        self._crew.close()

    def sweep(self, desks: Sequence[Desk]) -> list[Outcome]:
        """Bury what has expired or was never acknowledged; see what a restore put back."""
        return [self._buried(desk, time.time()) for desk in desks]

    def _buried(self, desk: Desk, now: float) -> Outcome:
        try:
            return self._bury(desk, now)
        except (StoreError, FormatError) as error:  # What is left is for the next sweep.
            log.warning("dead letters of %s: %s", desk.key, error)
            self._boxes.pop((desk.paths.uuid, desk.sender), None)
            return Outcome()

    # ------------------------------------------------------------ one outbox

    def _collect(self, desk: Desk, round_: _Round) -> Outcome:
        counter = self._counters.setdefault(desk.key, _Counter())
        hand, outbox = _Hand(round_, Outcome()), desk.paths.outbox(desk.sender)
        if not counter.names:
            names = mailbox.pending(outbox)
            counter.stuck &= set(names)
            counter.names.extend(name for name in names if name not in counter.stuck)
        began, allowed = len(counter.names), counter.take(time.monotonic())
        waits = False
        while counter.names and allowed > 0 and len(round_.letters) < LETTERS:
            name, before = counter.names.popleft(), len(round_.letters)
            if not self._open(desk, outbox / name, hand):
                waits = True
                continue
            cost = max(1, len(round_.letters) - before)
            counter.tokens -= cost
            allowed -= cost
            round_.taken.append((outbox, name))
        if counter.names:
            hand.outcome.again = 0.0 if counter.tokens >= 1 else SLICE / RATE
        elif waits:
            hand.outcome.again = ANSWER_SECONDS
        elif began:
            hand.outcome.again = 0.0  # More may have come since the outbox was listed.
        return hand.outcome

    def _open(self, desk: Desk, path: Path, hand: _Hand) -> bool:
        """Deal with one file; ``False``: it is to stay until the daemon can answer it."""
        data = b""
        try:
            data = read_hostile(path, mail.MAX_BYTES, sole=True) or b""
            if not data and not os.path.lexists(path):
                return True  # Its sender has taken it back.
            said = mail.parse(data)
        except (FormatError, StoreError) as error:
            shown = one_line(path.name, 80)
            reason = str(error).replace(str(path.parent), "outbox")
            self._bounce(desk, None, f"{shown}: {reason}", path.name, hand.round)
            hand.outcome.refused.append(("unreadable", f"{shown}: {reason}"))
            return True
        if isinstance(said, Ack):
            hand.round.acks.append((desk, said))
        elif said.to in mail.ADDRESSES and said.to not in desk.members:
            return self._request(desk, said, path, hand)
        else:
            self._address(desk, said, hand)
        return True

    def _request(self, desk: Desk, said: Envelope, path: Path, hand: _Hand) -> bool:
        """Have a request to the daemon answered; ``False``: not yet."""
        if self._box(desk, desk.sender).knows((mail.PIT, notes.answer_id(desk.sender, said))):
            return True  # Answered before we were killed.
        if reason := mail.why_refused(said, desk.sender, desk.members[desk.sender]):
            sort = "not_allowed" if said.sender in (None, desk.sender) else "forged"
            self._refuse(desk, said, (sort, reason), hand)
            return True
        if said.subject.strip() == "leave":  # Never found by one of the same name that comes later.
            mailbox.discard(path.parent, path.name)
        answer = self._asked(desk, said) if self._asked else Answer("no_receiver", "nobody hears")
        if answer is None:
            return False
        if answer.sort:
            self._refuse(desk, said, (answer.sort, answer.text), hand)
            return True
        text = notes.answer(desk.sender, said, answer.text)
        quiet = _Hand(hand.round, Outcome())
        self._enter(desk, desk.sender, text, mail.encode(text), quiet, urgent=True)
        return True

    def _address(self, desk: Desk, said: Envelope, hand: _Hand) -> None:
        """Send one mail on its way to everybody it is meant for."""
        reason = mail.why_refused(said, desk.sender, desk.members[desk.sender])
        sort = "not_allowed" if said.sender in (None, desk.sender) else "forged"
        meant = mail.receivers(said.to, desk.sender, desk.members)
        if not reason and not meant:
            sort, reason = "no_receiver", f"to: {said.to} is no other member and no role of one"
        if reason:
            self._refuse(desk, said, (sort, reason), hand)
            return
        expires, now = mail.expiry(said), time.time()
        said = replace(said, sender=desk.sender, sent_at=said.sent_at or to_rfc3339(now, 3))
        if expires and expires <= now:
            dead = ("expired", f"expired at {said.expires}")
            for receiver in meant:
                box = self._box(desk, receiver)
                name = MailName(time.time_ns(), 0, expires, desk.sender, said.id)
                hand.round.letters.append(Letter(box.grave(), name, _with_reason(said, dead[1])))
            hand.outcome.dead.append(dead)
            self._bounce(desk, said, dead[1], said.id, hand.round)
            return
        data = mail.encode(said)
        full = [one for one in meant if not self._enter(desk, one, said, data, hand)]
        if full:
            why = f"the inbox of {', '.join(full)} is full: {mailbox.INBOX_MAX} mails wait in it"
            self._refuse(desk, said, ("inbox_full", why), hand)

    def _enter(  # noqa: PLR0913 - a delivery is these facts
        self,
        desk: Desk,
        receiver: str,
        said: Envelope,
        data: bytes,
        hand: _Hand,
        *,
        urgent: bool = False,
    ) -> bool:
        """Put a mail into an inbox unless it is there already; ``False``: the inbox is full."""
        box = self._box(desk, receiver)
        sender = said.sender or mail.PIT
        if box.knows((sender, said.id)):
            return True
        if box.is_full(bounce=urgent or said.kind is Kind.BOUNCE):
            return False
        generation = desk.generations.get(receiver, 0)
        name = box.next_name(generation, mail.expiry(said), sender, said.id)
        hand.round.letters.append(Letter(box.inbox, name, data))
        hand.outcome.delivered += 1
        hand.outcome.reached.add(receiver)
        return True

    # ------------------------------------------------------------ what goes back

    def _refuse(self, desk: Desk, said: Envelope, why: tuple[str, str], hand: _Hand) -> None:
        hand.outcome.refused.append(why)
        self._bounce(desk, said, why[1], said.id, hand.round)

    def _bounce(
        self, desk: Desk, said: Envelope | None, why: str, cause: str, round_: _Round
    ) -> None:
        """Tell a sender that a mail was not delivered; where even that has no room, it is lost.

        The id follows from the cause, so that a refusal repeated after a crash is told once.
        """
        bounce = notes.bounce(desk.sender, said, why, cause)
        self._enter(desk, desk.sender, bounce, mail.encode(bounce), _Hand(round_, Outcome()))

    # ------------------------------------------------------------ inboxes

    def _box(self, desk: Desk, agent: str) -> Box:
        where = (desk.paths.uuid, agent)
        if where not in self._boxes:
            self._boxes[where] = Box(desk.paths, agent)
        return self._boxes[where]

    def _bury(self, desk: Desk, now: float) -> Outcome:
        outcome, box = Outcome(), self._box(desk, desk.sender)
        try:
            if box.inbox.stat().st_ino != box.inode:  # A restore put another in its place.
                del self._boxes[desk.paths.uuid, desk.sender]
                box = self._box(desk, desk.sender)
        except OSError:
            return outcome
        lives = desk.generations.get(desk.sender, 0)
        for name in list(box.waiting.values()):
            why = _why_dead(name, now, lives)
            if not why:
                continue
            data = read_hostile(box.inbox / name.file(), READ_MAX)
            said = mail.parse_delivered(data) if data else None
            if said is not None:
                mailbox.put([Letter(box.grave(), name, _with_reason(said, why[1]))], self._crew)
                outcome.dead.append(why)
                self._return(desk, said, f"{desk.sender} never read it: {why[1]}")
            box.forget(name)
        if outcome.dead:
            box.prune_dead()
        return outcome

    def _return(self, desk: Desk, said: Envelope, why: str) -> None:
        """Tell the sender of a dead letter, if it is still a member, that it was of no use."""
        sender = said.sender or mail.PIT
        if said.kind is Kind.BOUNCE or sender not in desk.members:
            return
        round_ = _Round()
        self._bounce(desk._replace(sender=sender), said, why, said.id, round_)
        mailbox.put(round_.letters, self._crew)


def _why_dead(name: MailName, now: float, lives: int) -> tuple[str, str] | None:
    """Return why a mail that waits is of no more use, as a sort and a reason."""
    if name.expires and name.expires <= now:
        return ("expired", f"expired at {to_rfc3339(name.expires)}")
    ended = lives - max(1, name.generation)
    if ended >= LIVES:
        return ("unacknowledged", f"not acknowledged in {ended} lives")
    return None


def _with_reason(said: Envelope, why: str) -> bytes:
    return mail.encode(replace(said, found={**said.found, "dead_because": why}))
