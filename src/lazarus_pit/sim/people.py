"""People: they stop, freeze and remove agents, and answer requests.

They answer in time, late, twice, about the death before, about a request that never was, or never;
by one channel or the other, or by a command.
"""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from lazarus_pit.core.events import Dismissed, Enlisted, Mailed, Told
from lazarus_pit.core.model import Desired, Key
from lazarus_pit.records.approvals import Answered, Request
from lazarus_pit.sim.asking import Records
from lazarus_pit.sim.channels import BY_HAND, NAMES, Channels
from lazarus_pit.sim.checks import Checks
from lazarus_pit.sim.machine import Machine

WORRYING = ("agent_hung", "agent_stalled", "agent_escalated", "agent_held", "heartbeat_stale")
"""Lines in the journal after which somebody may ask for a revive by hand."""


class People:
    """The manifest, which people edit, and the requests that they answer."""

    def __init__(self, world: Machine, checks: Checks, records: Records) -> None:
        """Write the first manifest: everybody shall run."""
        self.world = world
        self.checks = checks
        for key, rules in world.rules.items():
            world.manifest[key] = Enlisted(rules=rules, desired=Desired.RUN)
        self.requests: dict[Key, int] = {}
        self.channels = Channels(world, records, self)
        self._read: dict[Key, list[str]] = {}
        """The requests that somebody has read, of each agent, oldest first."""

    def begin(self) -> None:
        """Begin to change one's mind about every agent now and then."""
        self.channels.begin()
        for key in self.world.rules:
            self._later("flip", key)
            self._later("request", key)
            self._later("mail", key)

    def _later(self, rate: str, key: Key) -> None:
        hourly = self.world.rates[rate]
        if hourly > 0.0:
            act = {"flip": self._flip, "request": self._request, "mail": self._mail}[rate]
            self.world.after(self.world.rng.expovariate(hourly) * 3600.0, partial(act, key))

    def _set(self, key: Key, want: Enlisted | None) -> None:
        """Write the manifest, and let a daemon that runs read it at once."""
        if want is None or want.desired is Desired.STOP:
            self.world.touched[key] = self.world.time
        if want is None:
            self.checks.dismissed(key)
            del self.world.manifest[key]
        else:
            self.world.manifest[key] = want
        if self.world.daemon is not None:
            self.world.daemon.offer(key, want or Dismissed())

    def _flip(self, key: Key) -> None:
        rng = self.world.rng
        if self.world.rates["flip"] == 0.0:
            return
        want = self.world.manifest.get(key)
        if want is not None and want.desired is Desired.RUN:
            what = rng.choice((Desired.STOP, Desired.STOP, Desired.FREEZE, Desired.FREEZE, None))
            self._set(key, replace(want, desired=what) if what else None)
            for _ in range(rng.choice((1, 1, 1, 3))):
                self.world.after(rng.uniform(0.01, 1500.0), partial(self._run, key))
            if rng.random() < 0.2:
                self.world.after(rng.uniform(0.01, 10.0), partial(self._wish, key, Desired.STOP))
                self.world.after(1500.0, partial(self._run, key))
        self._later("flip", key)

    def _wish(self, key: Key, desired: Desired) -> None:
        want = self.world.manifest.get(key)
        if want is not None:
            self._set(key, replace(want, desired=desired))

    def _run(self, key: Key) -> None:
        requests = self.requests.get(key, 0)
        again = Enlisted(rules=self.world.rules[key], desired=Desired.RUN, request=requests)
        want = self.world.manifest.get(key) or again
        self._set(key, replace(want, desired=Desired.RUN))

    def _request(self, key: Key) -> None:
        if self.world.rates["request"] > 0.0:
            self.revive(key)
            self._later("request", key)

    def _mail(self, key: Key) -> None:
        """Write to an agent; the bus brings it, if a daemon runs."""
        if self.world.rates["mail"] > 0.0:
            if self.world.daemon is not None:
                self.checks.mailed(key)
                self.world.daemon.offer(key, Mailed())
            self._later("mail", key)

    def revive(self, key: Key) -> None:
        """Ask for a revive by hand; who asks for one wants it to run."""
        want = self.world.manifest.get(key)
        if want is not None:
            self.checks.requested(key)
            self.world.touched[key] = self.world.time
            self.requests[key] = want.request + 1
            self._set(key, replace(want, desired=Desired.RUN, request=want.request + 1))

    def read(self, told: Told) -> None:
        """Read a line of the journal; some make people act."""
        rng = self.world.rng
        if told.event == "agent_died" and rng.random() < self.world.rates["pauses"]:
            pause = rng.uniform(0.3, 20.0)
            self.world.after(pause, partial(self._wish, told.key, Desired.FREEZE))
            self.world.after(pause + rng.uniform(10.0, 600.0), partial(self._run, told.key))
        if told.event in WORRYING and rng.random() < self.world.rates["reacts"]:
            self.world.after(rng.uniform(0.3, 6.0), partial(self.revive, told.key))

    # ------------------------------------------------------------ requests

    def hear(self, name: str, request: Request) -> None:
        """Read a request on one channel, and decide whether, when and how to answer."""
        world, rng, rates = self.world, self.world.rng, self.world.rates
        self.checks.read(request)
        known = self._read.setdefault(request.subject, [])
        if request.id in known:
            return
        if rng.random() < rates["answers_old"]:
            old = known[-1] if known else "0123456789abcdef"
            self._answer_after(rng.uniform(0.1, 30.0), name, old, "late reader", approved=True)
        known.append(request.id)
        if rng.random() >= rates["answers"]:
            return
        left = request.expires - world.time
        late = rng.random() < rates["answers_late"]
        soon = left - rng.uniform(0.0, 5.0) if rng.random() < 0.2 else rng.uniform(0.0, 0.8) * left
        delay = max(left, 0.0) + rng.uniform(5.0, 500.0) if late else max(soon, 0.0)
        yes = rng.random() < rates["approves"]
        way = rng.choice((name, name, BY_HAND))
        self._answer_after(delay, way, request.id, "ann", approved=yes)
        if rng.random() < rates["answers_again"]:
            yes = rng.random() < 0.7
            way = rng.choice((*NAMES, BY_HAND))
            again = delay + rng.uniform(0.0, 400.0)
            self._answer_after(again, way, request.id, "bob", approved=yes)

    def hear_all(self, name: str, digest: str) -> None:
        """Read a digest, and answer all of it at once, if at all; now and then twice."""
        rng, rates = self.world.rng, self.world.rates
        while rng.random() < rates["answers_all"]:
            delay = rng.choice((rng.uniform(0.1, 60.0), rng.uniform(60.0, 900.0)))
            yes = rng.random() < rates["approves"]
            act = partial(self.channels.answer_all, name, digest, "cleo", approved=yes)
            self.world.after(delay, act)

    def _answer_after(
        self, delay: float, way: str, request: str, by: str, *, approved: bool
    ) -> None:
        act = partial(self.channels.answer, way, request, by, approved=approved)
        self.world.after(delay, act)

    def judge(self, answered: Answered, *, approved: bool) -> None:
        """See what became of an answer."""
        self.checks.answered(answered, approved=approved)

    def ring(self) -> None:
        """Ring for the daemon."""
        if self.world.daemon is not None:
            self.world.daemon.rung()

    def forget(self, key: Key) -> None:
        """An agent that was removed and comes back is a new one; so are its requests."""
        self.requests.pop(key, None)
