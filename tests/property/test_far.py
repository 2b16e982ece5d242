"""A far agent under any sequence of facts: promises that hold after every one of them."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from lazarus_pit.core.events import Ask, Decided, Fact, Spawn, SpawnFailed, Tick
from lazarus_pit.core.far import Far, FarPhase, Probed, Reading, fold, resumed, wake
from lazarus_pit.core.model import NEVER, RevivePolicy, Rules, Verdict
from lazarus_pit.core.revival import FarStep, step
from lazarus_pit.formats import pool_state

readings = st.tuples(*[st.sampled_from(Reading)] * 3) | st.sampled_from(
    [(Reading.FAILED,) * 3, (Reading.PASSED,) * 3]
)
rules = st.builds(
    Rules,
    revive_policy=st.sampled_from(RevivePolicy),
    resurrect_after=st.sampled_from((1.0, 30.0, 300.0)),
    approval_timeout=st.sampled_from((5.0, 300.0)),
    start_timeout=st.sampled_from((5.0, 120.0)),
    max_revive_attempts=st.integers(0, 3),
    restart_window=st.just(NEVER),
)
happenings = st.one_of(
    readings,
    st.floats(0.0, 400.0),
    st.tuples(st.integers(0, 3), st.booleans()),
    st.sampled_from(("failed", "restart")),
)


def fact_of(happening: object, far: Far) -> Fact:
    match happening:
        case (Reading(), *_):
            return Probed(readings=happening)  # type: ignore[arg-type]
        case (int(back), bool(approved)):
            return Decided(generation=far.generation - max(0, back - 1), approved=approved)
        case "failed":
            return SpawnFailed(generation=far.generation, why="x")
        case _:
            return Tick()


def lived(law: Rules, course: list[object]) -> Iterator[tuple[Far, Fact, FarStep, float]]:
    far, now = Far(key="x"), 1000.0
    for happening in course:
        if isinstance(happening, float):
            now += happening
        if happening == "restart":
            kept = pool_state.parse(pool_state.encode([far]))["x"]
            far = resumed(kept, law, far.plan, now)
        fact = fact_of(happening, far)
        done = step(far, law, fact, now)
        yield far, fact, done, now
        far = done.far


@given(rules, st.lists(happenings, max_size=60))
def test_a_revive_has_every_reason_and_happens_once(law: Rules, course: list[object]) -> None:
    begun: set[int] = set()
    granted: set[int] = set()
    since: float | None = None
    in_a_row = 0
    for before, fact, done, now in lived(law, course):
        if isinstance(fact, Decided) and fact.approved and before.phase is FarPhase.AWAITING:
            granted.add(fact.generation)
        if isinstance(fact, Probed):
            verdict = fold(fact.readings)
            if verdict is Verdict.DEAD:
                since = now if since is None else since
            elif verdict is not Verdict.UNKNOWN:
                since = None
                in_a_row = 0 if verdict is Verdict.HEALTHY else in_a_row
        for order in done.orders:
            if not isinstance(order, Spawn):
                continue
            assert isinstance(fact, Probed)
            assert since is not None
            assert now - since >= law.resurrect_after
            assert order.generation not in begun, "revived twice"
            begun.add(order.generation)
            in_a_row += 1
            assert in_a_row <= law.max_revive_attempts
            assert law.revive_policy is not RevivePolicy.NEVER
            if law.revive_policy is RevivePolicy.ASK:
                assert order.generation in granted


@given(rules, st.lists(happenings, max_size=60))
def test_people_are_told_once_and_asked_by_policy_alone(law: Rules, course: list[object]) -> None:
    escalated = False
    for before, _, done, _ in lived(law, course):
        if any(line.event == "gateway_escalated" for line in done.told):
            assert not escalated, "told twice"
        escalated = done.far.phase is FarPhase.ESCALATED
        if any(isinstance(order, Ask) for order in done.orders):
            assert law.revive_policy is RevivePolicy.ASK
            assert done.far.generation == before.generation + 1


@given(rules, st.lists(happenings, max_size=40))
def test_time_alone_always_comes_to_rest(law: Rules, course: list[object]) -> None:
    for *_, done, now in lived(law, course):
        far = done.far
        for _ in range(4):
            if wake(far, law) > now:
                break
            far = step(far, law, Tick(), now).far
        assert wake(far, law) > now, "a tick that is due does not move the next wake forward"


@given(rules, st.lists(happenings, max_size=40))
def test_health_clears_all_but_the_count_of_tries(law: Rules, course: list[object]) -> None:
    far, now = Far(key="x"), 1000.0
    for far, _, _, now in lived(law, course):  # noqa: B007 - the last of them counts
        pass
    well = step(far, law, Probed(readings=(Reading.PASSED,)), now).far
    assert well == Far(key="x", verdict=Verdict.HEALTHY, generation=far.generation)
