"""Promises, checked against the truth of the simulated world, never against the core's belief.

Safety is checked at each event; liveness (``ending.py``) once the world has been calm for long.
The accounts of one agent (who may start, how many attempts) are in ``accounts.py``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Order, Spawn, Told
from lazarus_pit.core.fleet import Turn
from lazarus_pit.core.model import Desired, Instant, Key, OnRevive, OnStall, Phase
from lazarus_pit.records.approvals import Answered, Request
from lazarus_pit.sim.accounts import Account, Matter
from lazarus_pit.sim.answers import Answers
from lazarus_pit.sim.asking import Records
from lazarus_pit.sim.machine import Machine
from lazarus_pit.sim.program import MUTE, Mode, Program

LATE = 25.0
"""How long a sign of life can be on its way, in seconds."""
GRAIN = 1e-6
"""Two clocks that differ by a constant agree to so much, in seconds."""


def _cell(key: Key) -> str:
    return key.partition("/")[0]


class Checks:
    """Follows every decision and order, and keeps the accounts."""

    def __init__(self, world: Machine, records: Records) -> None:
        """Begin with nothing broken."""
        self.world = world
        self.accounts: dict[Key, Account] = {}
        self.answers = Answers(world, records)
        self.judged: dict[tuple[Key, int], Instant] = {}
        self.condemned: set[tuple[Key, int]] = set()
        self.starts: list[tuple[Instant, Key, int]] = []
        self.revivals: list[Instant] = []

    def account(self, key: Key) -> Account:
        """Return the books of one agent."""
        if key not in self.accounts:
            self.accounts[key] = Account(self.world, key)
        return self.accounts[key]

    # ------------------------------------------------------------ the daemon's turns

    def turned(self, idle_turns: int) -> None:
        """A tick that was due must move the next wake forward."""
        if idle_turns > 2:
            self.world.fail("the same tick is due again and again: a wake does not move forward")

    def inbox(self, length: int) -> None:
        """The inbox is drained every turn, so it stays within what one stall can gather."""
        if length > 200 * (1 + len(self.world.rules)):
            self.world.fail(f"the inbox holds {length} facts")

    def decided(self, turn: Turn) -> None:
        """Follow what a turn came to, before it is acted on."""
        for told in turn.told:
            self.world.count(told.event)
            if told.key:
                self.account(told.key).hear(told)
                self.answers.hear(told, self.account(told.key))
                self._hear(told)
        for key, agent in turn.changed.items():
            if agent is None:
                if self.world.disk.full:
                    self.world.murky.add(key)
                self.accounts.pop(key, None)
                self.answers.forget(key)
            elif self._is_new(key, agent):
                self.account(key).pardon()
                self.answers.forget(key)
            if agent is None or agent.generation <= self.account(key).generation:
                continue
            if agent.phase is Phase.STARTING:
                self._new_generation(key, agent)
            else:
                self.account(key).generation = agent.generation  # It was removed and is back.

    def _is_new(self, key: Key, agent: Agent) -> bool:
        """Whether it was named for the first time, or removed and named again, in this turn.

        Within one turn it may have come as far as its start: then its generation is the first
        that these books hear of, or the one after the last.
        """
        starts = agent.phase is Phase.STARTING and agent.generation > self.account(key).generation
        return agent.reason == "new" and (starts or agent.phase is Phase.BACKOFF)

    def _new_generation(self, key: Key, agent: Agent) -> None:
        """A start was decided: was it allowed, counted, and within the fleet's budget?"""
        world, account, now = self.world, self.account(key), self.world.time
        account.begin(agent)
        rules = world.fleet_rules
        if agent.revived:
            self.revivals = [at for at in self.revivals if now - at < rules.storm_window - GRAIN]
            agents = len(world.daemon.loop.fleet.agents) if world.daemon else 0
            if len(self.revivals) >= max(rules.storm_floor, int(rules.storm_per_agent * agents)):
                self.world.fail(f"{key}: a revival beyond the budget of the fleet")
            self.revivals.append(now)
        fleet = world.daemon.loop.fleet.agents if world.daemon else {}
        self.starts = [
            start
            for start in self.starts
            if now - start[0] < rules.start_slot - GRAIN and self._still_starting(fleet, *start[1:])
        ]
        if len(self.starts) >= rules.starts_in_flight:
            self.world.fail(f"{key}: more starts in flight than the gate admits")
        self.starts.append((now, key, agent.generation))

    def _still_starting(self, fleet: dict[Key, Agent], key: Key, generation: int) -> bool:
        agent = fleet.get(key)
        if agent is None or agent.generation != generation:
            return False
        return agent.phase is Phase.STARTING

    def restarted(self, agents: dict[Key, Agent]) -> None:
        """The gate and the budget of a new daemon begin anew."""
        self.starts.clear()
        self.revivals.clear()
        for key, agent in agents.items():
            if agent.generation > self.account(key).generation:
                self.account(key).roll_back(agent)  # A full disk had kept this life from it.

    def forgot(self, keys: list[Key], told: list[Told]) -> None:
        """The daemon died with decisions that a full disk had refused: the disk's word holds."""
        for key in {*keys, *(line.key for line in told if line.key)}:
            self.account(key).roll_back(self.world.disk.records.get(key))

    def rebooted(self, keys: list[Key]) -> None:
        """After a boot attempts count from now on, as they stand on the disk."""
        for key in keys:
            record = self.world.disk.records.get(key)
            if record is not None:
                self.account(key).reboot(record)

    # ------------------------------------------------------------ orders and what they lead to

    def spawning(self, order: Spawn, agent: Agent) -> None:
        """A start is about to be carried out for the first time."""
        key, generation = order.key, order.generation
        wanted = self.world.wanted(key)
        if wanted is not Desired.RUN:
            self.world.fail(f"{key}: started although people want it to {wanted or 'be gone'}")
        if self.world.disk.full:
            return
        record = self.world.disk.records.get(key)
        if record is None or record.generation != generation:
            self.world.fail(f"{key}: started before generation {generation} was on disk")
        elif len(record.attempts) != len(agent.attempts):
            self.world.fail(f"{key}: started before its attempt was on disk")

    def restoring(self, key: Key, starting: Collection[tuple[Key, int]]) -> None:
        """A cell is about to be restored: not under anybody's feet."""
        cell = _cell(key)
        for other in (*(program.key for program in self.world.living()), *(k for k, _ in starting)):
            if _cell(other) == cell:
                self.world.fail(f"{key}: its cell is restored while {other} lives")

    def among(self, key: Key, preparing: Mapping[tuple[Key, int], OnRevive]) -> None:
        """A life is about to begin: not in a cell that is being restored."""
        for (other, _), how in preparing.items():
            if how is OnRevive.RESTORE and _cell(other) == _cell(key):
                self.world.fail(f"{key}: started while its cell is restored for {other}")

    def beginning_again(self, order: Spawn) -> None:
        """A start is ordered of a generation that has come and gone."""
        if order.key not in self.world.murky:
            self.world.fail(f"{order.key}: generation {order.generation} is used twice")

    def failing(self, order: Order, *, fatal: bool) -> None:
        """A start could not be carried out."""
        self.account(order.key).failed[order.generation] = fatal

    def killing(self, program: Program, agent: Agent) -> None:
        """A life is to be ended: not if it truly works, computes, waits or announced its step."""
        life = (program.key, program.generation)
        if life in self.condemned or program.dying or program.gone:
            return
        self.condemned.add(life)
        self.world.count(f"killed: {agent.reason}")
        judged = self.judged.get(life, self.world.time)
        if program.mode is Mode.WORKING and judged - program.since < LATE:
            return  # It recovered while the news was on its way, or the daemon was down.
        if program.since > judged:
            return  # It was right when it was judged; then its cell was saved, or nobody was there.
        why = self._wronged(program, agent.reason)
        if why:
            self.world.fail(f"{program.key}: killed as {agent.reason} although {why}")

    def _wronged(self, program: Program, reason: str) -> str:
        now, rules = self.world.time, program.rules
        account = self.account(program.key)
        if reason in ("stop", "operator"):
            return "" if account.was_asked_to_end(program) else "nobody asked for it"
        if reason in ("denied", "approval_expired"):
            return "" if program.generation in account.refused else "nobody said no"
        if program.frozen:
            # With the daemon and a full disk the freeze itself may have been forgotten.
            return "" if program.generation in account.lost else "it was frozen on our order"
        if reason == "start_timeout":
            if program.mode is Mode.WORKING and not program.leaped:
                return "it was ready"
            soon = now - program.born < rules.start_timeout - 1.0
            return "its start had time left" if soon else ""
        return self._silenced(program, reason)

    def _silenced(self, program: Program, reason: str) -> str:
        """The same for one that is to be ended for its silence, or for getting nothing done."""
        now, rules = self.world.time, program.rules
        if program.mode is Mode.SIGSTOPPED or program.mode is Mode.HUNG:
            signs = max(program.born, program.output, program.beat)
            limit = rules.stall_after if reason == "stalled" else rules.resurrect_after
            return "" if now - signs >= limit - 1.0 else "its silence was young"
        if program.mode in MUTE:
            return ""
        patience = rules.compute_limit + rules.resurrect_after
        leaped = program.leaped or now - program.leaped_at < patience
        if leaped and program.mode not in (Mode.WORKING, Mode.STALLED):
            return ""  # Its patience was measured in a time that has leaped.
        if reason == "stalled" and program.mode is Mode.STALLED:
            late = now - program.progress >= rules.stall_after - 1.0
            return "" if late and rules.on_stall is OnStall.REVIVE else "that is no ground"
        return f"it was {program.mode.name.lower()} for {now - program.since:.1f} s"

    # ------------------------------------------------------------ the journal and people

    def _hear(self, told: Told) -> None:
        if told.event in ("agent_hung", "agent_stalled", "agent_start_failed"):
            self.judged[told.key, int(told.data["generation"])] = self.world.time
        if told.event == "agent_hung" and self.world.blind:
            self.world.fail(f"{told.key}: called hung although the pit was blind")
        if told.event != "heartbeat_stale":
            return
        program = self.world.programs.get((told.key, int(told.data["generation"])))
        if program is None or program.gone or self.world.blind or program.leaped:
            return
        silent = self.world.time - program.arrived
        if silent < program.rules.heartbeat_stale_threshold - 1.0:
            self.world.fail(f"{told.key}: called stale {silent:.1f} s after a beat")

    def requested(self, key: Key) -> None:
        """Somebody asks for a revive by hand."""
        self.account(key).requests += 1

    def dismissed(self, key: Key) -> None:
        """People remove an agent."""
        self.answers.removed(key)

    def mailed(self, key: Key) -> None:
        """Somebody writes to an agent."""
        self.account(key).mails += 1

    def asked(self, key: Key, matter: Matter, expires: Instant) -> None:
        """People are asked about the death of one generation, or about one of its holds."""
        account = self.account(key)
        account.asked[matter] = expires
        account.asked_first.setdefault(matter, expires)

    def read(self, request: Request) -> None:
        """Somebody reads a request."""
        self.answers.read(request, self.account(request.subject))

    def answered(self, answered: Answered, *, approved: bool) -> None:
        """An answer has reached the records."""
        subject = answered.request.subject if answered.request else ""
        self.answers.judge(answered, self.account(subject), approved=approved)
