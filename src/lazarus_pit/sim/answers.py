"""The books of requests: each is answered once, in time, or never, and an answer is heard."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Told
from lazarus_pit.core.model import Instant, Key, Phase, Seconds
from lazarus_pit.records.approvals import Answered, Request
from lazarus_pit.sim.accounts import SLACK, Account, Matter, matter_of
from lazarus_pit.sim.asking import SWEEP, Records
from lazarus_pit.sim.machine import Listener, Machine

HEARD_WITHIN: Seconds = SWEEP + 12.0
"""However an answer was given, a daemon that is well has heard it after so long."""


class _Taken(NamedTuple):
    approved: bool
    at: Instant
    daemon: Listener | None


class Answers:
    """Follows each request from its death to its answer."""

    def __init__(self, world: Machine, records: Records) -> None:
        """Begin with nothing asked."""
        self._world = world
        self._records = records
        self._taken: dict[str, _Taken] = {}
        self._of: dict[tuple[Key, Matter], str] = {}
        """The request that people read about each matter."""
        self._granted: Counter[tuple[Key, Matter]] = Counter()
        self._let_go: set[tuple[Key, Matter]] = set()
        """Matters of those whom people removed since: the daemon may have heard it, and died."""

    def forget(self, key: Key) -> None:
        """It was removed: who comes back is asked about anew."""
        for death in [death for death in self._of if death[0] == key]:
            del self._of[death]
        for death in [death for death in self._granted if death[0] == key]:
            del self._granted[death]

    def removed(self, key: Key) -> None:
        """People remove an agent; one of its name that is back at once may be asked about anew."""
        self._let_go.update(death for death in self._of if death[0] == key)

    def read(self, request: Request, account: Account) -> None:
        """People read a request: one for each death, and only for somebody who died."""
        death = (request.subject, _matter(request))
        if self._of.setdefault(death, request.id) == request.id:
            return
        if death in self._let_go:
            self._let_go.discard(death)
            self._of[death] = request.id
        else:
            account.fail(f"people are asked twice about generation {request.generation}")

    def judge(self, answered: Answered, account: Account, *, approved: bool) -> None:
        """What became of an answer: the first stands, and only one in time is taken."""
        world, request = self._world, answered.request
        if request is None:
            if answered.reply != "unknown":
                world.fail(f"an answer to nothing is {answered.reply}")
            return
        before = self._taken.get(request.id)
        if answered.reply != "decided":
            self._refused(answered.reply, request, account, before)
            return
        if before is not None:
            account.fail("two answers to one request are taken")
        if world.time > account.asked.get(_matter(request), world.time) + SLACK:
            account.fail(f"an answer about generation {request.generation} is taken too late")
        if self._nobody_waits(request):
            account.fail(f"an answer about generation {request.generation} that nobody waits for")
        self._taken[request.id] = _Taken(approved, world.time, world.daemon)
        if approved:
            account.approve(_matter(request))

    def _nobody_waits(self, request: Request) -> bool:
        """Whether the daemon has had the time to close a request that no longer matters."""
        daemon, now = self._world.daemon, self._world.clock
        if daemon is None or not self._is_well(daemon, now - HEARD_WITHIN):
            return False
        agent = daemon.loop.fleet.agents.get(request.subject)
        if agent is None:
            return False
        return not _waits(agent, request) and now - agent.since > HEARD_WITHIN

    def _refused(
        self, reply: str, request: Request, account: Account, before: _Taken | None
    ) -> None:
        """An answer changed nothing: there had been another, or nobody waits any more."""
        if before and before.approved != (request.outcome == "approved"):
            account.fail("the second answer overturned the first")
        if before is None and request.outcome in ("approved", "denied"):
            account.fail("a request was decided by nobody")
        if before is None and self._somebody_waits(request, account):
            account.fail(f"an answer in time is refused: {reply}")

    def _somebody_waits(self, request: Request, account: Account) -> bool:
        """Whether a well daemon has been waiting for this very answer, and still has the time."""
        daemon = self._world.daemon
        if daemon is None or not self._is_well(daemon, self._world.clock - HEARD_WITHIN):
            return False
        if self._of.get((request.subject, _matter(request))) != request.id:
            return False  # It was about a namesake that is no more.
        agent = daemon.loop.fleet.agents.get(request.subject)
        if agent is None or not _waits(agent, request):
            return False
        return self._world.time < account.asked_first.get(_matter(request), 0.0) - SLACK

    def hear(self, told: Told, account: Account) -> None:
        """Book a line about a request."""
        generation = int(told.data.get("generation", 0))
        matter = matter_of(told)
        death = (told.key, matter)
        taken = self._taken.get(self._of.get(death, ""))
        if told.event == "approval_granted":
            self._granted[death] += 1
            if self._granted[death] > 1 and generation not in account.lost:
                account.fail(f"generation {generation} is granted another life twice")
        elif told.event == "approval_denied":
            if taken is None or taken.approved:
                account.fail(f"generation {generation} is denied another life by nobody")
        elif told.event == "approval_expired":
            if taken and self._is_unheard(taken):
                account.fail(f"the answer about generation {generation} was never heard")
            if matter not in account.asked and self._had_time(told.key):
                account.fail(f"nobody was asked about generation {generation}")

    def _had_time(self, key: Key) -> bool:
        """Whether a well daemon has had all the time of a request to ask."""
        daemon, asked_for = self._world.daemon, self._world.rules[key].approval_timeout
        return daemon is not None and self._is_well(daemon, self._world.clock - asked_for)

    def _is_unheard(self, taken: _Taken) -> bool:
        daemon = self._world.daemon
        if daemon is None or self._records.refused_at >= taken.at:
            return False
        if taken.daemon is not daemon:
            return True  # It began with what was answered before it.
        since = self._world.time - taken.at
        return since > HEARD_WITHIN and self._is_well(daemon, self._world.clock - since)

    def _is_well(self, daemon: Listener, since: Instant) -> bool:
        """Whether a daemon has had time, eyes and a disk since an instant of its clock."""
        world = self._world
        at = world.time - (world.clock - since)
        troubles = (daemon.began, daemon.stalled_until, self._records.refused_at, world.leaped_at)
        return not world.disk.full and max(troubles) < at


def _matter(request: Request) -> Matter:
    hold = request.facts.get("hold", 0)
    return request.generation, hold if isinstance(hold, int) else 0


def _waits(agent: Agent, request: Request) -> bool:
    """Whether an agent waits for the answer to this very request."""
    generation, hold = _matter(request)
    if agent.generation != generation:
        return False
    if hold:
        return agent.curb is not None and agent.curb.number == hold
    return agent.phase is Phase.AWAITING
