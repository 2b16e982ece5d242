"""The core under any sequence of facts: promises that hold after every one of them."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from lazarus_pit.core.agent import may_live, owed, wake
from lazarus_pit.core.events import (
    Beat,
    Decided,
    Dismissed,
    Enlisted,
    Exited,
    Freeze,
    Frozen,
    Kill,
    LookAt,
    Looked,
    ObserverBlinded,
    ObserverDoubted,
    ObserverSaw,
    Order,
    Progressed,
    Spawn,
    Spawned,
    SpawnFailed,
    Thaw,
    Thawed,
)
from lazarus_pit.core.fleet import Fleet
from lazarus_pit.core.model import (
    NEVER,
    Desired,
    Exit,
    FleetRules,
    Hold,
    HoldKind,
    Life,
    Liveness,
    Look,
    OnStall,
    Phase,
    Restart,
    RevivePolicy,
    Rules,
)

KEYS = [f"cell/agent-{number}" for number in range(6)]
ages = st.none() | st.floats(0.0, 500.0)
rules = st.builds(
    Rules,
    revive_policy=st.sampled_from(RevivePolicy),
    restart=st.sampled_from(Restart),
    liveness=st.sampled_from(Liveness),
    on_stall=st.sampled_from(OnStall),
    stall_after=st.sampled_from((0.0, 30.0, 200.0)),
    max_revive_attempts=st.integers(0, 3),
    restart_window=st.sampled_from((60.0, 600.0)),
    min_uptime=st.sampled_from((0.0, 30.0)),
    stable_after=st.sampled_from((50.0, 300.0)),
)
exits = st.sampled_from(
    (Exit(code=0), Exit(code=1), Exit(code=78), Exit(signal=9), Exit(note="unseen"))
)
looks = st.builds(
    Look,
    beat_age=ages,
    output_age=ages,
    files_age=ages,
    computing=st.none() | st.booleans(),
    stopped=st.none() | st.booleans(),
)
holds = st.none() | st.builds(
    Hold, kind=st.sampled_from(HoldKind), until=st.sampled_from((NEVER, 1100.0, 2000.0))
)
keys = st.sampled_from(KEYS)
older = st.sampled_from((0, 0, 0, 1))
"""How many generations too old a fact is: mostly none."""


class CoreMachine(RuleBasedStateMachine):
    """A fleet, and a world as small as can be: which generation of whom is alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.fleet = Fleet(FleetRules(starts_in_flight=2, storm_floor=3, storm_per_agent=0.5))
        self.wanted: dict[str, Enlisted] = {}
        self.alive: dict[str, int] = {}
        self.pending: dict[str, int] = {}
        self.highest: dict[str, int] = {}
        self.attempts: dict[str, list[float]] = {key: [] for key in KEYS}

    @initialize(drawn=st.lists(rules, min_size=6, max_size=6))
    def enlist_all(self, drawn: list[Rules]) -> None:
        for key, rule_ in zip(KEYS, drawn, strict=True):
            self.want(key, Enlisted(rules=rule_, desired=Desired.RUN))

    def want(self, key: str, fact: Enlisted) -> None:
        self.wanted[key] = fact
        self.fleet.step(key, fact, self.now)

    def generation(self, key: str, back: int) -> int:
        agent = self.fleet.agents.get(key)
        return (agent.generation if agent else 1) - back

    # ------------------------------------------------------------ the world

    @rule(seconds=st.sampled_from((0.01, 0.6, 5.0, 40.0, 130.0, 700.0)))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.turn()

    def turn(self) -> None:
        """Turn as the loop does, until nothing more is due at this instant."""
        for _ in range(12):
            self.fleet.tick(self.now)
            for order in self.fleet.take().orders:
                self.obey(order)
            if self.fleet.wake() > self.now:
                return
        raise AssertionError("a tick that is due does not move the next wake forward")

    def obey(self, order: Order) -> None:
        key = order.key
        match order:
            case Spawn(generation=generation):
                assert self.wanted[key].desired is Desired.RUN
                if self.highest.get(key) == generation:
                    return  # The same life, asked for again.
                assert key not in self.alive, "two lives of one agent"
                assert generation > self.highest.get(key, 0)
                self.highest[key] = generation
                self.pending[key] = generation
            case Kill(generation=generation) if key not in self.alive:
                self.pending.pop(key, None)
                self.fleet.step(key, Exited(generation=generation, exit=Exit(note="x")), self.now)
            case Kill(force=True):
                self.die(key, Exit(signal=9))
            case Freeze(generation=generation):
                self.fleet.step(key, Frozen(generation=generation), self.now)
            case Thaw(generation=generation):
                self.fleet.step(key, Thawed(generation=generation), self.now)
            case LookAt():
                pass

    def die(self, key: str, ending: Exit) -> None:
        generation = self.alive.pop(key, None)
        if generation is not None:
            self.fleet.step(key, Exited(generation=generation, exit=ending), self.now)

    # ------------------------------------------------------------ facts

    @rule(key=keys, works=st.booleans(), fatal=st.booleans())
    def start_succeeds_or_not(self, key: str, *, works: bool, fatal: bool) -> None:
        generation = self.pending.pop(key, None)
        if generation is None:
            return
        if works:
            self.alive[key] = generation
            life = Life(boot_id="b", pid=generation, start_time=1)
            self.fleet.step(key, Spawned(generation=generation, life=life), self.now)
        else:
            failed = SpawnFailed(generation=generation, why="no memory", fatal=fatal)
            self.fleet.step(key, failed, self.now)
        self.turn()

    @rule(key=keys, ending=exits)
    def it_dies(self, key: str, ending: Exit) -> None:
        self.die(key, ending)
        self.turn()

    @rule(key=keys, ending=exits)
    def an_old_end_is_heard_late(self, key: str, ending: Exit) -> None:
        before = self.fleet.agents.get(key)
        old = Exited(generation=self.generation(key, 1), exit=ending)
        self.fleet.step(key, old, self.now)
        assert self.fleet.agents.get(key) is before

    @rule(key=keys, back=older, cycle=st.none() | st.integers(0, 3), hold=holds)
    def it_beats(self, key: str, back: int, cycle: int | None, hold: Hold | None) -> None:
        beat = Beat(generation=self.generation(key, back), cycle=cycle, hold=hold)
        self.fleet.step(key, beat, self.now)
        self.turn()

    @rule(key=keys, back=older, busy=st.floats(0.0, 1000.0))
    def it_announces(self, key: str, back: int, busy: float) -> None:
        beat = Beat(generation=self.generation(key, back), busy_for=busy)
        self.fleet.step(key, beat, self.now)

    @rule(key=keys, back=older)
    def it_gets_on(self, key: str, back: int) -> None:
        fact = Progressed(generation=self.generation(key, back), source="output")
        self.fleet.step(key, fact, self.now)

    @rule(key=keys, back=older, look=looks)
    def it_is_looked_at(self, key: str, back: int, look: Look) -> None:
        fact = Looked(generation=self.generation(key, back), look=look)
        self.fleet.step(key, fact, self.now)
        self.turn()

    @rule(key=keys, back=older, approved=st.booleans())
    def people_answer(self, key: str, back: int, *, approved: bool) -> None:
        fact = Decided(generation=self.generation(key, back), approved=approved)
        self.fleet.step(key, fact, self.now)
        self.turn()

    @rule(key=keys, desired=st.sampled_from(Desired))
    def people_want(self, key: str, desired: Desired) -> None:
        before = self.wanted[key]
        self.want(key, Enlisted(rules=before.rules, desired=desired, request=before.request))
        self.turn()

    @rule(key=keys)
    def people_revive(self, key: str) -> None:
        before = self.wanted[key]
        wanted = Enlisted(rules=before.rules, desired=Desired.RUN, request=before.request + 1)
        self.want(key, wanted)
        self.turn()

    @rule(key=keys)
    def people_remove_and_enlist_again(self, key: str) -> None:
        self.fleet.step(key, Dismissed(), self.now)
        self.turn()
        self.die(key, Exit(signal=15))
        if key not in self.fleet.agents:
            self.highest.pop(key, None)
            self.wanted[key] = Enlisted(rules=self.wanted[key].rules, desired=Desired.RUN)
        self.want(key, self.wanted[key])
        self.turn()

    @rule(fact=st.sampled_from((ObserverDoubted(why="x"), ObserverBlinded(why="x"))))
    def the_eyes_are_in_doubt(self, fact: ObserverDoubted | ObserverBlinded) -> None:
        self.fleet.observe(fact, self.now)
        self.turn()

    @rule()
    def the_eyes_see(self) -> None:
        self.fleet.observe(ObserverSaw(), self.now)
        self.turn()

    # ------------------------------------------------------------ promises

    @invariant()
    def who_lives_is_known(self) -> None:
        for key, generation in self.alive.items():
            agent = self.fleet.agents[key]
            assert agent.generation == generation
            assert may_live(agent), f"{key} lives, yet {agent.phase}"

    @invariant()
    def attempts_stay_within_the_cap(self) -> None:
        for agent in self.fleet.agents.values():
            recent = [at for at in agent.attempts if self.now - at < agent.rules.restart_window]
            assert len(recent) <= agent.rules.max_revive_attempts

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """Each phase that is not an end has a deadline, an order, or people to wait for."""
        for agent in self.fleet.agents.values():
            ends = (Phase.STOPPED, Phase.EXITED, Phase.ESCALATED)
            if agent.phase in ends or agent.desired is not Desired.RUN or agent.frozen_at:
                continue
            forever = agent.hold is not None and agent.hold.until >= NEVER
            process = agent.rules.liveness is Liveness.PROCESS and agent.life is not None
            assert wake(agent) < NEVER or owed(agent) or agent.queued or forever or process

    @invariant()
    def the_heap_knows_the_next_deadline(self) -> None:
        soonest = min((wake(agent) for agent in self.fleet.agents.values()), default=NEVER)
        assert self.fleet.wake() <= max(soonest, self.now + 60.0)


TestCoreMachine = CoreMachine.TestCase
TestCoreMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
