"""The books of one agent: what it may do next, and how often, by the truth and the rules alone.

They repeat the restart policy in another way than the core does: from what the journal tells and
what truly happened, as an auditor would.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from lazarus_pit.core.agent import Agent
from lazarus_pit.core.events import Told
from lazarus_pit.core.model import Desired, Instant, Key, Restart, RevivePolicy
from lazarus_pit.sim.machine import Machine
from lazarus_pit.sim.program import Mode, Program

Matter = tuple[int, int]
"""What people are asked about: a generation, and which hold of it; 0 is its death."""
SLACK = 1.5
"""Seconds by which an answer at the very end of a request may count either way."""


class Account:
    """One agent's books."""

    def __init__(self, world: Machine, key: Key) -> None:
        """Open the books of an agent that has never lived."""
        self.world = world
        self.key = key
        self.generation = 0
        self.attempts: list[Instant] = []
        self.barred = ""
        """Why the next start is not allowed; empty if it is."""
        self.free = True
        """The next start is no attempt."""
        self.endings: Counter[int] = Counter()
        self.escalations: Counter[int] = Counter()
        self.stuck: Counter[int] = Counter()
        self.lost: set[int] = set()
        """Generations whose lines may have been lost with a full disk."""
        self.asked: dict[Matter, Instant] = {}
        """Until when the daemon waits for a word about each matter."""
        self.asked_first: dict[Matter, Instant] = {}
        """The same when it first asked: so long people may answer, whatever a reboot changed."""
        self.approved: set[Matter] = set()
        self.refused: set[int] = set()
        """Generations that people would not let go on."""
        self.mails = 0
        self.woken = 0
        self.failed: dict[int, bool] = {}
        self.requests = 0
        self.honoured = 0
        self.by_hand_at = -1
        """The generation during which a person last asked for the next."""
        self.held: dict[int, Instant] = {}

    def fail(self, promise: str) -> None:
        """Report a broken promise about this agent, unless its books were lost with a full disk."""
        if self.key in self.world.murky or self.generation in self.lost:
            return
        self.world.fail(f"{self.key}: {promise}")

    # ------------------------------------------------------------ starts

    def begin(self, agent: Agent) -> None:
        """A start was decided."""
        if self.generation and agent.generation != self.generation + 1:
            self.fail(f"generation {agent.generation} follows {self.generation}")
        self.generation = agent.generation
        if self.barred:
            self.fail(f"a start although {self.barred}")
        if self.generation in self.lost:  # So may be how the last one ended: take its word here.
            self.attempts = list(agent.attempts)
        elif not self.free:
            self._attempt()
        if len(agent.attempts) > len(self.attempts):
            self.fail(f"{len(agent.attempts)} attempts are counted, {len(self.attempts)} were made")
        self.free = False

    def pardon(self) -> None:
        """It was removed and is back: nothing is held against it."""
        self.attempts, self.barred, self.free = [], "", True

    def _attempt(self) -> None:
        rules = self.world.rules[self.key]
        recent = [at for at in self.attempts if self.world.clock - at < rules.restart_window]
        if len(recent) >= rules.max_revive_attempts:
            self.fail(f"attempt {len(recent) + 1} of {rules.max_revive_attempts}")
        self.attempts.append(self.world.clock)

    def roll_back(self, record: Agent | None) -> None:
        """What was decided on a full disk is lost: take the disk's word for what was."""
        highest = max((g for key, g in self.world.programs if key == self.key), default=0)
        self.lost.update(range(1, max(self.generation, highest) + 2))
        if record is None:
            self.generation, self.attempts, self.free = 0, [], True
            self.barred, self.honoured = "", 0
        else:
            self.honoured = max(0, min(self.honoured, record.request))
            self.generation = record.generation
            self.attempts = list(record.attempts)
            self.free = record.free
            self.barred = ""

    def reboot(self, record: Agent) -> None:
        """The clock begins anew; attempts count from now on."""
        self.attempts = [self.world.clock] * len(record.attempts)

    # ------------------------------------------------------------ lines of the journal

    def hear(self, told: Told) -> None:
        """Book one line, at the instant at which it was decided."""
        book = BOOKS.get(told.event)
        if book is not None:
            book(self, told, int(told.data["generation"]))

    def _ended(self, told: Told, generation: int) -> None:
        if "exit" not in told.data:
            self.barred = ""  # It was not alive, and is now stopped.
            self.free = True
            return
        self.endings[generation] += 1
        if self.endings[generation] > 1 and generation not in self.lost:
            self.fail(f"the end of generation {generation} is told twice")
        program = self.world.programs.get((self.key, generation))
        if program is not None and not program.gone:
            self.fail(f"generation {generation} is called gone while it lives")
        self.barred = ""
        self.free = told.event != "agent_died"

    def died(self, told: Told, generation: int) -> None:
        """A death: the policy says what may follow."""
        self._ended(told, generation)
        if generation == self.by_hand_at:
            self.fail("a death although a person had asked for the next life")
        rules = self.world.rules[self.key]
        now = self.world.clock
        self.attempts = [at for at in self.attempts if now - at < rules.restart_window]
        program = self.world.programs.get((self.key, generation))
        ending = program.exit if program else None
        if program and self._truly_held(program):
            self.fail("an end while it was held is called a death")
        if ending and ending.note == "reboot":
            self.free = True
        if ending and ending.code in rules.no_restart_exit_codes:
            self.barred = f"exit code {ending.code} is not retried"
        elif rules.revive_policy is RevivePolicy.NEVER:
            self.barred = "the policy is never"
        elif rules.restart is Restart.NEVER:
            self.barred = "restart is never"
        elif rules.revive_policy is RevivePolicy.ASK:
            self.barred = "nobody said yes"

    def _truly_held(self, program: Program) -> bool:
        """Whether it waited when it ended, and the daemon had heard so."""
        heard = self.held.get(program.generation, -1.0) >= program.since
        waits = program.hold is not None and self.world.time < program.hold.until
        calm = not program.leaped and program.generation not in self.lost
        return heard and waits and calm and program.mode is Mode.HELD

    def stopped(self, told: Told, generation: int) -> None:
        """It was stopped or replaced because people wanted it."""
        self._ended(told, generation)

    def exited(self, told: Told, generation: int) -> None:
        """It finished."""
        self._ended(told, generation)
        self.barred = "it has finished"
        program = self.world.programs.get((self.key, generation))
        rules = self.world.rules[self.key]
        clean = program is not None and program.exit is not None and program.exit.code == 0
        if rules.restart is not Restart.NEVER and not clean and generation not in self.lost:
            self.fail("called finished although it failed")

    def left_waiting(self, told: Told, generation: int) -> None:
        """It ended while it was held: no death, no attempt."""
        self._ended(told, generation)
        if generation not in self.held and generation not in self.lost:
            self.fail("left waiting although it never held")
        if told.data["hold"] in CURBS:
            self.barred = "nobody let it go on"

    def holds(self, _told: Told, generation: int) -> None:
        """It said that it waits."""
        self.held[generation] = self.world.time

    def granted(self, told: Told, generation: int) -> None:
        """A person's yes: was there one, for this very matter, in time?"""
        matter = matter_of(told)
        if matter not in self.approved and generation not in self.lost:
            self.fail(f"approval of generation {generation} that nobody gave in time")
        if self.escalations[generation] and generation not in self.lost:
            self.fail(f"approval of generation {generation} after it was given up")
        if self.barred in ("nobody said yes", "nobody let it go on"):
            self.barred = ""

    def approve(self, matter: Matter) -> None:
        """A yes was taken."""
        if self.world.time <= self.asked.get(matter, -1.0) + SLACK:
            self.approved.add(matter)

    def refuse(self, told: Told, generation: int) -> None:
        """A person's no, or nobody's word in a week: a life that stood still is ended."""
        if matter_of(told)[1]:
            self.refused.add(generation)

    def released(self, told: Told, _generation: int) -> None:
        """It goes on: nobody in these worlds changes its rules, so by people's word alone."""
        if told.data["source"] == "rules":
            self.fail("let go on by rules that nobody has changed")

    def wakes(self, _told: Told, _generation: int) -> None:
        """Mail gives one that has finished a new life, once for each mail at most."""
        self.woken += 1
        if self.woken > self.mails:
            self.fail("woken by mail that nobody wrote")
        if not self.world.rules[self.key].wake_on_mail:
            self.fail("woken by mail although its rule is to sleep")
        if self.barred == "it has finished":
            self.barred = ""

    def by_hand(self, _told: Told, generation: int) -> None:
        """A person's word clears attempts and everything that barred a start."""
        self.honoured += 1
        self.by_hand_at = generation
        if self.honoured > self.requests:
            self.fail("a revive by hand that nobody asked for")
        self.attempts, self.barred, self.free = [], "", True

    def stable(self, _told: Told, generation: int) -> None:
        """A proven stable life clears the attempts."""
        program = self.world.programs.get((self.key, generation))
        rules = self.world.rules[self.key]
        if program and self.world.time - program.born < rules.stable_after - SLACK:
            self.fail("called stable before its time")
        self.attempts = []

    def escalated(self, told: Told, generation: int) -> None:
        """Giving up: with a reason that is true, once, naming the command that clears it."""
        self.barred = "it was given up"
        self.escalations[generation] += 1
        if self.escalations[generation] > 1 and generation not in self.lost:
            self.fail(f"generation {generation} is given up twice")
        if told.data.get("clear") != f"lazarus revive {self.key}":
            self.fail("given up without the command that clears it")
        rules = self.world.rules[self.key]
        reason = told.data["reason"]
        if reason == "attempts_exhausted" and len(self.attempts) < rules.max_revive_attempts:
            self.fail(f"given up after {len(self.attempts)} of {rules.max_revive_attempts}")
        if reason == "policy_never" and rules.revive_policy is not RevivePolicy.NEVER:
            self.fail("given up by a policy that it does not have")
        if reason == "cannot_start" and not self.failed.get(generation):
            self.fail("given up although a start could help")

    def fence_stuck(self, _told: Told, generation: int) -> None:
        """It does not die by force: said once a life and daemon."""
        self.stuck[generation] += 1
        if self.stuck[generation] > 1 and generation not in self.lost:
            self.fail(f"generation {generation} cannot be ended: told again and again")

    def was_asked_to_end(self, program: Program) -> bool:
        """Whether people wanted this life to end: a stop, a removal, or a revive by hand."""
        want = self.world.wanted(self.key)
        since = self.world.touched.get(self.key, -1.0)
        if program.generation in self.lost:
            return True  # A request that was honoured on a full disk is honoured again.
        return want is not Desired.RUN or since >= program.born - 100.0


def matter_of(told: Told) -> Matter:
    """Return what a line about a request is about."""
    hold = told.data.get("hold", 0)
    return int(told.data.get("generation", 0)), hold if isinstance(hold, int) else 0


CURBS = (
    *("budget_turns", "budget_tokens", "budget_minutes", "loop"),
    *("mission_turns", "mission_tokens", "mission_minutes"),
)
"""Holds of the pit's own."""
BOOKS: dict[str, Callable[[Account, Told, int], None]] = {
    "agent_died": Account.died,
    "agent_stopped": Account.stopped,
    "agent_exited": Account.exited,
    "agent_left_waiting": Account.left_waiting,
    "agent_held": Account.holds,
    "agent_stable": Account.stable,
    "agent_escalated": Account.escalated,
    "agent_fence_stuck": Account.fence_stuck,
    "approval_granted": Account.granted,
    "approval_denied": Account.refuse,
    "approval_expired": Account.refuse,
    "agent_released": Account.released,
    "agent_woken": Account.wakes,
    "revive_requested": Account.by_hand,
}
