"""Channels: what carries a request to people and their answer back. Each is down now and then.

They are programs beside the daemon, and know the records alone. A message that is on its way while
its channel is down arrives when that is up again, which may be too late.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from lazarus_pit.core.model import Instant, Seconds
from lazarus_pit.errors import StoreError
from lazarus_pit.records import approvals
from lazarus_pit.records.approvals import Answered, Request
from lazarus_pit.sim.asking import Records
from lazarus_pit.sim.machine import Machine

NAMES = ("phone", "forge")
BY_HAND = "cli"
"""The way that is never down: a command at the machine itself."""
PATIENCE: Seconds = 7.0
"""After so long a channel, or a person at a terminal, tries what was refused once more."""


class Channels:
    """The two channels of a world, and the command line."""

    def __init__(
        self,
        world: Machine,
        records: Records,
        hear: Callable[[str, Request], None],
        judge: Callable[[bool, Answered], None],
        ring: Callable[[], None],
    ) -> None:
        """Bring requests to ``hear``; show each answer to ``judge``, then ``ring`` the daemon."""
        self._world = world
        self._records = records
        self._hear = hear
        self._judge = judge
        self._ring = ring
        self._up: dict[str, Instant] = dict.fromkeys((*NAMES, BY_HAND), 0.0)
        self._looking = False

    def begin(self) -> None:
        """Fail now and then from here on."""
        for name in NAMES:
            self._plan(name)

    def _plan(self, name: str) -> None:
        hourly = self._world.rates["channel_down"]
        if hourly > 0.0:
            delay = self._world.rng.expovariate(hourly) * 3600.0
            self._world.after(delay, partial(self._fail, name))

    def _fail(self, name: str) -> None:
        if self._world.rates["channel_down"] > 0.0:
            self._world.count("channel down")
            self._up[name] = self._world.time + self._world.rng.choice((5.0, 60.0, 900.0, 7200.0))
            self._plan(name)

    def heal(self) -> None:
        """Calm: every channel is up."""
        self._up = dict.fromkeys(self._up, 0.0)

    # ------------------------------------------------------------ requests

    def look(self, delay: Seconds | None = None) -> None:
        """Look soon for requests that a channel has not carried yet."""
        if not self._looking:
            self._looking = True
            rng = self._world.rng
            self._world.after(rng.uniform(0.0, 3.0) if delay is None else delay, self._look)

    def _look(self) -> None:
        self._looking = False
        try:
            db = self._records.opened()
        except StoreError:
            self.look(PATIENCE)
            return
        for request in approvals.pending(db, self._world.time):
            carried = approvals.receipts(db, request.id)
            for name in NAMES:
                if name in carried:
                    continue
                if self._world.time < self._up[name]:
                    self.look(PATIENCE)
                    continue
                self._hear(name, request)
                if self._world.rng.random() < self._world.rates["crash_point"]:
                    self.look(PATIENCE)  # It died before it could note that.
                else:
                    approvals.delivered(db, request.id, name, "sent", now=self._world.time)

    # ------------------------------------------------------------ answers

    def answer(self, name: str, request: str, by: str, *, approved: bool) -> None:
        """Bring an answer to the records, as soon as the channel is up and they accept it."""
        world = self._world
        again = partial(self.answer, name, request, by, approved=approved)
        if world.time < self._up[name]:
            world.after(self._up[name] - world.time + PATIENCE, again)
            return
        try:
            db = self._records.opened()
        except StoreError:
            world.after(PATIENCE, again)
            return
        now = world.time
        answered = approvals.decide(db, request, approved=approved, by=by, via=name, now=now)
        world.count(f"answer {answered.reply}")
        self._judge(approved, answered)
        if world.rng.random() >= world.rates["bell_lost"]:
            self._ring()
