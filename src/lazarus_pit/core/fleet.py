"""The supervisor: every agent, the lazy heap of their deadlines, and what only a fleet can know.

What only a fleet can know: how many starts are under way (the admission gate), how many revivals
there were lately (the storm budget), and that many silences at once say more about the observer
than about the agents (the storm gate). Nothing here grows with the fleet on the way of one fact.
"""

from __future__ import annotations

import heapq
from collections import Counter, deque
from collections.abc import Iterable

from msgspec import Struct, field
from msgspec.structs import replace

from lazarus_pit.core import budget, health
from lazarus_pit.core.agent import (
    Agent,
    is_durable,
    is_judged,
    is_restoring,
    may_live,
    owed,
    wake,
)
from lazarus_pit.core.budget import CURB_LONGEST
from lazarus_pit.core.events import (
    Admitted,
    CellSpent,
    Dismissed,
    Doubted,
    Enlisted,
    Fact,
    ObserverBlinded,
    ObserverDoubted,
    ObserverSaw,
    Order,
    RequestStart,
    Tick,
    Told,
)
from lazarus_pit.core.lifecycle import step
from lazarus_pit.core.model import NEVER, Desired, FleetRules, Instant, Key, Phase
from lazarus_pit.core.purse import Purses, cell_of, is_spending

FORGOTTEN_KEPT = 1000
"""Dismissed agents whose generation is remembered: what is heard of them comes soon or never."""
TICK = Tick()
DOUBTED = Doubted()


class Turn(Struct, kw_only=True):
    """What one turn of the loop came to: to be persisted first, then acted on."""

    changed: dict[Key, Agent | None] = field(default_factory=dict)
    """Agents whose durable state changed; ``None`` is gone from the manifest."""
    told: list[Told] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)


class Fleet:
    """All agents of this pit: ``step`` feeds it facts, ``take`` tells what they came to."""

    def __init__(self, rules: FleetRules, agents: Iterable[Agent] = ()) -> None:
        """Begin with what was persisted; ``owed`` tells what to ask for again."""
        self.rules = rules
        self.agents: dict[Key, Agent] = {agent.key: agent for agent in agents}
        self.turn = Turn()
        self._heap: list[tuple[Instant, Key]] = []
        self._armed: dict[Key, Instant] = {}
        self._queue: list[tuple[Instant, Key]] = []
        self._slots: dict[Key, Instant] = {}
        self._revivals: deque[Instant] = deque()
        self._storming = False
        self._doubt_until: Instant = 0.0
        self._trust_until: Instant = 0.0
        self._blind = False
        self._dismissed: set[Key] = set()
        self._forgotten: dict[Key, int] = {}
        """The last generations of those who were dismissed most lately."""
        self._living = 0
        self._crowds: Counter[str] = Counter()
        """How many agents of a cell may live."""
        self._purses = Purses(self.agents.values())
        self._restoring: dict[str, list[Key]] = {}
        """Cells that are being restored, with who waits for the end of it."""
        for agent in self.agents.values():
            self._count(agent, may_live(agent))
            if is_restoring(agent):
                self._restoring[cell_of(agent)] = []
            self._arm(agent)
            self._arm_mission(cell_of(agent))

    # ------------------------------------------------------------ the way of one fact

    def step(self, key: Key, fact: Fact, now: Instant) -> None:
        """Fold a fact about one agent in. Only ``Enlisted`` makes an unknown agent known."""
        agent = self.agents.get(key)
        match fact:
            case Enlisted():
                self._dismissed.discard(key)
                if agent is None:
                    last = self._forgotten.pop(key, 0)
                    agent = Agent(key=key, rules=fact.rules, generation=last, since=now, due=now)
                    self.turn.changed[key] = agent
                    self._purses.change(None, agent)
            case Dismissed():
                self._dismiss(key, now)
                return
        if agent is not None:
            self._apply(agent, fact, now)

    def observe(self, fact: Fact, now: Instant) -> None:
        """Fold a fact about the observer itself in: verdicts wait until the eyes can be trusted."""
        match fact:
            case ObserverBlinded(why=why):
                self._blind = True
                self._doubt(why, now)
            case ObserverSaw():
                self._blind = False
            case ObserverDoubted(why=why):
                self._doubt(why, now)

    def tick(self, now: Instant) -> None:
        """Let time act on everybody whose deadline has come, then give due starts their turn."""
        due, missions = self._take_due(now)
        if self._is_storm(due, now):
            self._doubt("many_silent_at_once", now)
        for agent in due:
            if self._in_doubt(now) and _is_verdict(agent, now):
                self._apply(agent, DOUBTED, now)
                self._push(
                    agent.key,
                    max(self._doubt_until, now + 1.0) if self._blind else self._doubt_until,
                )
            else:
                self._apply(agent, TICK, now)
        for cell in missions:
            self._mission_due(cell, now)
        self._admit(now)

    def wake(self) -> Instant:
        """When time alone will next matter to anybody."""
        heap = self._heap
        while heap and self._armed.get(heap[0][1]) != heap[0][0]:
            heapq.heappop(heap)  # A newer entry stands elsewhere in the heap.
        first = heap[0][0] if heap else NEVER
        if not self._queue:
            return first
        if len(self._slots) >= self.rules.starts_in_flight:
            return min(first, *self._slots.values())
        if self._storming:
            return min(first, self._revivals[0] + self.rules.storm_window)
        return 0.0  # Somebody has just joined the queue; the next tick gives the turn.

    def owed(self) -> list[Order]:
        """What the whole fleet owes the world: asked again when a daemon begins."""
        orders: list[Order] = []
        for agent in self.agents.values():
            for order in owed(agent):
                if isinstance(order, RequestStart):
                    self._enqueue(agent)
                else:
                    orders.append(order)
        return orders

    def take(self) -> Turn:
        """Take what has come to pass since the last time."""
        turn, self.turn = self.turn, Turn()
        return turn

    # ------------------------------------------------------------ inside

    def _apply(self, agent: Agent, fact: Fact, now: Instant) -> None:
        after, told, orders = step(agent, fact, now)
        key = agent.key
        if after is not agent:
            self.agents[key] = after
            self._count(after, may_live(after) - may_live(agent))
            self._hold_back(agent, after)
            if is_durable(agent, after):
                self.turn.changed[key] = after
            if after.phase is not Phase.STARTING:
                self._slots.pop(key, None)
        self._arm(after)
        self.turn.told.extend(told)
        for order in orders:
            if isinstance(order, RequestStart):
                self._enqueue(after)
            else:
                self.turn.orders.append(order)
        if is_spending(agent, after):
            self._add_up(agent, after, now)
        if key in self._dismissed and not may_live(after):
            self._forget(key)

    def _dismiss(self, key: Key, now: Instant) -> None:
        agent = self.agents.get(key)
        if agent is None:
            return
        if not may_live(agent):
            self._forget(key)
            return
        self._dismissed.add(key)
        wanted = Enlisted(rules=agent.rules, desired=Desired.STOP, request=agent.request)
        self._apply(agent, wanted, now)

    def _forget(self, key: Key) -> None:
        agent = self.agents.pop(key)
        self._count(agent, -may_live(agent))
        self._purses.change(agent, None)
        self._forgotten[key] = agent.generation  # Who comes back is not taken for who was.
        if len(self._forgotten) > FORGOTTEN_KEPT:
            del self._forgotten[next(iter(self._forgotten))]
        self._dismissed.discard(key)
        self._slots.pop(key, None)
        self._armed.pop(key, None)
        self.turn.changed[key] = None

    def _count(self, agent: Agent, more: int) -> None:
        if more:
            self._living += more
            cell = cell_of(agent)
            self._crowds[cell] += more
            if not self._crowds[cell]:
                del self._crowds[cell]

    def _hold_back(self, before: Agent, after: Agent) -> None:
        """While a cell is being restored nobody else of it begins; afterwards all may."""
        begins, ends = is_restoring(after), is_restoring(before)
        if begins and not ends:
            self._restoring.setdefault(cell_of(after), [])
        elif ends and not begins:
            for key in self._restoring.pop(cell_of(after), []):
                if waiting := self.agents.get(key):
                    self._enqueue(waiting)

    def _add_up(self, before: Agent, after: Agent, now: Instant) -> None:
        """Keep what a whole cell has spent; where that is bounded, everybody in it hears of it."""
        cell = cell_of(after)
        spent = self._purses.change(before, after)
        if spent:
            total = self._purses.total(cell, now)
            if budget.over_mission(after.tab, after.rules, total):
                self._tell_mission(cell, now)
        self._arm_mission(cell)

    def _tell_mission(self, cell: str, now: Instant) -> None:
        fact = CellSpent(total=self._purses.total(cell, now))
        for agent in [one for one in self.agents.values() if cell_of(one) == cell]:
            self._apply(agent, fact, now)

    def _mission_due(self, cell: str, now: Instant) -> None:
        """The minutes of a cell may be up: all who run beyond them are held."""
        self._tell_mission(cell, now)
        members = (one for one in self.agents.values() if cell_of(one) == cell)
        self._push(cell, self._purses.weighed(members, cell, now))

    # ------------------------------------------------------------ deadlines

    def _arm(self, agent: Agent) -> None:
        """Keep one entry an agent; a later deadline is found out when the earlier one comes up."""
        when = wake(agent)
        if when < self._armed.get(agent.key, NEVER):
            self._push(agent.key, when)

    def _arm_mission(self, cell: str) -> None:
        when = self._purses.due(cell)
        if when < self._armed.get(cell, NEVER):
            self._push(cell, when)

    def _push(self, key: Key, when: Instant) -> None:
        self._armed[key] = when
        heapq.heappush(self._heap, (when, key))

    def _take_due(self, now: Instant) -> tuple[list[Agent], list[str]]:
        """Return agents whose deadline has come, and cells whose minutes may be up."""
        due: list[Agent] = []
        missions: list[str] = []
        while self._heap and self._heap[0][0] <= now:
            when, key = heapq.heappop(self._heap)
            if self._armed.get(key) != when:
                continue  # A newer entry stands elsewhere in the heap.
            del self._armed[key]
            agent = self.agents.get(key)
            if agent is None:
                missions += [key] * (key in self._purses)
                continue
            if wake(agent) <= now:
                due.append(agent)
            else:
                self._arm(agent)
        return due, missions

    # ------------------------------------------------------------ doubt

    def _is_storm(self, due: list[Agent], now: Instant) -> bool:
        if now < self._trust_until or len(due) * 2 <= self._living:
            return False
        silent = sum(_is_verdict(agent, now) for agent in due)
        return self._living >= self.rules.doubt_fleet and silent * 2 > self._living

    def _doubt(self, why: str, now: Instant) -> None:
        """Postpone verdicts once; after the grace they are trusted again, or nobody ever hangs."""
        until = now + self.rules.doubt_grace
        if until > self._doubt_until:
            if now >= self._doubt_until:
                self.turn.told.append(Told(event="observer_doubted", data={"why": why}))
            self._doubt_until = until
            self._trust_until = until + self.rules.doubt_grace

    def _in_doubt(self, now: Instant) -> bool:
        return self._blind or now < self._doubt_until

    # ------------------------------------------------------------ admission

    def _enqueue(self, agent: Agent) -> None:
        heapq.heappush(self._queue, (agent.died, agent.key))

    def _admit(self, now: Instant) -> None:
        """Give due starts their turn, oldest death first, as the gate and the budget allow."""
        slots = self._slots
        for key in [key for key, until in slots.items() if until <= now]:
            del slots[key]
        while self._queue and len(slots) < self.rules.starts_in_flight:
            key = self._queue[0][1]
            agent = self.agents.get(key)
            if agent is None or not agent.queued or agent.phase is not Phase.BACKOFF:
                heapq.heappop(self._queue)
                continue
            if (waiting := self._restoring.get(cell_of(agent))) is not None:
                waiting.append(heapq.heappop(self._queue)[1])
                continue
            if agent.revived and not self._within_budget(now):
                return
            heapq.heappop(self._queue)
            slots[key] = now + self.rules.start_slot
            self._apply(agent, Admitted(alone=not self._crowds[cell_of(agent)]), now)

    def _within_budget(self, now: Instant) -> bool:
        """Whether the fleet may revive one more now; said once when it may not."""
        revivals, rules = self._revivals, self.rules
        while revivals and now - revivals[0] >= rules.storm_window:
            revivals.popleft()
        # Never none at all: then nothing would end the wait.
        most = max(1, rules.storm_floor, int(rules.storm_per_agent * len(self.agents)))
        if len(revivals) < most:
            revivals.append(now)
            self._storming = False
            return True
        if not self._storming:
            self._storming = True
            data = {"revivals": len(revivals), "window": rules.storm_window}
            self.turn.told.append(Told(event="revival_storm", data=data))
        return False


def _is_verdict(agent: Agent, now: Instant) -> bool:
    """Whether what is due about this agent is a verdict of silence, or the look before one."""
    if agent.phase is Phase.STARTING:
        return True
    if not is_judged(agent):
        return False
    silent = min(
        health.silent_at(agent.vitals, agent.rules), health.stalled_at(agent.vitals, agent.rules)
    )
    return now >= silent - health.LOOK_LEAD


def restamp(agent: Agent, now: Instant, *, same_boot: bool) -> Agent:
    """Return a persisted agent fit for this run of the daemon.

    Instants belong to one boot of the machine. After another boot they would lie in the future or
    far in the past; attempts then count from now on, which errs to the careful side.
    """
    if same_boot:
        return agent
    hold = agent.hold
    if hold is not None and hold.until < NEVER:
        hold = replace(hold, until=now + agent.rules.quota_retry)
    due = now if agent.phase is Phase.BACKOFF else now + agent.rules.approval_timeout
    return replace(
        agent,
        since=now,
        started=now,
        died=now,
        vitals=health.fresh(now),
        due=due if agent.curb is None else now + CURB_LONGEST,
        attempts=tuple(now for _ in agent.attempts),
        frozen_at=now if agent.frozen_at else 0.0,
        hold=hold,
        look=None,
        look_sent=0.0,
        looked=0.0,
    )
